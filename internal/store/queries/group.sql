-- name: Group
SELECT {grp}
FROM grp
WHERE id = $1;

-- name: GroupsEnding
-- Dismissed groups that still have members. Index: grp_ending.
SELECT id
FROM grp
WHERE dismissed = 1 AND members > 0 AND id > $1
ORDER BY id
LIMIT $2;

-- name: Member
SELECT {member}
FROM member
WHERE group_id = $1 AND user_id = $2;

-- name: Members
SELECT {member}
FROM member
WHERE group_id = $1 AND user_id > $2 AND gone = 0
ORDER BY user_id
LIMIT $3;

-- name: MembersByText
SELECT {member}
FROM member
WHERE group_id = $1 AND gone = 0 AND user_id > $3
AND (lower(name_card) LIKE $2 ESCAPE '!' OR name_card LIKE $5 ESCAPE '!' OR lower(user_id) LIKE $2 ESCAPE '!')
ORDER BY user_id
LIMIT $4;

-- name: GroupsOfUser
-- Index: member_user.
SELECT {grp g}
FROM member m
JOIN grp g ON g.id = m.group_id
WHERE m.user_id = $1 AND m.group_id > $2 AND m.gone = 0 AND g.dismissed = 0
ORDER BY m.group_id
LIMIT $3;

-- name: GroupsOfUserByText
-- Index: member_user.
SELECT {grp g}
FROM grp g
JOIN member m ON m.group_id = g.id
WHERE m.user_id = $1 AND m.gone = 0 AND g.dismissed = 0 AND g.id > $3
AND (lower(g.name) LIKE $2 ESCAPE '!' OR g.name LIKE $5 ESCAPE '!' OR lower(g.id) LIKE $2 ESCAPE '!')
ORDER BY g.id
LIMIT $4;

-- name: ApplicationsForAdmin
-- Index: member_role.
WITH mine AS MATERIALIZED (
    SELECT group_id FROM member WHERE user_id = $1 AND group_id >= $2 AND gone = 0 AND role > 200)
SELECT {application a}
FROM mine m
JOIN application a ON a.group_id = m.group_id
WHERE a.group_id > $2 OR a.user_id > $3
ORDER BY a.group_id, a.user_id
LIMIT $4;

-- name: Extra
SELECT {extra}
FROM extra
WHERE group_id = $1;
