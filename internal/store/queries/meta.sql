-- name: MetaPut
-- The first value of a name stays.
INSERT INTO meta (name, value)
VALUES ($1, $2)
ON CONFLICT (name) DO NOTHING;

-- name: Meta
SELECT value
FROM meta
WHERE name = $1;

-- name: MetaSet
UPDATE meta
SET value = $1
WHERE name = $2;

-- name: MetaRemove
DELETE FROM meta
WHERE name = $1;
