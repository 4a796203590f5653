-- name: TopicHead
SELECT head, floor
FROM topic
WHERE name = $1;

-- name: TopicHeads
SELECT name, head
FROM topic
WHERE name IN (?*);

-- name: TopicCounted
SELECT head, counted
FROM topic
WHERE name = $1;

-- name: TopicCreate
-- The rows by which topics are locked, before their first record.
INSERT INTO topic (name, head, floor, oldest)
VALUES ?*
ON CONFLICT (name) DO NOTHING;

-- name: TopicRecords
SELECT seq, at, device, listen, body, audience
FROM record
WHERE topic = $1 AND seq > $2
ORDER BY seq
LIMIT $3;
