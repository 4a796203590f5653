-- +goose Up
-- What leaves the house, for webhooks (queue = 'hook'), and what became of it. Those of one line (a conversation) leave in the
-- order of num. state: 0 waits, 1 done, 2 given up. Times are milliseconds.
CREATE TABLE outgoing (
    queue TEXT   NOT NULL,
    line  TEXT   NOT NULL,
    num   BIGINT NOT NULL,
    at    BIGINT NOT NULL,
    due   BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    state BIGINT NOT NULL,
    error TEXT   NOT NULL,
    kind  TEXT   NOT NULL,
    body  TEXT   NOT NULL,
    PRIMARY KEY (queue, line, num)
);
-- The first of each line that waits; and what ended, for lists, replays and the trim.
CREATE INDEX outgoing_line ON outgoing (queue, line, num) WHERE state = 0;
CREATE INDEX outgoing_at ON outgoing (queue, state, at, line, num);
