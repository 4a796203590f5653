-- +goose NO TRANSACTION
-- +goose Up
-- The erasures of users, with their progress, so that they continue after a restart. owner is the node that works on an erasure until
-- owned_until; until is the time of the latest record that it rewrites; place is the position in its stage.
CREATE TABLE IF NOT EXISTS erasure (
    user_id     TEXT   NOT NULL PRIMARY KEY,
    at          BIGINT NOT NULL,
    until       BIGINT NOT NULL,
    stage       BIGINT NOT NULL,
    place       TEXT   NOT NULL,
    rewritten   BIGINT NOT NULL,
    memberships BIGINT NOT NULL,
    files       BIGINT NOT NULL,
    error       TEXT   NOT NULL,
    owner       TEXT   NOT NULL,
    owned_until BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS erasure_running ON erasure (user_id) WHERE ended_at = 0;
CREATE INDEX IF NOT EXISTS erasure_ended ON erasure (ended_at) WHERE ended_at > 0;

-- The uploads of a user. Made beside running nodes; an index that was broken off is there, and of no use.
DROP INDEX CONCURRENTLY IF EXISTS file_owner;
CREATE INDEX CONCURRENTLY IF NOT EXISTS file_owner ON file (owner, id);
