-- +goose Up
-- Where people are reached who have no connected device. key is a hash of the provider and the token, so that a device that
-- signs in as somebody else is theirs from then on; body is JSON.
CREATE TABLE push_token (
    key       TEXT   NOT NULL PRIMARY KEY,
    user_id   TEXT   NOT NULL,
    device_id TEXT   NOT NULL,
    provider  TEXT   NOT NULL,
    body      TEXT   NOT NULL,
    at        BIGINT NOT NULL
);
CREATE INDEX push_token_user ON push_token (user_id, at);
-- Whether it is worth looking there for somebody.
ALTER TABLE person ADD COLUMN pushes BIGINT NOT NULL DEFAULT 0;
