CREATE TABLE record (
    topic    TEXT   NOT NULL,
    seq      BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    device   TEXT   NOT NULL,
    listen   TEXT   NOT NULL,
    body     TEXT   NOT NULL,
    peer     TEXT   NOT NULL DEFAULT '',
    ord      BIGINT NOT NULL DEFAULT 0,
    pair     BIGINT NOT NULL DEFAULT 0,
    msg      TEXT   NOT NULL DEFAULT '',
    sender   TEXT   NOT NULL DEFAULT '',
    flags    BIGINT NOT NULL DEFAULT 0,
    version  BIGINT NOT NULL DEFAULT 0,
    readers  BIGINT NOT NULL DEFAULT 0,
    audience TEXT   NOT NULL DEFAULT ''
)
