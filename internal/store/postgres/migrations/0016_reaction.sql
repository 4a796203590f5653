-- +goose Up
-- The reactions of users to messages, by timeline: one-to-one each of the two has its own rows.
CREATE TABLE reaction (
    topic    TEXT   NOT NULL,
    msg      TEXT   NOT NULL,
    user_id  TEXT   NOT NULL,
    reaction TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (topic, msg, user_id, reaction)
);
CREATE INDEX reaction_user ON reaction (user_id, topic, msg, reaction);
