-- +goose Up

-- How many records of a group's timeline count as unread, up to its head.
ALTER TABLE topic ADD COLUMN counted BIGINT NOT NULL DEFAULT 0;

-- peer makes a record part of a conversation: the other person on a user's timeline, '*' on a group's. ord is the running
-- count of what counts as unread there, pair the sequence of the same message on the other person's timeline.
ALTER TABLE record ADD COLUMN peer TEXT NOT NULL DEFAULT '';
ALTER TABLE record ADD COLUMN ord BIGINT NOT NULL DEFAULT 0;
ALTER TABLE record ADD COLUMN pair BIGINT NOT NULL DEFAULT 0;
-- What only messages have. audience is empty, or the names of those who may see it, each between spaces.
ALTER TABLE record ADD COLUMN msg TEXT NOT NULL DEFAULT '';
ALTER TABLE record ADD COLUMN sender TEXT NOT NULL DEFAULT '';
ALTER TABLE record ADD COLUMN flags BIGINT NOT NULL DEFAULT 0;
ALTER TABLE record ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE record ADD COLUMN readers BIGINT NOT NULL DEFAULT 0;
ALTER TABLE record ADD COLUMN audience TEXT NOT NULL DEFAULT '';
UPDATE record SET peer = '*' WHERE topic LIKE 'group:%';
CREATE INDEX record_history ON record (topic, peer, seq) WHERE peer <> '';
CREATE UNIQUE INDEX record_message ON record (topic, msg) WHERE msg <> '';

-- One person's side of a one-to-one conversation, and whether they block the other.
CREATE TABLE contact (
    user_id     TEXT   NOT NULL,
    peer        TEXT   NOT NULL,
    counted     BIGINT NOT NULL,
    read_seq    BIGINT NOT NULL,
    read_ord    BIGINT NOT NULL,
    peer_read   BIGINT NOT NULL,
    pinned_at   BIGINT NOT NULL,
    opt         BIGINT NOT NULL,
    hidden_seq  BIGINT NOT NULL,
    cleared_seq BIGINT NOT NULL,
    blocked_at  BIGINT NOT NULL,
    PRIMARY KEY (user_id, peer)
) WITHOUT ROWID;
CREATE INDEX contact_blocked ON contact (user_id, blocked_at) WHERE blocked_at > 0;

-- An invitee who blocks the inviter hears nothing of it, when the server is set so.
ALTER TABLE invitee ADD COLUMN deaf BIGINT NOT NULL DEFAULT 0;

-- The version of an invitation in a large group that onlookers were last told of; 16 is the flag of such.
ALTER TABLE invitation ADD COLUMN digested BIGINT NOT NULL DEFAULT 0;
CREATE INDEX invitation_undigested ON invitation (id) WHERE flags / 16 % 2 = 1 AND digested < version;

ALTER TABLE grp ADD COLUMN intro TEXT NOT NULL DEFAULT '';
ALTER TABLE grp ADD COLUMN notice TEXT NOT NULL DEFAULT '';
ALTER TABLE grp ADD COLUMN face TEXT NOT NULL DEFAULT '';
ALTER TABLE grp ADD COLUMN custom TEXT NOT NULL DEFAULT '';
ALTER TABLE grp ADD COLUMN invite_option TEXT NOT NULL DEFAULT '';
UPDATE grp SET invite_option = CASE WHEN type IN ('Work', 'Community') THEN 'free' ELSE 'forbidden' END;
UPDATE grp SET join_option = CASE WHEN type = 'Work' THEN 'forbidden' ELSE 'free' END WHERE type IN ('Work', 'AVChatRoom');
ALTER TABLE grp ADD COLUMN muted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE grp ADD COLUMN max_members BIGINT NOT NULL DEFAULT 0;

-- A member's side of the group's conversation begins anew with each joining.
ALTER TABLE member ADD COLUMN read_seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN read_ord BIGINT NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN own BIGINT NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN own_read BIGINT NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN pinned_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN opt BIGINT NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN hidden_seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN cleared_seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN name_card TEXT NOT NULL DEFAULT '';
ALTER TABLE member ADD COLUMN custom TEXT NOT NULL DEFAULT '';
ALTER TABLE member ADD COLUMN muted_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN banned_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN marks BIGINT NOT NULL DEFAULT 0;
CREATE INDEX member_role ON member (user_id, group_id) WHERE gone = 0 AND role > 200;
CREATE INDEX member_admins ON member (group_id) WHERE gone = 0 AND role > 200;

-- Attributes and counters of a group, each a JSON object.
CREATE TABLE extra (
    group_id   TEXT   PRIMARY KEY,
    attributes TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    counters   TEXT   NOT NULL
);

CREATE TABLE application (
    group_id   TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    inviter    TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    state      BIGINT NOT NULL,
    applied_at BIGINT NOT NULL,
    handler    TEXT   NOT NULL,
    answer     TEXT   NOT NULL,
    handled_at BIGINT NOT NULL,
    PRIMARY KEY (group_id, user_id)
);

CREATE TABLE receipt (
    topic   TEXT   NOT NULL,
    msg     TEXT   NOT NULL,
    user_id TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (topic, msg, user_id)
);

-- Messages that a person has deleted for themselves.
CREATE TABLE deleted (
    user_id TEXT   NOT NULL,
    topic   TEXT   NOT NULL,
    seq     BIGINT NOT NULL,
    PRIMARY KEY (user_id, topic, seq)
);
CREATE INDEX deleted_topic ON deleted (topic, seq);

CREATE TABLE person (
    user_id TEXT PRIMARY KEY,
    profile TEXT NOT NULL,
    status  TEXT NOT NULL,
    dnd     TEXT NOT NULL
);

-- Whose presence a person has subscribed to.
CREATE TABLE follow (
    user_id TEXT NOT NULL,
    target  TEXT NOT NULL,
    PRIMARY KEY (user_id, target)
);

CREATE TABLE file (
    id     TEXT   PRIMARY KEY,
    owner  TEXT   NOT NULL,
    kind   TEXT   NOT NULL,
    name   TEXT   NOT NULL,
    type   TEXT   NOT NULL,
    size   BIGINT NOT NULL,
    hash   TEXT   NOT NULL,
    width  BIGINT NOT NULL,
    height BIGINT NOT NULL,
    thumb  TEXT   NOT NULL,
    at     BIGINT NOT NULL
);

-- The conversations whose people may read a file: the topic of a group, or of one of two persons.
CREATE TABLE file_reader (
    file_id TEXT NOT NULL,
    topic   TEXT NOT NULL,
    PRIMARY KEY (file_id, topic)
);

-- Full-text search: phrase gives a message a number, phrase_text indexes its words and who may find it.
CREATE TABLE phrase (
    id    INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    msg   TEXT NOT NULL,
    UNIQUE (topic, msg)
);
CREATE VIRTUAL TABLE phrase_text USING fts5 (text, who, content = '', contentless_delete = 1, prefix = '2 3', tokenize = "unicode61 remove_diacritics 2");

-- Rows that are found by their key alone stand in the index itself: one tree to keep instead of two.
CREATE TABLE topic_new (
    name    TEXT PRIMARY KEY,
    head    BIGINT NOT NULL,
    floor   BIGINT NOT NULL DEFAULT 0,
    counted BIGINT NOT NULL DEFAULT 0
) WITHOUT ROWID;
INSERT INTO topic_new SELECT name, head, floor, counted FROM topic;
DROP TABLE topic;
ALTER TABLE topic_new RENAME TO topic;

CREATE TABLE invitee_new (
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
    deaf       BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (invite_id, user_id)
) WITHOUT ROWID;
INSERT INTO invitee_new SELECT invite_id, user_id, ord, state, reason, data, by_device, by_request, ringing_at, deadline, decided_at, deaf FROM invitee;
DROP TABLE invitee;
ALTER TABLE invitee_new RENAME TO invitee;
CREATE INDEX invitee_user_open ON invitee (user_id) WHERE state = 0;
