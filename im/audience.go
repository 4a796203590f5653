package im

import "strings"

// historyOnly begins the audience of a record that is read from the history and never sent to sessions.
const historyOnly = "="

// HistoryOf is the audience of a record of the history for the participants of an invitation.
func HistoryOf(inviteID string) string { return historyOnly + inviteID }

// AudienceInvitation returns the invitation of an audience made by HistoryOf; ok is false for any other.
func AudienceInvitation(audience string) (inviteID string, ok bool) {
	return strings.CutPrefix(audience, historyOnly)
}
