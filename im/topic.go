package im

import "strings"

// A topic names a timeline: one contiguous sequence of records, and the lock for appending to it. Topic names are
// spelled in this file only.
const (
	userPrefix       = "user:"
	groupPrefix      = "group:"
	invitationPrefix = "invitation:"
	statusPrefix     = "status:"
	roomPrefix       = "room:"
)

// UserTopic is the timeline of a user: all events for the user, on all devices.
func UserTopic(userID string) string { return userPrefix + userID }

// GroupTopic is the timeline of a group, subscribed by all members.
func GroupTopic(groupID string) string { return groupPrefix + groupID }

// InvitationTopic is the timeline of answers for the invitees of an invitation whose events are not on a group's
// timeline (SPEC 1: several invitees without a group, or notify "participants").
func InvitationTopic(inviteID string) string { return invitationPrefix + inviteID }

// StatusTopic publishes a user's presence to subscribers. It is not stored.
func StatusTopic(userID string) string { return statusPrefix + userID }

// RoomTopic is the lock of a media room. It has no subscribers.
func RoomTopic(roomID string) string { return roomPrefix + roomID }

// FirstSequence returns the sequence before the first record of a topic that is created at a time, in milliseconds. The
// timeline of an invitation is removed with it, and its ID may be used again: a position in the first one must not be
// valid in the second, so its sequences begin with the time.
func FirstSequence(topic string, now int64) uint64 {
	if strings.HasPrefix(topic, invitationPrefix) {
		return uint64(max(now, 0))
	}
	return 0
}

// IsTimeline reports whether a topic names a user, a group, an invitation, a room or a presence, and not a lock of the
// server.
func IsTimeline(topic string) bool {
	for _, prefix := range []string{userPrefix, groupPrefix, invitationPrefix, statusPrefix, roomPrefix} {
		if strings.HasPrefix(topic, prefix) {
			return true
		}
	}
	return false
}

// TopicStatus returns the user of a status topic, or "" for any other topic.
func TopicStatus(topic string) string {
	id, ok := strings.CutPrefix(topic, statusPrefix)
	if !ok {
		return ""
	}
	return id
}

// TopicGroup returns the group of a group topic, or "" for any other topic.
func TopicGroup(topic string) string {
	id, ok := strings.CutPrefix(topic, groupPrefix)
	if !ok {
		return ""
	}
	return id
}

// TopicUser returns the user of a user topic, or "" for any other topic.
func TopicUser(topic string) string {
	id, _ := strings.CutPrefix(topic, userPrefix)
	if len(id) == len(topic) {
		return ""
	}
	return id
}

// TopicInvitation returns the invitation of an invitation topic, or "" for any other topic.
func TopicInvitation(topic string) string {
	id, _ := strings.CutPrefix(topic, invitationPrefix)
	if len(id) == len(topic) {
		return ""
	}
	return id
}
