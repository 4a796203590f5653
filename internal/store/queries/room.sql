-- name: Room
SELECT {room}
FROM room
WHERE id = $1;

-- name: RoomsDue
-- Index: room_due.
SELECT id
FROM room
WHERE ended_at = 0 AND check_at > 0 AND check_at <= $1
ORDER BY check_at
LIMIT $2;

-- name: Seat
SELECT {seat}
FROM seat
WHERE room_id = $1 AND user_id = $2;

-- name: Seats
SELECT {seat}
FROM seat
WHERE room_id = $1 AND role <> 'none' AND at >= $2
ORDER BY at, user_id
LIMIT $3;

-- name: Call
SELECT {media_call}
FROM media_call
WHERE id = $1;

-- name: CallInRoom
-- Index: media_call_open.
SELECT {media_call}
FROM media_call
WHERE room_id = $1 AND ended_at = 0;

-- name: CallsOpen
-- A page of the open calls, by room: a room has one at most. Index: media_call_open.
SELECT {media_call c}
FROM media_call c
WHERE c.ended_at = 0 AND c.room_id > $1
ORDER BY c.room_id
LIMIT $2;

-- name: CallsDue
-- Index: media_call_check.
SELECT room_id
FROM media_call
WHERE ended_at = 0 AND check_at > 0 AND check_at <= $1
ORDER BY check_at
LIMIT $2;

-- name: Participants
SELECT {participant}
FROM participant
WHERE call_id = $1
ORDER BY first_at, user_id
LIMIT $2;

-- name: ParticipantsPresent
SELECT {participant}
FROM participant
WHERE call_id = $1 AND joined_at > 0
ORDER BY first_at, user_id
LIMIT $2;

-- fragment: CallPage
-- A page of call records before the place ($1, $2) and from $3 on, the latest first. Calls without media are shown
-- only to those who ask for open calls ($4).
(c.opened_at < $1 OR c.opened_at = $1 AND c.id < $2) AND c.opened_at >= $3
AND ($4 = 0 AND c.began_at > 0 OR $4 = 1 AND c.ended_at = 0)
AND ($5 = '' OR c.group_id = $5) AND ($6 = '' OR c.room_id = $6)
ORDER BY c.opened_at DESC, c.id DESC
LIMIT $8

-- name: CallRecords
-- Index: media_call_opened.
SELECT {media_call c}
FROM media_call c
WHERE $7 = '' AND {CallPage};

-- name: CallRecordsOpen
-- Index: media_call_open. The plus signs keep SQLite from reading all calls by media_call_opened.
SELECT {media_call c}
FROM media_call c
WHERE c.ended_at = 0 AND $7 = '' AND $4 = 1
AND (+c.opened_at < $1 OR +c.opened_at = $1 AND c.id < $2) AND +c.opened_at >= $3
AND ($5 = '' OR c.group_id = $5) AND ($6 = '' OR c.room_id = $6)
ORDER BY +c.opened_at DESC, c.id DESC
LIMIT $8;

-- name: CallRecordsOfUser
-- Index: participant_user.
SELECT {media_call c}
FROM participant p
JOIN media_call c ON c.id = p.call_id
WHERE p.user_id = $7 AND {CallPage};

-- name: CallRecordsOfGroup
-- Index: media_call_group.
SELECT {media_call c}
FROM media_call c
WHERE c.group_id = $7 AND c.group_id <> '' AND {CallPage};

-- name: CallRecordsOfRoom
-- Index: media_call_room.
SELECT {media_call c}
FROM media_call c
WHERE c.room_id = $7 AND {CallPage};
