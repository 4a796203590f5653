-- +goose Up
-- What leaves the house, for webhooks (queue = 'hook') and pushes: the record it tells of, and what became of it. Those of one
-- topic leave in the order of its records. state: 0 waits, 1 done, 2 given up. Times are milliseconds.
CREATE TABLE outgoing (
    queue TEXT    NOT NULL,
    topic TEXT    NOT NULL,
    seq   BIGINT NOT NULL,
    at    BIGINT NOT NULL,
    due   BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    state BIGINT NOT NULL,
    error TEXT    NOT NULL,
    kind  TEXT    NOT NULL,
    body  TEXT    NOT NULL,
    PRIMARY KEY (queue, topic, seq)
);
-- What waits, in its order and by its time; what ended, for lists, replays and the trim.
CREATE INDEX outgoing_line ON outgoing (queue, topic, seq) WHERE state = 0;
CREATE INDEX outgoing_due ON outgoing (queue, due) WHERE state = 0;
CREATE INDEX outgoing_at ON outgoing (queue, state, at, topic, seq);
