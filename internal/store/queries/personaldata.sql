-- An export reads page by page: the user, the key of the last row, and the number of rows. No page may read much more
-- than it returns: where no index leads to the user, all rows are read in the order of their key, and Go picks out
-- those of the user.

-- name: ExportPerson
SELECT user_id, profile, status, dnd, revoked, pushes
FROM person
WHERE user_id = $1 AND user_id > $2
LIMIT $3;

-- name: ExportDevice
-- Index: push_token_user.
SELECT key, device_id, provider, body, at, accepted_at, acknowledged_at, failed_at, failures, error
FROM push_token
WHERE user_id = $1 AND key > $2
ORDER BY key
LIMIT $3;

-- name: ExportContact
SELECT peer, blocked_at, pinned_at, opt, read_seq, cleared_seq, hidden_seq
FROM contact
WHERE user_id = $1 AND peer > $2
ORDER BY peer
LIMIT $3;

-- name: ExportFollows
SELECT target
FROM follow
WHERE user_id = $1 AND target > $2
ORDER BY target
LIMIT $3;

-- name: ExportMembership
SELECT m.group_id, g.name, g.type, m.role, m.joined_at, m.gone, m.name_card, m.custom, m.muted_until, m.banned_until,
    m.pinned_at, m.opt, m.read_seq, m.cleared_seq, m.hidden_seq
FROM member m
JOIN grp g ON g.id = m.group_id
WHERE m.user_id = $1 AND m.group_id > $2
ORDER BY m.group_id
LIMIT $3;

-- name: ExportApplication
SELECT group_id, user_id, inviter, reason, state, applied_at, handler, answer, handled_at
FROM application
WHERE $1 <> '' AND (group_id, user_id) > ($2, $3)
ORDER BY group_id, user_id
LIMIT $4;

-- name: ExportInvited
SELECT id, inviter, peer, group_id, room_id, timeout, created_at, deadline, by_device, data, push
FROM invitation
WHERE $1 <> '' AND id > $2
ORDER BY id
LIMIT $3;

-- name: ExportWasInvited
SELECT invite_id, user_id, state, reason, data, ringing_at, deadline, decided_at, by_device
FROM invitee
WHERE $1 <> '' AND (invite_id, user_id) > ($2, $3)
ORDER BY invite_id, user_id
LIMIT $4;

-- name: ExportRoom
SELECT id, owner, invite_id, created_at, ended_at
FROM room
WHERE $1 <> '' AND id > $2
ORDER BY id
LIMIT $3;

-- name: ExportSeat
SELECT room_id, user_id, role, at
FROM seat
WHERE $1 <> '' AND (room_id, user_id) > ($2, $3)
ORDER BY room_id, user_id
LIMIT $4;

-- name: ExportCall
SELECT id, room_id, invite_id, group_id, owner, peer, ended_by, opened_at, began_at, ended_at, ms, reason, video
FROM media_call
WHERE $1 <> '' AND id > $2
ORDER BY id
LIMIT $3;

-- name: ExportTookPart
-- Index: participant_user.
SELECT p.call_id, c.room_id, p.first_at, p.joined_at, p.left_at, p.ms, p.reason, p.stays
FROM participant p
JOIN media_call c ON c.id = p.call_id
WHERE p.user_id = $1 AND p.call_id > $2
ORDER BY p.call_id
LIMIT $3;

-- name: ExportRoomConnection
SELECT room_id, user_id, at
FROM room_link
WHERE $1 <> '' AND (room_id, user_id) > ($2, $3)
ORDER BY room_id, user_id
LIMIT $4;

-- name: ExportFile
-- Index: file_owner.
SELECT id, owner, kind, name, type, size, width, height, at
FROM file
WHERE owner = $1 AND id > $2
ORDER BY id
LIMIT $3;

-- name: ExportEvent
SELECT seq, at, body
FROM record
WHERE topic = 'user:' || $1 AND seq > $2
ORDER BY seq
LIMIT $3;

-- name: ExportInviteEvent
SELECT $2, seq, at, body
FROM record
WHERE $1 <> '' AND topic = 'invitation:' || $2 AND seq > $3
ORDER BY seq
LIMIT $4;

-- name: ExportInviteEventNext
-- The next invitation of the user as its inviter or an invitee, by id.
SELECT v.id
FROM invitation v
WHERE v.id > $2
AND (v.inviter = $1 OR EXISTS (SELECT 1 FROM invitee w WHERE w.invite_id = v.id AND w.user_id = $1))
ORDER BY v.id
LIMIT 1;

-- name: ExportGroupEvent
SELECT m.group_id, r.seq, r.at, r.body, r.sender, r.audience, m.joined_seq, m.gone
FROM member m
JOIN record r ON r.topic = 'group:' || m.group_id
WHERE m.user_id = $1 AND m.group_id = $2 AND r.topic = 'group:' || $2 AND r.seq > $3
ORDER BY r.seq
LIMIT $4;

-- name: ExportGroupEventNext
SELECT group_id
FROM member
WHERE user_id = $1 AND group_id > $2
ORDER BY group_id
LIMIT 1;

-- name: ExportRead
SELECT topic, msg, user_id, at
FROM receipt
WHERE $1 <> '' AND (topic, msg, user_id) > ($2, $3, $4)
ORDER BY topic, msg, user_id
LIMIT $5;

-- name: ExportReaction
-- Index: reaction_user.
SELECT topic, msg, reaction, at
FROM reaction
WHERE user_id = $1 AND (topic, msg, reaction) > ($2, $3, $4)
ORDER BY topic, msg, reaction
LIMIT $5;

-- name: ExportDeletedForMe
SELECT topic, seq
FROM deleted
WHERE user_id = $1 AND (topic, seq) > ($2, $3)
ORDER BY topic, seq
LIMIT $4;

-- An erasure first rewrites what indexes find, and then reads all tables in pages, in the order of their keys: copies of
-- a user's content may be anywhere. The user is the first parameter of each statement that changes a row, two parts of
-- the key follow.

-- fragment: ErasePage
SELECT topic, seq, at, sender, body FROM record

-- name: EraseTimeline
{ErasePage} WHERE topic = $1 AND seq > $2
ORDER BY seq
LIMIT $3;

-- name: EraseConversation
-- Index: record_history.
{ErasePage} WHERE topic = $1 AND peer = $2 AND peer <> '' AND seq > $3
ORDER BY seq
LIMIT $4;

-- name: EraseRecords
{ErasePage} WHERE (topic, seq) > ($1, $2)
ORDER BY topic, seq
LIMIT $3;

-- name: EraseRecord
SELECT msg, flags, at, body
FROM record
WHERE topic = $1 AND seq = $2;

-- name: EraseRecordBody
UPDATE record
SET body = $1, flags = $2
WHERE topic = $3 AND seq = $4;

-- name: EraseContacts
SELECT peer
FROM contact
WHERE user_id = $1 AND peer > $2
ORDER BY peer
LIMIT $3;

-- name: EraseFiles
-- Index: file_owner.
SELECT id
FROM file
WHERE owner = $1
ORDER BY id
LIMIT $2;

-- name: EraseInvitations
SELECT id, inviter, created_at
FROM invitation
WHERE id > $1
ORDER BY id
LIMIT $2;

-- name: EraseInvitation
UPDATE invitation
SET data = '', push = ''
WHERE inviter = $1 AND id = $2 AND $3 = '' AND (data <> '' OR push <> '');

-- name: EraseInvitees
SELECT invite_id, user_id, user_id, decided_at
FROM invitee
WHERE (invite_id, user_id) > ($1, $2)
ORDER BY invite_id, user_id
LIMIT $3;

-- name: EraseInvitee
UPDATE invitee
SET data = ''
WHERE user_id = $1 AND invite_id = $2 AND $3 = '' AND data <> '';

-- name: EraseContact
DELETE FROM contact
WHERE user_id = $1;

-- name: EraseFollow
DELETE FROM follow
WHERE user_id = $1;

-- name: EraseFollowers
SELECT user_id, target, target, 0
FROM follow
WHERE (user_id, target) > ($1, $2)
ORDER BY user_id, target
LIMIT $3;

-- name: EraseFollower
DELETE FROM follow
WHERE target = $1 AND user_id = $2 AND $3 = '';

-- name: EraseReceipts
SELECT topic, msg, user_id, user_id, at
FROM receipt
WHERE (topic, msg, user_id) > ($1, $2, $3)
ORDER BY topic, msg, user_id
LIMIT $4;

-- name: EraseReceipt
DELETE FROM receipt
WHERE user_id = $1 AND topic = $2 AND msg = $3;

-- name: EraseReactions
-- Index: reaction_user.
SELECT x.topic, x.msg, x.reaction, coalesce(r.seq, 0), coalesce(r.flags, 0), coalesce(r.body, '')
FROM (SELECT topic, msg, reaction FROM reaction WHERE user_id = $1 ORDER BY topic, msg, reaction LIMIT $2) x
LEFT JOIN record r ON r.topic = x.topic AND r.msg = x.msg AND r.msg <> ''
ORDER BY x.topic, x.msg, x.reaction;

-- name: EraseReaction
DELETE FROM reaction
WHERE topic = $1 AND msg = $2 AND user_id = $3 AND reaction = $4;

-- name: EraseDeletion
DELETE FROM deleted
WHERE user_id = $1;

-- name: EraseApplications
SELECT group_id, user_id, user_id, applied_at
FROM application
WHERE (group_id, user_id) > ($1, $2)
ORDER BY group_id, user_id
LIMIT $3;

-- name: EraseApplication
DELETE FROM application
WHERE user_id = $1 AND group_id = $2 AND $3 = '';

-- name: ErasePushToken
-- Index: push_token_user.
DELETE FROM push_token
WHERE user_id = $1;

-- name: ErasePushTest
-- Index: push_test_user.
DELETE FROM push_test
WHERE user_id = $1;

-- name: EraseTombstones
SELECT invite_id, user_id, user_id, 0
FROM mark
WHERE (invite_id, user_id) > ($1, $2)
ORDER BY invite_id, user_id
LIMIT $3;

-- name: EraseTombstone
DELETE FROM mark
WHERE user_id = $1 AND invite_id = $2 AND $3 = '';

-- name: EraseSeats
SELECT room_id, user_id, user_id, at
FROM seat
WHERE (room_id, user_id) > ($1, $2)
ORDER BY room_id, user_id
LIMIT $3;

-- name: EraseSeat
DELETE FROM seat
WHERE user_id = $1 AND room_id = $2 AND $3 = '';

-- name: EraseRoomLinks
SELECT room_id, user_id, user_id, at
FROM room_link
WHERE (room_id, user_id) > ($1, $2)
ORDER BY room_id, user_id
LIMIT $3;

-- name: EraseRoomLink
DELETE FROM room_link
WHERE user_id = $1 AND room_id = $2 AND $3 = '';

-- name: EraseMembers
SELECT group_id, user_id, user_id, joined_at
FROM member
WHERE (group_id, user_id) > ($1, $2)
ORDER BY group_id, user_id
LIMIT $3;

-- name: EraseMember
UPDATE member
SET name_card = '', custom = ''
WHERE user_id = $1 AND group_id = $2 AND $3 = '' AND (name_card <> '' OR custom <> '');

-- name: ErasePerson
-- revoked stays: the revoked tokens would be valid again.
UPDATE person
SET profile = '', status = '', dnd = '', pushes = 0
WHERE user_id = $1;

-- name: ErasePushes
-- Pushes have texts, also those of others to this user.
SELECT line, num, body, at
FROM outgoing
WHERE queue = 'push' AND (line, num) > ($1, $2)
ORDER BY line, num
LIMIT $3;

-- name: ErasePush
DELETE FROM outgoing
WHERE queue = 'push' AND line = $2 AND num = $3 AND $1 <> '';

-- name: Erasure
SELECT {erasure}
FROM erasure
WHERE user_id = $1;

-- name: ErasuresToRun
-- Running erasures of a node, or of none, those with the fewest stages first. Index: erasure_running.
SELECT {erasure}
FROM erasure
WHERE ended_at = 0 AND (owner = $1 OR owned_until <= $2)
ORDER BY stage, user_id
LIMIT $3;

-- name: Erasures
SELECT {erasure}
FROM erasure
WHERE user_id > $1
ORDER BY user_id
LIMIT $2;

-- name: FileHoldersRemove
DELETE FROM file_holder
WHERE file_id IN (?*);

-- name: FileReadersRemove
DELETE FROM file_reader
WHERE file_id IN (?*);

-- name: FilesRemove
DELETE FROM file
WHERE id IN (?*);
