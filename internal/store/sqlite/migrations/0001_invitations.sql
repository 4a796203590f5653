-- +goose Up
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- A topic is a timeline and its lock. floor is the last sequence that was trimmed away.
CREATE TABLE topic (
    name  TEXT PRIMARY KEY,
    head  BIGINT NOT NULL,
    floor BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE record (
    topic  TEXT   NOT NULL,
    seq    BIGINT NOT NULL,
    at     BIGINT NOT NULL,
    device TEXT   NOT NULL,
    listen TEXT   NOT NULL,
    body   TEXT   NOT NULL,
    PRIMARY KEY (topic, seq)
);

-- What changes with an action stands last and has a default, so that one narrow upsert can write it.
CREATE TABLE invitation (
    id           TEXT   PRIMARY KEY,
    inviter      TEXT   NOT NULL DEFAULT '',
    peer         TEXT   NOT NULL DEFAULT '',
    group_id     TEXT   NOT NULL DEFAULT '',
    room_id      TEXT   NOT NULL DEFAULT '',
    timeout      BIGINT NOT NULL DEFAULT 0,
    notify       TEXT   NOT NULL DEFAULT '',
    accept_limit BIGINT NOT NULL DEFAULT 0,
    min_ring     BIGINT NOT NULL DEFAULT 0,
    flags        BIGINT NOT NULL DEFAULT 0,
    push         TEXT   NOT NULL DEFAULT '',
    print        TEXT   NOT NULL DEFAULT '',
    created_at   BIGINT NOT NULL DEFAULT 0,
    deadline     BIGINT NOT NULL DEFAULT 0,
    by_device    TEXT   NOT NULL DEFAULT '',
    by_request   TEXT   NOT NULL DEFAULT '',
    data         TEXT   NOT NULL DEFAULT '',
    party        BIGINT NOT NULL DEFAULT 0,
    due          BIGINT NOT NULL DEFAULT 0,
    last         BIGINT NOT NULL DEFAULT 0,
    version      BIGINT NOT NULL DEFAULT 0,
    open         BIGINT NOT NULL DEFAULT 0,
    accepted     BIGINT NOT NULL DEFAULT 0,
    rejected     BIGINT NOT NULL DEFAULT 0,
    cancelled    BIGINT NOT NULL DEFAULT 0,
    timed_out    BIGINT NOT NULL DEFAULT 0,
    recent       TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX invitation_inviter_open ON invitation (inviter) WHERE open > 0;
CREATE INDEX invitation_group_open ON invitation (group_id) WHERE open > 0 AND group_id <> '';

-- Online-only invitations are removed when they have ended; 2 is their flag.
CREATE INDEX invitation_online ON invitation (id) WHERE flags / 2 % 2 = 1;

CREATE TABLE invitee (
    invite_id  TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    ord        BIGINT NOT NULL,
    state      BIGINT NOT NULL,
    reason     TEXT   NOT NULL,
    data       TEXT   NOT NULL,
    by_device  TEXT   NOT NULL,
    by_request TEXT   NOT NULL,
    ringing_at BIGINT NOT NULL,
    deadline   BIGINT NOT NULL,
    decided_at BIGINT NOT NULL,
    PRIMARY KEY (invite_id, user_id)
);
CREATE INDEX invitee_user_open ON invitee (user_id) WHERE state = 0;

-- A mark remembers an inviteID that never became an invitation: cancelled before it came, or merged into another.
CREATE TABLE mark (
    invite_id  TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    target     TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (invite_id, user_id)
);
CREATE INDEX mark_expires ON mark (expires_at);

CREATE TABLE grp (
    id          TEXT   PRIMARY KEY,
    type        TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    owner       TEXT   NOT NULL,
    join_option TEXT   NOT NULL,
    members     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    dismissed   BIGINT NOT NULL
);

CREATE TABLE member (
    group_id   TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    role       BIGINT NOT NULL,
    joined_at  BIGINT NOT NULL,
    joined_seq BIGINT NOT NULL,
    gone       BIGINT NOT NULL,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX member_user ON member (user_id, group_id) WHERE gone = 0;
