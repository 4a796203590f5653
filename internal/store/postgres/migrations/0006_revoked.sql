-- +goose Up
-- Tokens of this person that were issued before this time, in milliseconds, are of no use.
ALTER TABLE person ADD COLUMN revoked BIGINT NOT NULL DEFAULT 0;
