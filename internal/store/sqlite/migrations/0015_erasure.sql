-- +goose Up
-- The erasures of users, with their progress, so that they continue after a restart. owner is the node that works on an erasure until
-- owned_until; until is the time of the latest record that it rewrites; place is the position in its stage.
CREATE TABLE erasure (
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
) WITHOUT ROWID;
CREATE INDEX erasure_running ON erasure (user_id) WHERE ended_at = 0;
CREATE INDEX erasure_ended ON erasure (ended_at) WHERE ended_at > 0;

-- The uploads of a user.
CREATE INDEX file_owner ON file (owner, id);
