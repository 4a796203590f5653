package outbox

// ringKey is the ordering key of the push that rings an invitation for one user.
func ringKey(inviteID, userID string) string { return "ring:" + inviteID + " " + userID }

// endedKey is the ordering key of the push that takes that notification away.
func endedKey(inviteID, userID string) string { return "ended:" + inviteID + " " + userID }

// withdrawnKey is the ordering key of the push that takes the notification of a revoked message away: of one user, or,
// without one, of the members of its group.
func withdrawnKey(messageID, userID string) string { return "withdrawn:" + messageID + " " + userID }

// readKey is the ordering key of the pushes that take the notifications of a read conversation away.
func readKey(conversationID, userID string) string { return "read:" + conversationID + " " + userID }

// messageKey is the ordering key of the push of a message to one user, or, without one, to the offline members of its
// group.
func messageKey(messageID, userID string) string { return "message:" + messageID + " " + userID }

// testKey is the ordering key of the test pushes of a user, so that one is sent after the other.
func testKey(userID string) string { return "test:" + userID }
