-- name: TombstonesExpired
-- Index: mark_expires.
SELECT invite_id, user_id
FROM mark
WHERE expires_at <= $1
LIMIT $2;

-- name: TombstonesRemove
DELETE FROM mark
WHERE (invite_id, user_id) IN (VALUES ?*);

-- name: FileHoldersExpired
-- Index: file_holder_until.
SELECT topic, msg
FROM file_holder
WHERE until > 0 AND until <= $1
LIMIT $2;

-- name: OnlineInvitationsEnded
-- Ended online-only invitations (2 is their flag) without an answer since $1. Index: invitation_online, which has
-- the flag in this form.
SELECT i.id
FROM invitation i
WHERE i.flags / 2 % 2 = 1 AND i.open = 0
AND NOT EXISTS (SELECT 1 FROM invitee w WHERE w.invite_id = i.id AND w.decided_at >= $1)
LIMIT $2;

-- name: RecordsRemoveTopics
DELETE FROM record
WHERE topic IN (?*);

-- name: TopicsRemove
DELETE FROM topic
WHERE name IN (?*);

-- name: InviteesRemove
DELETE FROM invitee
WHERE invite_id IN (?*);

-- name: InvitationsRemove
DELETE FROM invitation
WHERE id IN (?*);

-- name: RoomsEnded
-- Index: room_ended.
SELECT id
FROM room
WHERE ended_at > 0 AND ended_at < $1
LIMIT $2;

-- name: SeatsRemove
DELETE FROM seat
WHERE EXISTS (SELECT 1 FROM room r WHERE r.id = room_id AND r.ended_at > 0) AND room_id IN (?*);

-- name: RoomLinksRemove
DELETE FROM room_link
WHERE EXISTS (SELECT 1 FROM room r WHERE r.id = room_id AND r.ended_at > 0) AND room_id IN (?*);

-- name: RoomsRemove
DELETE FROM room
WHERE ended_at > 0 AND id IN (?*);

-- name: TopicsStale
-- A page of the timelines with an oldest record from before $2. The pages together read every timeline.
SELECT t.name
FROM topic t
JOIN record r ON r.topic = t.name AND r.seq = t.floor + 1
WHERE t.name > $1 AND t.head > t.floor AND r.at < $2
ORDER BY t.name
LIMIT $3;

-- name: RecordsOldest
-- The first and the last of the oldest $2 records of a timeline that are older than $3.
SELECT coalesce(min(seq), 0), coalesce(max(seq), 0)
FROM (SELECT seq, at FROM record WHERE topic = $1 ORDER BY seq LIMIT $2) o
WHERE at < $3;

-- name: MessagesUpTo
SELECT msg
FROM record
WHERE topic = $1 AND seq <= $2 AND msg <> '';

-- name: ReceiptsRemove
DELETE FROM receipt
WHERE topic = $1 AND msg = $2;

-- name: FileHoldersRemoveMessage
-- Index: file_holder_message.
DELETE FROM file_holder
WHERE topic = $1 AND msg = $2;

-- name: RecordsRemoveUpTo
DELETE FROM record
WHERE topic = $1 AND seq <= $2;

-- name: DeletionsRemoveUpTo
-- Index: deleted_topic.
DELETE FROM deleted
WHERE topic = $1 AND seq <= $2;

-- name: TopicSetFloor
UPDATE topic
SET floor = $2
WHERE name = $1;
