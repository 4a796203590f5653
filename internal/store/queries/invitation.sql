-- name: Invitation
SELECT {invitation}
FROM invitation
WHERE id = $1;

-- name: Invitations
SELECT {invitation}
FROM invitation
WHERE id IN (?*);

-- name: InvitationsStillOpen
SELECT {invitation}
FROM invitation
WHERE open > 0 AND id IN (?*);

-- fragment: OwnEnds
coalesce(t.head, 0), coalesce(t.floor, 0)

-- fragment: OwnTopic
-- The topic of the invitation v, if it has one: 1 in party.
LEFT JOIN topic t ON v.party & 1 = 1 AND t.name = 'invitation:' || v.id

-- name: OpenByInviter
-- Index: invitation_inviter_open.
SELECT {invitation v}, {OwnEnds}
FROM invitation v
{OwnTopic}
WHERE v.inviter = $1 AND v.open > 0
ORDER BY v.created_at
LIMIT $2;

-- name: OpenInGroup
-- Index: invitation_group_open.
SELECT id
FROM invitation
WHERE group_id = $1 AND group_id <> '' AND open > 0 AND id > $2
ORDER BY id
LIMIT $3;

-- name: OpenOfMembers
-- Index: invitee_user_open.
SELECT count(*), coalesce(sum(CASE WHEN v.group_id = $1 THEN 1 ELSE 0 END), 0)
FROM (SELECT w.invite_id FROM invitee w WHERE w.state = 0 AND w.user_id IN (?*) LIMIT $2) few
JOIN invitation v ON v.id = few.invite_id;

-- name: LargeInGroup
-- Invitations of a group that are open for more than 100, and those of them of one inviter.
-- Index: invitation_group_large.
SELECT count(*), coalesce(sum(CASE WHEN inviter = $2 THEN 1 ELSE 0 END), 0)
FROM invitation
WHERE group_id = $1 AND group_id <> '' AND open > 100;

-- name: OpenForInvitee
-- Index: invitee_user_open. 1 in deaf: the invitee is not to know of the invitation.
SELECT {invitee w}, {invitation v}, {OwnEnds}
FROM invitee w
JOIN invitation v ON v.id = w.invite_id
{OwnTopic}
WHERE w.user_id = $1 AND w.state = 0 AND w.deaf & 1 = 0
LIMIT $2;

-- name: FollowedByInvitee
-- Invitations to several without a group in which the user has answered. Index: invitee_follows, for which 4 in deaf
-- is written so.
SELECT {invitee w}, {invitation v}, {OwnEnds}
FROM invitee w
JOIN invitation v ON v.id = w.invite_id
{OwnTopic}
WHERE w.user_id = $1 AND w.deaf >= 4 AND w.deaf & 1 = 0 AND w.state <> 0
LIMIT $2;

-- name: AnsweredInGroups
-- The invitations of the user's groups that are decided for the user and open for others. Index:
-- invitation_group_answered, of each group.
SELECT {invitee w}, {invitation v}, {OwnEnds}
FROM invitee w
JOIN invitation v ON v.id = w.invite_id
{OwnTopic}
WHERE w.user_id = $1 AND w.state <> 0 AND w.deaf & 1 = 0
AND v.open > 0 AND v.group_id <> '' AND v.accepted + v.rejected + v.cancelled + v.timed_out > 0
AND v.group_id IN (SELECT m.group_id FROM member m WHERE m.user_id = $1 AND m.gone = 0)
LIMIT $2;

-- name: Memberships
-- The groups of a user, with the position from which the user reads each and its head. Index: member_user.
SELECT m.group_id, m.joined_seq, coalesce(t.head, 0), coalesce(t.floor, 0)
FROM member m
LEFT JOIN topic t ON t.name = 'group:' || m.group_id
WHERE m.user_id = $1 AND m.gone = 0;

-- name: PastInvitations
-- Invitations with their topics, and whether the user is an invitee: -1 = never invited, 1 in deaf: not to know of it.
SELECT {invitation v}, {OwnEnds}, coalesce(w.deaf, -1)
FROM invitation v
LEFT JOIN invitee w ON w.invite_id = v.id AND w.user_id = $1
{OwnTopic}
WHERE v.id IN (?*);

-- name: Invitee
SELECT {invitee}
FROM invitee
WHERE invite_id = $1 AND user_id = $2;

-- name: Invitees
SELECT {invitee}
FROM invitee
WHERE invite_id = $1 AND ord >= $2
ORDER BY ord
LIMIT $3;

-- name: Undigested
-- Large groups (16 is their flag) whose last version was not digested. Index: invitation_undigested, which has the
-- flag in this form.
SELECT id
FROM invitation
WHERE flags / 16 % 2 = 1 AND digested < version;

-- name: Deadlines
-- Read once, when a server on SQLite starts. Index: invitation_inviter_open, all of it.
SELECT id, due
FROM invitation
WHERE open > 0;

-- name: DueSoon
-- Index: invitation_due, which PostgreSQL alone has: only nodes that share a database ask. Each node asks for its share,
-- by the time, and for those that are later than $7.
SELECT id, due
FROM invitation
WHERE open > 0 AND due > 0 AND due <= $1 AND (due > $2 OR due = $2 AND id > $3) AND (due % $5 = $6 OR due < $7)
ORDER BY due, id
LIMIT $4;
