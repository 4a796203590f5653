-- name: CheckTopics
-- scan: a check reads everything.
SELECT count(*)
FROM topic;

-- name: CheckRecords
-- scan: a check reads everything.
SELECT count(*)
FROM record;

-- name: CheckInvitations
-- scan: a check reads everything.
SELECT count(*)
FROM invitation;

-- name: CheckTimelines
-- Timelines with a gap or without their last record.
-- scan: a check reads everything.
SELECT count(*)
FROM (
    SELECT t.name
    FROM topic t
    LEFT JOIN record r ON r.topic = t.name
    GROUP BY t.name, t.head, t.floor
    HAVING count(r.seq) <> t.head - t.floor OR max(r.seq) <> t.head AND t.head > t.floor) broken;

-- name: CheckCounts
-- Invitations whose counts differ from their invitees.
-- scan: a check reads everything.
SELECT count(*)
FROM (
    SELECT i.id
    FROM invitation i
    LEFT JOIN invitee w ON w.invite_id = i.id
    GROUP BY i.id, i.open, i.accepted
    HAVING i.open <> sum(CASE WHEN w.state = 0 THEN 1 ELSE 0 END)
    OR i.accepted <> sum(CASE WHEN w.state = 1 THEN 1 ELSE 0 END)) broken;
