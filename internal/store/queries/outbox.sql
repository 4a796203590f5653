-- fragment: OutboxFirst
-- The number of the first pending event of the ordering key of the event o. Index: outgoing_line.
(SELECT min(e.num) FROM outgoing e WHERE e.queue = o.queue AND e.state = 0 AND e.line = o.line)

-- name: OutboxDue
-- Due events of a queue, except those of some owners, each with the first pending event of its ordering key.
-- Index: outgoing_due and outgoing_line.
SELECT {outgoing o}, {OutboxFirst}
FROM outgoing o
WHERE o.queue = $1 AND o.state = 0 AND o.due <= $2 AND (o.due, o.line, o.num) > ($3, $4, $5) AND o.owner NOT IN (?*)
ORDER BY o.due, o.line, o.num
LIMIT $6;

-- name: OutboxFresh
-- Due events that happened after a time, the latest first. It passes over those that are not due. "+ 0" keeps the planner
-- from outgoing_due, which has the whole backlog. Index: outgoing_at and outgoing_line.
SELECT {outgoing o}, {OutboxFirst}
FROM outgoing o
WHERE o.queue = $1 AND o.state = 0 AND o.at > $2 AND o.due + 0 <= $3 AND o.owner NOT IN (?*)
ORDER BY o.at DESC, o.line DESC, o.num DESC
LIMIT $4;

-- name: OutboxUnpark
-- The first pending event of an ordering key is due. It reads this event only: by the index of pending events, and then by
-- its key. Index: outgoing_line.
WITH k (queue, line) AS (VALUES ?*)
UPDATE outgoing
SET due = at
WHERE (queue, line, num) IN (
    SELECT k.queue, k.line, (SELECT min(h.num) FROM outgoing h WHERE h.queue = k.queue AND h.line = k.line AND h.state = 0)
    FROM k)
AND state = 0 AND due > at AND tries = 0;

-- name: OutboxNext
-- Index: outgoing_line.
SELECT {outgoing}
FROM outgoing
WHERE queue = $1 AND state = 0 AND line = $2 AND num > $3
ORDER BY num
LIMIT $4;

-- name: OutboxOfKey
SELECT {outgoing}
FROM outgoing
WHERE queue = $1 AND line = $2
ORDER BY num
LIMIT 100;

-- name: OutboxOfKeys
SELECT {outgoing}
FROM outgoing
WHERE queue = $1 AND line IN (?*);

-- name: OutboxInState
-- Index: outgoing_at.
SELECT {outgoing}
FROM outgoing
WHERE queue = $1 AND state = $2 AND at >= $3 AND at <= $4
AND (at > $5 OR at = $5 AND (line > $6 OR line = $6 AND num > $7))
ORDER BY at, line, num
LIMIT $8;

-- name: OutboxCount
-- It counts up to a limit. Index: outgoing_at.
SELECT count(*), coalesce(min(at), 0)
FROM (SELECT at FROM outgoing WHERE queue = $1 AND state = $2 ORDER BY at LIMIT $3) oldest;

-- name: OutboxNextDue
-- Index: outgoing_due.
SELECT due
FROM outgoing
WHERE queue = $1 AND state = 0
ORDER BY due
LIMIT 1;

-- name: OutboxExpired
-- Index: outgoing_at.
SELECT at, queue, line, num
FROM outgoing
WHERE queue = $1 AND state = $2 AND at <= $3
ORDER BY at
LIMIT $4;

-- name: OutboxAbandoned
-- Pending events that no node has tried to send for a long time. Index: outgoing_due.
SELECT due, queue, line, num
FROM outgoing
WHERE queue = $1 AND state = 0 AND due <= $2
ORDER BY due
LIMIT $3;

-- name: OutboxRemove
DELETE FROM outgoing
WHERE state <> 0 AND (queue, line, num) IN (VALUES ?*);

-- name: OutboxRemovePending
DELETE FROM outgoing
WHERE state = 0 AND (queue, line, num) IN (VALUES ?*);

-- name: PushTokens
-- Index: push_token_user.
SELECT {push_token}
FROM push_token
WHERE user_id = $1
ORDER BY at, key;

-- name: PushTokensAny
-- scan: it ends with the first row.
SELECT 1
FROM push_token
LIMIT 1;

-- name: PushTokensRemoveAll
-- Index: push_token_user.
DELETE FROM push_token
WHERE user_id IN (?*);

-- name: PushTokensRemove
DELETE FROM push_token
WHERE (key, user_id) IN (VALUES ?*);

-- name: PushRinging
-- Invitees with push tokens, of open invitations.
-- Index: invitee_user_open, all of it.
SELECT DISTINCT i.user_id
FROM invitee i
JOIN person p ON p.user_id = i.user_id
WHERE i.state = 0 AND (i.deaf & 1) = 0 AND p.pushes > 0
ORDER BY i.user_id
LIMIT $1;

-- name: PushTokensHealth
-- Outcomes of pushes by token: the latest times, and the failures since a push was accepted. A node that reports an older
-- acceptance than the stored failure does not end a row of failures.
WITH h (key, user_id, accepted_at, acknowledged_at, failed_at, failures, error) AS (VALUES ?*)
UPDATE push_token
SET accepted_at = CASE WHEN h.accepted_at > push_token.accepted_at THEN h.accepted_at ELSE push_token.accepted_at END,
    acknowledged_at = CASE WHEN h.acknowledged_at > push_token.acknowledged_at THEN h.acknowledged_at
        ELSE push_token.acknowledged_at END,
    failures = CASE WHEN h.accepted_at > push_token.failed_at THEN h.failures ELSE push_token.failures + h.failures END,
    error = CASE WHEN h.failed_at > push_token.failed_at THEN h.error ELSE push_token.error END,
    failed_at = CASE WHEN h.failed_at > push_token.failed_at THEN h.failed_at ELSE push_token.failed_at END
FROM h
WHERE push_token.key = h.key AND push_token.user_id = h.user_id;

-- name: PushTest
SELECT {push_test}
FROM push_test
WHERE test_id = $1
ORDER BY key;

-- name: PushTestsAccepted
WITH h (test_id, key, accepted_at, error) AS (VALUES ?*)
UPDATE push_test
SET accepted_at = h.accepted_at, error = h.error
FROM h
WHERE push_test.test_id = h.test_id AND push_test.key = h.key AND push_test.accepted_at = 0;

-- name: PushTestsAcknowledged
WITH h (test_id, key, acknowledged_at) AS (VALUES ?*)
UPDATE push_test
SET acknowledged_at = h.acknowledged_at
FROM h
WHERE push_test.test_id = h.test_id AND push_test.key = h.key AND push_test.acknowledged_at = 0;
