-- name: Message
-- Index: record_message.
SELECT {message}
FROM record
WHERE topic = $1 AND msg = $2 AND msg <> '';

-- name: Readers
SELECT user_id, at
FROM receipt
WHERE topic = $1 AND msg = $2 AND user_id > $3
ORDER BY user_id
LIMIT $4;

-- name: ReactionUsers
-- The reactions to a message after a user, by user.
SELECT user_id, reaction, at
FROM reaction
WHERE topic = $1 AND msg = $2 AND user_id > $3
ORDER BY user_id, reaction
LIMIT $4;

-- name: OwnReactions
-- The reactions of the user $2 to some messages.
SELECT msg, reaction
FROM reaction
WHERE topic = $1 AND user_id = $2 AND msg IN (?*)
ORDER BY at;

-- name: NonReaders
-- The members who could have read a message of a group and have sent no receipt.
SELECT m.user_id, 0
FROM member m
WHERE m.group_id = $1 AND m.user_id > $2 AND m.gone = 0 AND m.joined_seq < $3 AND m.user_id <> $4
AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.topic = $5 AND r.msg = $6 AND r.user_id = m.user_id)
ORDER BY m.user_id
LIMIT $7;

-- name: File
SELECT {file}
FROM file
WHERE id = $1;

-- fragment: Standing
-- A message stands that is neither revoked (1 is FlagRevoked) nor deleted by the reader.
r.topic = f.topic AND r.msg = f.msg AND r.msg <> '' AND r.flags & 1 = 0
AND NOT EXISTS (SELECT 1 FROM deleted d WHERE d.user_id = $2 AND d.topic = r.topic AND d.seq = r.seq)

-- name: FileHoldersOfUser
-- The messages on the timeline of a user that hold a file, without those of cleared conversations.
SELECT count(*)
FROM file_holder f
WHERE f.file_id = $1 AND f.topic = 'user:' || $2
AND (f.until > $3 OR EXISTS (
    SELECT 1 FROM record r
    WHERE {Standing}
    AND NOT EXISTS (SELECT 1 FROM contact c WHERE c.user_id = $2 AND c.peer = r.peer AND c.cleared_seq >= r.seq)));

-- name: FileHoldersOfGroups
SELECT f.until, coalesce(r.seq, 0), coalesce(r.audience, ''), g.type, m.joined_seq, m.cleared_seq
FROM file_holder f
JOIN member m ON m.group_id = substr(f.topic, 7) AND m.user_id = $2 AND m.gone = 0
JOIN grp g ON g.id = m.group_id AND g.dismissed = 0
LEFT JOIN record r ON {Standing}
WHERE f.file_id = $1 AND f.topic LIKE 'group:%' AND (f.until > $3 OR r.seq > m.cleared_seq);

-- name: FileHoldersRelease
DELETE FROM file_holder
WHERE (topic, msg) IN (VALUES ?*);
