-- +goose Up
-- The schema that SQLite has after its migration 0003. Only what CockroachDB and YugabyteDB also speak: no sequences, triggers,
-- advisory locks. Every column is TEXT or BIGINT, but for the words of a search.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- A topic is a timeline and its lock. floor is the last sequence that was trimmed away, counted how many records of a group's
-- timeline count as unread, up to its head.
CREATE TABLE topic (
    name    TEXT PRIMARY KEY,
    head    BIGINT NOT NULL,
    floor   BIGINT NOT NULL DEFAULT 0,
    counted BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 50); -- each head moves with each record: room for the new version on the same page

-- peer makes a record part of a conversation: the other person on a user's timeline, '*' on a group's. ord is the running
-- count of what counts as unread there, pair the sequence of the same message on the other person's timeline.
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
    audience TEXT   NOT NULL DEFAULT '',
    PRIMARY KEY (topic, seq)
);
CREATE INDEX record_history ON record (topic, peer, seq) WHERE peer <> '';
CREATE UNIQUE INDEX record_message ON record (topic, msg) WHERE msg <> '';

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
    recent       TEXT   NOT NULL DEFAULT '',
    digested     BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 80);
CREATE INDEX invitation_inviter_open ON invitation (inviter) WHERE open > 0;
CREATE INDEX invitation_group_open ON invitation (group_id) WHERE open > 0 AND group_id <> '';
-- Online-only invitations are removed when they have ended; 2 is their flag.
CREATE INDEX invitation_online ON invitation (id) WHERE flags / 2 % 2 = 1;
-- The version of an invitation in a large group that onlookers were last told of; 16 is the flag of such.
CREATE INDEX invitation_undigested ON invitation (id) WHERE flags / 16 % 2 = 1 AND digested < version;

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
    deaf       BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (invite_id, user_id)
) WITH (fillfactor = 80);
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
    id            TEXT   PRIMARY KEY,
    type          TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    owner         TEXT   NOT NULL,
    join_option   TEXT   NOT NULL,
    members       BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    dismissed     BIGINT NOT NULL,
    intro         TEXT   NOT NULL DEFAULT '',
    notice        TEXT   NOT NULL DEFAULT '',
    face          TEXT   NOT NULL DEFAULT '',
    custom        TEXT   NOT NULL DEFAULT '',
    invite_option TEXT   NOT NULL DEFAULT '',
    muted         BIGINT NOT NULL DEFAULT 0,
    max_members   BIGINT NOT NULL DEFAULT 0
);

-- A member's side of the group's conversation begins anew with each joining.
CREATE TABLE member (
    group_id     TEXT   NOT NULL,
    user_id      TEXT   NOT NULL,
    role         BIGINT NOT NULL,
    joined_at    BIGINT NOT NULL,
    joined_seq   BIGINT NOT NULL,
    gone         BIGINT NOT NULL,
    read_seq     BIGINT NOT NULL DEFAULT 0,
    read_ord     BIGINT NOT NULL DEFAULT 0,
    own          BIGINT NOT NULL DEFAULT 0,
    own_read     BIGINT NOT NULL DEFAULT 0,
    pinned_at    BIGINT NOT NULL DEFAULT 0,
    opt          BIGINT NOT NULL DEFAULT 0,
    hidden_seq   BIGINT NOT NULL DEFAULT 0,
    cleared_seq  BIGINT NOT NULL DEFAULT 0,
    name_card    TEXT   NOT NULL DEFAULT '',
    custom       TEXT   NOT NULL DEFAULT '',
    muted_until  BIGINT NOT NULL DEFAULT 0,
    banned_until BIGINT NOT NULL DEFAULT 0,
    marks        BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX member_user ON member (user_id, group_id) WHERE gone = 0;
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
) WITH (fillfactor = 70);
CREATE INDEX contact_blocked ON contact (user_id, blocked_at) WHERE blocked_at > 0;

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

-- Full-text search: the words of a message and who may find it, each of those a word too. id grows with time.
CREATE TABLE phrase (
    topic TEXT     NOT NULL,
    msg   TEXT     NOT NULL,
    id    BIGINT   NOT NULL,
    words TSVECTOR NOT NULL,
    PRIMARY KEY (topic, msg)
);
CREATE INDEX phrase_words ON phrase USING gin (words);

-- A media room that an invitation made, and what people were granted in rooms.
CREATE TABLE room (
    id         TEXT   PRIMARY KEY,
    owner      TEXT   NOT NULL,
    invite_id  TEXT   NOT NULL,
    latest     TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE seat (
    room_id TEXT   NOT NULL,
    user_id TEXT   NOT NULL,
    role    TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (room_id, user_id)
);

-- What happened in a room, from its first participant to its last.
CREATE TABLE media_call (
    id        TEXT   PRIMARY KEY,
    room_id   TEXT   NOT NULL,
    invite_id TEXT   NOT NULL,
    group_id  TEXT   NOT NULL,
    owner     TEXT   NOT NULL,
    peer      TEXT   NOT NULL,
    opened_at BIGINT NOT NULL,
    began_at  BIGINT NOT NULL,
    ended_at  BIGINT NOT NULL,
    ms        BIGINT NOT NULL,
    reason    TEXT   NOT NULL,
    ended_by  TEXT   NOT NULL,
    present   BIGINT NOT NULL,
    total     BIGINT NOT NULL,
    dropped   BIGINT NOT NULL,
    check_at  BIGINT NOT NULL,
    seen_at   BIGINT NOT NULL
);
CREATE UNIQUE INDEX media_call_open ON media_call (room_id) WHERE ended_at = 0;
CREATE INDEX media_call_check ON media_call (check_at) WHERE ended_at = 0 AND check_at > 0;
CREATE INDEX media_call_opened ON media_call (opened_at, id);
CREATE INDEX media_call_group ON media_call (group_id, opened_at, id) WHERE group_id <> '';
CREATE INDEX media_call_room ON media_call (room_id, opened_at, id);

CREATE TABLE participant (
    call_id   TEXT   NOT NULL,
    user_id   TEXT   NOT NULL,
    sid       TEXT   NOT NULL,
    first_at  BIGINT NOT NULL,
    joined_at BIGINT NOT NULL,
    left_at   BIGINT NOT NULL,
    ms        BIGINT NOT NULL,
    reason    TEXT   NOT NULL,
    PRIMARY KEY (call_id, user_id)
);
CREATE INDEX participant_user ON participant (user_id, first_at, call_id);

-- The connections that commit, and the last batch of each: after a broken commit it says whether that took effect.
CREATE TABLE writer (
    id    TEXT   PRIMARY KEY,
    batch BIGINT NOT NULL,
    at    BIGINT NOT NULL
) WITH (fillfactor = 10);
