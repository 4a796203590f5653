-- +goose Up

-- What counted as unread and no longer does: on one side of a conversation, and for all members of a group. extra is what counts
-- for one member alone.
ALTER TABLE contact ADD COLUMN skipped TEXT NOT NULL DEFAULT '';
ALTER TABLE member ADD COLUMN skipped TEXT NOT NULL DEFAULT '';
ALTER TABLE member ADD COLUMN extra TEXT NOT NULL DEFAULT '';
ALTER TABLE grp ADD COLUMN revoked TEXT NOT NULL DEFAULT '';

-- Where the invite stands in the invitee's conversation. 4 in deaf marks the invitees of an invitation to several without a group.
ALTER TABLE invitee ADD COLUMN counted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE invitee ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
UPDATE invitee SET deaf = deaf + 4 WHERE invite_id IN (SELECT id FROM invitation WHERE open > 0 AND party = 1 AND group_id = '');
CREATE INDEX invitee_follows ON invitee (user_id) WHERE deaf >= 4;
CREATE INDEX invitation_group_answered ON invitation (group_id) WHERE open > 0 AND group_id <> '' AND accepted + rejected + cancelled + timed_out > 0;

ALTER TABLE invitation ADD COLUMN counted BIGINT NOT NULL DEFAULT 0;

-- The first 100 names of several invitees.
ALTER TABLE invitation ADD COLUMN names TEXT NOT NULL DEFAULT '';
UPDATE invitation SET names = coalesce((SELECT string_agg(w.user_id, chr(10) ORDER BY w.ord) FROM (SELECT user_id, ord FROM invitee WHERE invite_id = invitation.id AND ord < 100 ORDER BY ord) w), '')
WHERE open > 0 AND peer = '';
