package im

import "strings"

// A topic names a timeline: one contiguous sequence of records, and the lock under which it grows.
// This file is the only place that spells the names of timelines.
const (
	userPrefix       = "user:"
	groupPrefix      = "group:"
	invitationPrefix = "invitation:"
	statusPrefix     = "status:"
	roomPrefix       = "room:"
)

// UserTopic is the timeline of one person: everything that concerns them, on all their devices.
func UserTopic(userID string) string { return userPrefix + userID }

// GroupTopic is the timeline of a group, heard by all its members.
func GroupTopic(groupID string) string { return groupPrefix + groupID }

// InvitationTopic is the timeline on which the invitees of an invitation that has no group to be heard in
// (SPEC 1: several invitees without a group, or notify "participants") hear each other's answers.
func InvitationTopic(inviteID string) string { return invitationPrefix + inviteID }

// StatusTopic carries whether a person is online, to those who subscribed. Nothing on it is stored.
func StatusTopic(userID string) string { return statusPrefix + userID }

// RoomTopic is the lock of a media room. Nobody listens to it.
func RoomTopic(roomID string) string { return roomPrefix + roomID }

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
