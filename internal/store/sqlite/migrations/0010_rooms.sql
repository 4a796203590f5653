-- +goose Up
-- A row of room is one life of a room: ended_at = 0 while it goes on. Since when nobody is in it, and when to look whether it has ended.
ALTER TABLE room ADD COLUMN entered  BIGINT NOT NULL DEFAULT 0;
ALTER TABLE room ADD COLUMN ended_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE room ADD COLUMN empty_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE room ADD COLUMN check_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE media_call ADD COLUMN video BIGINT NOT NULL DEFAULT 0;
ALTER TABLE participant ADD COLUMN gone_sid TEXT NOT NULL DEFAULT '';
ALTER TABLE participant ADD COLUMN stays    TEXT NOT NULL DEFAULT '';

-- The latest signaling connection of somebody to a room; an empty id says that it has ended.
CREATE TABLE room_link (
    room_id TEXT   NOT NULL,
    user_id TEXT   NOT NULL,
    id      TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (room_id, user_id)
);

CREATE INDEX invitation_room ON invitation (room_id) WHERE open > 0 AND room_id <> '';

-- Earlier versions never ended a room. One without a call that goes on and without an open invitation is over; the others are looked
-- at when the server starts. seat.at of a life that is over is before created_at of the next.
INSERT INTO room (id, owner, invite_id, latest, created_at, entered)
SELECT c.room_id, coalesce((SELECT p.user_id FROM participant p WHERE p.call_id = c.id ORDER BY p.first_at, p.user_id LIMIT 1), ''), '', '', c.opened_at, 1
FROM media_call c WHERE c.ended_at = 0 AND substr(c.room_id, 1, 6) <> 'group_' AND NOT EXISTS (SELECT 1 FROM room r WHERE r.id = c.room_id);
UPDATE room SET empty_at = created_at, check_at = 1
WHERE NOT EXISTS (SELECT 1 FROM media_call c WHERE c.room_id = room.id AND c.ended_at = 0 AND c.present > 0);
UPDATE room SET check_at = 0, ended_at = created_at + (SELECT coalesce(max(c.ended_at - room.created_at), 0) FROM media_call c
    WHERE c.room_id = room.id AND c.ended_at > room.created_at) + 1
WHERE NOT EXISTS (SELECT 1 FROM media_call c WHERE c.room_id = room.id AND c.ended_at = 0)
    AND NOT EXISTS (SELECT 1 FROM invitation i WHERE i.room_id = room.id AND i.open > 0 AND i.room_id <> '');
UPDATE room SET ended_at = (SELECT max(s.at) FROM seat s WHERE s.room_id = room.id)
WHERE ended_at > 0 AND ended_at < (SELECT max(s.at) FROM seat s WHERE s.room_id = room.id);
DELETE FROM participant WHERE call_id IN (SELECT id FROM media_call WHERE ended_at > 0 AND began_at = 0);
DELETE FROM media_call WHERE ended_at > 0 AND began_at = 0;
UPDATE participant SET stays = CAST(left_at - ms AS TEXT) || '-' || CAST(left_at AS TEXT)
WHERE ms > 0 AND left_at > 0 AND call_id IN (SELECT id FROM media_call WHERE ended_at = 0);

CREATE INDEX room_due ON room (check_at) WHERE ended_at = 0 AND check_at > 0;
CREATE INDEX room_opened ON room (owner) WHERE ended_at = 0 AND entered = 1;
CREATE INDEX room_ended ON room (ended_at) WHERE ended_at > 0;
