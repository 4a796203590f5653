-- Each query of due rows returns the time that makes a row due, and its key, the oldest first. With a limit of 1 it
-- finds out whether anything is due.

-- name: TombstonesDue
-- Index: mark_expires.
SELECT expires_at, invite_id, user_id
FROM mark
WHERE expires_at <= $1
ORDER BY expires_at
LIMIT $2;

-- name: TombstonesRemove
DELETE FROM mark
WHERE (invite_id, user_id) IN (VALUES ?*);

-- name: FileHoldersDue
-- Index: file_holder_until.
SELECT until, topic, msg
FROM file_holder
WHERE until > 0 AND until <= $1
ORDER BY until
LIMIT $2;

-- name: OnlineInvitationsDue
-- Ended online-only invitations (2 is their flag). An invitation without the time of its end (0) was ended by an earlier
-- version; its answers have the time. Index: invitation_online, which has the flag in this form.
SELECT i.ended_at, i.id
FROM invitation i
WHERE i.flags / 2 % 2 = 1 AND i.open = 0 AND i.ended_at < $1
AND (i.ended_at > 0 OR NOT EXISTS (SELECT 1 FROM invitee w WHERE w.invite_id = i.id AND w.decided_at >= $1))
ORDER BY i.ended_at
LIMIT $2;

-- name: InvitationsDue
-- Index: invitation_ended.
SELECT ended_at, id
FROM invitation
WHERE open = 0 AND ended_at < $1
ORDER BY ended_at
LIMIT $2;

-- name: InvitationsEnded
-- Times and sizes of ended invitations: 0 = the time of the end is unknown, the number of rows, and whether the
-- room that the invitation opened still lives.
SELECT i.id, i.ended_at, i.accepted + i.rejected + i.cancelled + i.timed_out,
    (SELECT count(*) FROM room r WHERE r.id = i.room_id AND r.invite_id = i.id AND r.ended_at = 0)
FROM invitation i
WHERE i.open = 0 AND i.id IN (?*);

-- name: InvitationsDecided
-- The time of the last decision about each invitation.
SELECT invite_id, max(decided_at)
FROM invitee
WHERE invite_id IN (?*)
GROUP BY invite_id;

-- name: InvitationSetEnded
UPDATE invitation
SET ended_at = $2
WHERE id = $1 AND open = 0;

-- name: InviteesRemove
DELETE FROM invitee
WHERE EXISTS (SELECT 1 FROM invitation i WHERE i.id = invite_id AND i.open = 0) AND invite_id IN (?*);

-- name: InvitationsRemove
DELETE FROM invitation
WHERE open = 0 AND id IN (?*);

-- name: RecordsRemoveTopics
DELETE FROM record
WHERE topic IN (?*);

-- name: TopicsRemove
DELETE FROM topic
WHERE name IN (?*);

-- name: RoomsEnded
-- Index: room_ended.
SELECT ended_at, id
FROM room
WHERE ended_at > 0 AND ended_at < $1
ORDER BY ended_at
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

-- name: CallsEnded
-- Index: media_call_ended.
SELECT ended_at, id
FROM media_call
WHERE ended_at > 0 AND ended_at < $1
ORDER BY ended_at
LIMIT $2;

-- name: ParticipantsRemove
DELETE FROM participant
WHERE call_id IN (?*);

-- name: CallsRemove
DELETE FROM media_call
WHERE ended_at > 0 AND id IN (?*);

-- name: ApplicationsDue
-- Handled applications. Index: application_handled.
SELECT handled_at, group_id, user_id
FROM application
WHERE state <> 0 AND handled_at < $1
ORDER BY handled_at
LIMIT $2;

-- name: ApplicationsRemove
DELETE FROM application
WHERE state <> 0 AND (group_id, user_id) IN (VALUES ?*);

-- name: FilesDue
-- Index: file_used.
SELECT used_at, id
FROM file
WHERE used_at < $1
ORDER BY used_at
LIMIT $2;

-- name: FilesUploaded
SELECT id, at
FROM file
WHERE id IN (?*);

-- name: FilesHeld
-- The time of the last message that holds each file; of one that is not stored, its end.
SELECT h.file_id, max(CASE WHEN h.until > 0 THEN h.until ELSE coalesce(r.at, 0) END)
FROM file_holder h
LEFT JOIN record r ON r.topic = h.topic AND r.msg = h.msg AND r.msg <> ''
WHERE h.file_id IN (?*)
GROUP BY h.file_id;

-- name: FileSetUsed
UPDATE file
SET used_at = $2
WHERE id = $1;

-- name: ErasuresEnded
-- Index: erasure_ended.
SELECT ended_at, user_id
FROM erasure
WHERE ended_at > 0 AND ended_at < $1
ORDER BY ended_at
LIMIT $2;

-- name: ErasuresRemove
DELETE FROM erasure
WHERE ended_at > 0 AND user_id IN (?*);

-- name: TimelinesDue
-- Index: topic_oldest.
SELECT oldest, name
FROM topic
WHERE oldest >= 0 AND oldest < $1
ORDER BY oldest
LIMIT $2;

-- name: RecordsOldest
SELECT seq, at, msg
FROM record
WHERE topic = $1
ORDER BY seq
LIMIT $2;

-- name: ReceiptsRemove
DELETE FROM receipt
WHERE (topic, msg) IN (VALUES ?*);

-- name: ReactionsDue
SELECT topic, msg, user_id, reaction
FROM reaction
WHERE (topic, msg) IN (VALUES ?*)
LIMIT 200;

-- name: ReactionsRemove
DELETE FROM reaction
WHERE (topic, msg, user_id, reaction) IN (VALUES ?*);

-- name: RecordsRemoveUpTo
DELETE FROM record
WHERE topic = $1 AND seq <= $2;

-- name: DeletionsRemoveUpTo
-- Index: deleted_topic.
DELETE FROM deleted
WHERE topic = $1 AND seq <= $2;

-- name: TopicSetOldest
UPDATE topic
SET oldest = $2
WHERE name = $1;

-- name: TopicRemoveUnused
-- A row that was only a lock: it never had a record. $2 is the invitation of the topic, or empty.
DELETE FROM topic
WHERE name = $1 AND head = floor
AND (head = 0 OR $2 <> '' AND NOT EXISTS (SELECT 1 FROM invitation i WHERE i.id = $2));

-- name: PushTestsDue
-- Index: push_test_at.
SELECT at, test_id, key
FROM push_test
WHERE at <= $1
ORDER BY at
LIMIT $2;

-- name: PushTestsRemove
DELETE FROM push_test
WHERE (test_id, key) IN (VALUES ?*);
