-- name: User
SELECT {person}
FROM person
WHERE user_id = $1;

-- name: Users
SELECT {person}
FROM person
WHERE user_id IN (?*);

-- name: Follows
SELECT target
FROM follow
WHERE user_id = $1
ORDER BY target;

-- name: BlockedByUser
SELECT peer
FROM contact
WHERE user_id = $1 AND blocked_at > 0 AND peer > $2
ORDER BY peer
LIMIT $3;

-- name: BlockedCount
-- Index: contact_blocked.
SELECT count(*)
FROM contact
WHERE user_id = $1 AND blocked_at > 0;

-- name: BlockersOfUser
SELECT user_id
FROM contact
WHERE peer = $1 AND blocked_at > 0 AND user_id IN (?*);
