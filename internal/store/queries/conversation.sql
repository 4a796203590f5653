-- fragment: History
SELECT r.seq, r.at, r.body, r.msg, r.flags, r.readers, r.audience
FROM record r
WHERE r.topic = $1 AND r.peer = $2 AND r.peer <> ''

-- name: HistoryBefore
-- One page of a conversation before $3 and after $4, the newest first. Index: record_history.
{History} AND r.seq < $3 AND r.seq > $4
AND NOT EXISTS (SELECT 1 FROM deleted d WHERE d.user_id = $5 AND d.topic = r.topic AND d.seq = r.seq)
ORDER BY r.seq DESC
LIMIT $6;

-- name: HistoryAfter
-- One page of a conversation after $3, the oldest first. Index: record_history.
{History} AND r.seq > $3
AND NOT EXISTS (SELECT 1 FROM deleted d WHERE d.user_id = $4 AND d.topic = r.topic AND d.seq = r.seq)
ORDER BY r.seq
LIMIT $5;

-- name: MessagePosition
SELECT ord, sender, flags
FROM record
WHERE topic = $1 AND peer = $2 AND peer <> '' AND seq = $3;

-- name: FirstCountedAfter
-- Index: record_history.
SELECT ord
FROM record
WHERE topic = $1 AND peer = $2 AND peer <> '' AND seq > $3 AND ord > 0
ORDER BY seq
LIMIT 1;

-- name: LastPairUpTo
-- Index: record_history.
SELECT pair
FROM record
WHERE topic = $1 AND peer = $2 AND peer <> '' AND seq > $3 AND seq <= $4 AND pair > 0
ORDER BY seq DESC
LIMIT 1;

-- name: LastRecordUpTo
-- Index: record_history.
SELECT seq
FROM record
WHERE topic = $1 AND peer = $2 AND peer <> '' AND seq > $3 AND seq <= $4
ORDER BY seq DESC
LIMIT 1;

-- name: OwnCountedAfter
SELECT count(*)
FROM record
WHERE topic = $1 AND seq > $2 AND ord > 0 AND sender = $3;

-- name: Contact
SELECT {contact}
FROM contact
WHERE user_id = $1 AND peer = $2;

-- fragment: LastColumns
coalesce(t.head, 0), coalesce(t.counted, 0), coalesce(r.seq, 0), coalesce(r.at, 0), coalesce(r.body, '')

-- fragment: LastRecord
-- The last record of the conversation c that is shown as such: 2 is FlagNotLast. Index: record_history. A timeline
-- without a record has no topic.
LEFT JOIN topic t ON t.name = c.timeline
LEFT JOIN record r ON r.topic = c.timeline AND r.seq = (
    SELECT l.seq FROM record l
    WHERE l.topic = c.timeline AND l.peer = c.peer AND l.peer <> '' AND l.flags & 2 = 0 AND l.seq > c.cleared_seq
    AND NOT EXISTS (SELECT 1 FROM deleted d WHERE d.user_id = c.user_id AND d.topic = l.topic AND d.seq = l.seq)
    ORDER BY l.seq DESC
    LIMIT 1)

-- name: Conversations
SELECT {contact c}, {LastColumns}
FROM (SELECT {contact}, 'user:' || user_id AS timeline FROM contact WHERE user_id = $1) c
{LastRecord};

-- name: Conversation
SELECT {contact c}, {LastColumns}
FROM (SELECT {contact}, 'user:' || user_id AS timeline FROM contact WHERE user_id = $1 AND peer = $2) c
{LastRecord};

-- name: GroupConversations
-- Index: member_user.
SELECT {member c}, {grp g}, {LastColumns}
FROM (SELECT {member}, '*' AS peer, 'group:' || group_id AS timeline FROM member WHERE user_id = $1 AND gone = 0) c
JOIN grp g ON g.id = c.group_id
{LastRecord};

-- name: GroupConversation
SELECT {member c}, {grp g}, {LastColumns}
FROM (
    SELECT {member}, '*' AS peer, 'group:' || group_id AS timeline
    FROM member
    WHERE user_id = $1 AND gone = 0 AND group_id = $2) c
JOIN grp g ON g.id = c.group_id
{LastRecord};
