-- name: AdminUser
SELECT profile, pushes
FROM person
WHERE user_id = $1;

-- name: AdminUserTopics
-- A page of user topics that begin with a text.
SELECT t.name
FROM topic t
WHERE t.name > $1 AND t.name LIKE $2 ESCAPE '!'
ORDER BY t.name
LIMIT $3;

-- name: AdminGroups
-- It passes over groups without the text: a text can stand anywhere in a name.
SELECT {grp g}
FROM grp g
WHERE g.id > $1 AND g.dismissed = 0 AND (g.id LIKE $2 ESCAPE '!' OR g.name LIKE $2 ESCAPE '!')
ORDER BY g.id
LIMIT $3;

-- name: AdminOpenInvitations
-- Index: invitation_inviter_open.
SELECT {invitation}
FROM invitation
WHERE open > 0 AND (inviter > $1 OR inviter = $1 AND id > $2)
ORDER BY inviter, id
LIMIT $3;

-- name: AdminOpenInvitationCount
-- Index: invitation_inviter_open, all of it.
SELECT count(*)
FROM invitation
WHERE open > 0;

-- name: AdminOpenCallCount
-- Index: media_call_open, all of it.
SELECT count(*)
FROM media_call
WHERE ended_at = 0;

-- name: AdminStats
-- Sums and maxima in steps of $1; of the counter $2, which all nodes see alike, one node counts.
SELECT at - at % $1, name, sum(n), max(n)
FROM (
    SELECT at, name, CASE WHEN name = $2 THEN max(n) ELSE sum(n) END AS n
    FROM stat
    WHERE at >= $3 AND at < $4
    GROUP BY at, name) s
GROUP BY 1, 2
ORDER BY 1, 2;

-- name: StatsExpired
SELECT at, at, node, name
FROM stat
WHERE at < $1
ORDER BY at
LIMIT $2;

-- name: StatsRemove
DELETE FROM stat
WHERE (at, node, name) IN (VALUES ?*);
