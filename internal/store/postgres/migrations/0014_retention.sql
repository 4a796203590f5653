-- +goose NO TRANSACTION
-- +goose Up
-- Retention finds due rows by these indexes. 0 in a new column means unknown: retention looks at the row and sets it, so that
-- nothing rewrites tables here. Made beside running nodes; an index that was broken off is there, and of no use.

-- The time of the oldest record of a timeline, or earlier; -1 = it has no record. The index leaves updates of head in place.
ALTER TABLE topic ADD COLUMN IF NOT EXISTS oldest BIGINT NOT NULL DEFAULT 0;
DROP INDEX CONCURRENTLY IF EXISTS topic_oldest;
CREATE INDEX CONCURRENTLY IF NOT EXISTS topic_oldest ON topic (oldest) WHERE oldest >= 0;

-- The end of an invitation.
ALTER TABLE invitation ADD COLUMN IF NOT EXISTS ended_at BIGINT NOT NULL DEFAULT 0;
DROP INDEX CONCURRENTLY IF EXISTS invitation_ended;
CREATE INDEX CONCURRENTLY IF NOT EXISTS invitation_ended ON invitation (ended_at) WHERE open = 0;
DROP INDEX CONCURRENTLY IF EXISTS invitation_online;
CREATE INDEX CONCURRENTLY IF NOT EXISTS invitation_online ON invitation (ended_at) WHERE open = 0 AND flags / 2 % 2 = 1;

-- The latest use of a file that is known: its upload, or the last message that holds it.
ALTER TABLE file ADD COLUMN IF NOT EXISTS used_at BIGINT NOT NULL DEFAULT 0;
DROP INDEX CONCURRENTLY IF EXISTS file_used;
CREATE INDEX CONCURRENTLY IF NOT EXISTS file_used ON file (used_at);

DROP INDEX CONCURRENTLY IF EXISTS media_call_ended;
CREATE INDEX CONCURRENTLY IF NOT EXISTS media_call_ended ON media_call (ended_at) WHERE ended_at > 0;
DROP INDEX CONCURRENTLY IF EXISTS application_handled;
CREATE INDEX CONCURRENTLY IF NOT EXISTS application_handled ON application (handled_at) WHERE state <> 0;
