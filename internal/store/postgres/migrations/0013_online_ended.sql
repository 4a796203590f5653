-- +goose NO TRANSACTION
-- +goose Up
-- Only ended invitations: retention must not pass over the open ones. Created beside running nodes; an earlier attempt
-- may have left an invalid index.
DROP INDEX CONCURRENTLY IF EXISTS invitation_online;
CREATE INDEX CONCURRENTLY invitation_online ON invitation (id) WHERE open = 0 AND flags / 2 % 2 = 1;
