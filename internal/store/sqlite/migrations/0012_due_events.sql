-- +goose Up
-- Whose an event is, so that no owner holds up others; and what is due of a queue, in its order, whatever else waits.
ALTER TABLE outgoing ADD COLUMN owner TEXT NOT NULL DEFAULT '';
CREATE INDEX outgoing_due ON outgoing (queue, due, line, num, owner) WHERE state = 0;
