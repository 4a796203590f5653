-- +goose Up
-- Only ended invitations: retention must not pass over the open ones.
DROP INDEX invitation_online;
CREATE INDEX invitation_online ON invitation (id) WHERE open = 0 AND flags / 2 % 2 = 1;
