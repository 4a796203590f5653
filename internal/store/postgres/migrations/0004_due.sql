-- +goose NO TRANSACTION
-- +goose Up
-- Each node looks for the invitations that are due soon: the one that opened them may be gone. Made beside running nodes.
-- One that was broken off is there, and of no use.
DROP INDEX CONCURRENTLY IF EXISTS invitation_due;
CREATE INDEX CONCURRENTLY IF NOT EXISTS invitation_due ON invitation (due, id) WHERE open > 0 AND due > 0;
