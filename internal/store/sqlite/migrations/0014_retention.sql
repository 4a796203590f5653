-- +goose Up
-- Retention finds due rows by these indexes. 0 in a new column means unknown: retention looks at the row and sets it.

-- The time of the oldest record of a timeline, or earlier; -1 = it has no record.
ALTER TABLE topic ADD COLUMN oldest BIGINT NOT NULL DEFAULT 0;
CREATE INDEX topic_oldest ON topic (oldest) WHERE oldest >= 0;

-- The end of an invitation.
ALTER TABLE invitation ADD COLUMN ended_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX invitation_ended ON invitation (ended_at) WHERE open = 0;
DROP INDEX invitation_online;
CREATE INDEX invitation_online ON invitation (ended_at) WHERE open = 0 AND flags / 2 % 2 = 1;

-- The latest use of a file that is known: its upload, or the last message that holds it.
ALTER TABLE file ADD COLUMN used_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX file_used ON file (used_at);

CREATE INDEX media_call_ended ON media_call (ended_at) WHERE ended_at > 0;
CREATE INDEX application_handled ON application (handled_at) WHERE state <> 0;
