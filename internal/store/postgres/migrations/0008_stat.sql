-- +goose Up
-- What happened, counted, in steps of five minutes (at is the beginning, in milliseconds); each node has rows of its own, so that
-- nothing is added twice.
CREATE TABLE stat (
    at   BIGINT NOT NULL,
    node TEXT   NOT NULL,
    name TEXT   NOT NULL,
    n    BIGINT NOT NULL,
    PRIMARY KEY (at, node, name)
);
