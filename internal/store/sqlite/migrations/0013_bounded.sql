-- +goose Up
-- Only ended invitations: retention must not pass over the open ones.
DROP INDEX invitation_online;
CREATE INDEX invitation_online ON invitation (id) WHERE open = 0 AND flags / 2 % 2 = 1;
-- Large invitations of a group are counted before another; dismissed groups are listed until their members have left.
CREATE INDEX invitation_group_large ON invitation (group_id) WHERE open > 100 AND group_id <> '';
CREATE INDEX grp_ending ON grp (id) WHERE dismissed = 1 AND members > 0;
