-- +goose Up

-- A media room that an invitation made, and what people were granted in rooms.
CREATE TABLE room (
    id         TEXT   PRIMARY KEY,
    owner      TEXT   NOT NULL,
    invite_id  TEXT   NOT NULL,
    latest     TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE seat (
    room_id TEXT   NOT NULL,
    user_id TEXT   NOT NULL,
    role    TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (room_id, user_id)
);

-- What happened in a room, from its first participant to its last.
CREATE TABLE media_call (
    id        TEXT   PRIMARY KEY,
    room_id   TEXT   NOT NULL,
    invite_id TEXT   NOT NULL,
    group_id  TEXT   NOT NULL,
    owner     TEXT   NOT NULL,
    peer      TEXT   NOT NULL,
    opened_at BIGINT NOT NULL,
    began_at  BIGINT NOT NULL,
    ended_at  BIGINT NOT NULL,
    ms        BIGINT NOT NULL,
    reason    TEXT   NOT NULL,
    ended_by  TEXT   NOT NULL,
    present   BIGINT NOT NULL,
    total     BIGINT NOT NULL,
    dropped   BIGINT NOT NULL,
    check_at  BIGINT NOT NULL,
    seen_at   BIGINT NOT NULL
);
CREATE UNIQUE INDEX media_call_open ON media_call (room_id) WHERE ended_at = 0;
CREATE INDEX media_call_check ON media_call (check_at) WHERE ended_at = 0 AND check_at > 0;
CREATE INDEX media_call_opened ON media_call (opened_at, id);
CREATE INDEX media_call_group ON media_call (group_id, opened_at, id) WHERE group_id <> '';
CREATE INDEX media_call_room ON media_call (room_id, opened_at, id);

CREATE TABLE participant (
    call_id   TEXT   NOT NULL,
    user_id   TEXT   NOT NULL,
    sid       TEXT   NOT NULL,
    first_at  BIGINT NOT NULL,
    joined_at BIGINT NOT NULL,
    left_at   BIGINT NOT NULL,
    ms        BIGINT NOT NULL,
    reason    TEXT   NOT NULL,
    PRIMARY KEY (call_id, user_id)
);
CREATE INDEX participant_user ON participant (user_id, first_at, call_id);
