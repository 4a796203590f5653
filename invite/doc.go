// Package invite decides invitations: permitted answers, winners of races, timeouts.
//
// Programs with the Go SDK use State, Counts, Notify and Push, which requests and responses have. The rest are the
// rules by which the server decides: New opens an invitation, Apply answers it, Cancel, Expire, Modify and Add change
// it.
//
// It is pure: state, action and now in; new state or error out. It has no I/O, no clock and no goroutine. It reads the
// invitation and the invitees concerned only, so an answer costs the same for one invitee or ten thousand.
package invite
