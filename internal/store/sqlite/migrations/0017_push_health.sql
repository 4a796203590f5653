-- +goose Up
-- Whether pushes arrive: the last time that the provider accepted one, that the device acknowledged one, and that the
-- provider refused one or failed, with its error, and the failures since it accepted one. Times are milliseconds, 0 = never.
ALTER TABLE push_token ADD COLUMN accepted_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE push_token ADD COLUMN acknowledged_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE push_token ADD COLUMN failed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE push_token ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;
ALTER TABLE push_token ADD COLUMN error TEXT NOT NULL DEFAULT '';

-- Test pushes, one row for each token that is tested; key is that of the token.
CREATE TABLE push_test (
    test_id         TEXT   NOT NULL,
    key             TEXT   NOT NULL,
    user_id         TEXT   NOT NULL,
    device_id       TEXT   NOT NULL,
    provider        TEXT   NOT NULL,
    at              BIGINT NOT NULL,
    accepted_at     BIGINT NOT NULL,
    acknowledged_at BIGINT NOT NULL,
    error           TEXT   NOT NULL,
    PRIMARY KEY (test_id, key)
) WITHOUT ROWID;
CREATE INDEX push_test_at ON push_test (at);
CREATE INDEX push_test_user ON push_test (user_id);
