package contract

import (
	"github.com/danielgtaylor/huma/v2"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// id is the form of an ID.
type id struct {
	limit   int
	pattern string // of one or more characters
	example string
}

// ids are the forms of IDs, by the name of their kind.
var ids = map[string]id{
	"user":         {im.MaxUserID, `[^\s\x00-\x1f\x7f]`, "alice"},
	"group":        {im.MaxGroupID, `[A-Za-z0-9_.:@+=#-]`, "group-1"},
	"invite":       {im.MaxInviteID, `[A-Za-z0-9_.:-]`, "019ad5c4-6d1c-7c3f-9d4e-2f8a1b3c4d5e"},
	"message":      {im.MaxMessageID, `[A-Za-z0-9_.:@+=-]`, "019ad5c4-6d1c-7c3f-9d4e-2f8a1b3c4d5f"},
	"request":      {im.MaxRequestID, `[A-Za-z0-9_.:@+=-]`, "019ad5c4-6d1c-7c3f-9d4e-2f8a1b3c4d60"},
	"device":       {im.MaxDeviceID, `[A-Za-z0-9_.:@+=-]`, "phone-1"},
	"room":         {im.MaxRoomID, `[A-Za-z0-9_.:@+=#-]`, "room-1"},
	"conversation": {len("group_") + im.MaxUserID, `(c2c|group)_[^\s\x00-\x1f\x7f]`, "c2c_bob"},
}

// kinds are the kinds of IDs, by the names of fields.
var kinds = map[string]string{
	"userID": "user", "inviter": "user", "invitee": "user", "owner": "user", "inviteeList": "user", "userIDList": "user",
	"memberList": "user", "mentions": "user", "receiverList": "user", "members": "user", "accepted": "user",
	"rejected": "user", "groupID": "group", "groupIDList": "group", "inviteID": "invite", "inviteIDs": "invite",
	"messageID": "message", "messageIDList": "message", "replyTo": "message", "requestID": "request", "deviceID": "device",
	"roomID": "room", "conversationID": "conversation", "device": "device", "merged": "invite",
}

// identify describes a string that is an ID by the name of its field. An optional ID may be empty, as if absent.
func identify(s *huma.Schema, name string, optional bool) {
	form, ok := ids[kinds[name]]
	if !ok {
		return
	}
	s.MaxLength = number(form.limit)
	s.Extensions = map[string]any{"x-maxBytes": form.limit}
	if s.Pattern = "^(" + form.pattern + "+)?$"; !optional {
		s.MinLength, s.Pattern = number(1), "^"+form.pattern+"+$"
	}
	s.Examples = []any{form.example}
}

func values[T any](list ...T) []any {
	all := make([]any, len(list))
	for i, v := range list {
		all[i] = v
	}
	return all
}

// groupTips are the tips that all members receive, on the timeline of their group.
var groupTips = []protocol.Tip{protocol.TipEnter, protocol.TipInvited, protocol.TipLeave, protocol.TipKicked,
	protocol.TipMemberInfo, protocol.TipMarks, protocol.TipGranted, protocol.TipWithdrawn, protocol.TipInfo,
	protocol.TipOwner, protocol.TipAllMuted, protocol.TipAttributes, protocol.TipCounter, protocol.TipCustom,
	protocol.TipDismissed}

// WebhookKinds returns the kinds of events that webhooks receive.
func WebhookKinds() []string {
	list := []string{"invitation.created", "invitation.inviteesAdded", "invitation.modified", "invitation.ringing",
		"invitation.answered", "invitation.cancelled", "invitation.timedOut", "message.sent", "message.revoked",
		"message.modified", "message.reactions", "call.ended", "room.roleChanged"}
	for _, t := range groupTips {
		list = append(list, "group."+string(t))
	}
	return list
}

// enumOf are the values of Go types.
var enumOf = map[string][]any{
	"protocol.ActionType": values(1, 2, 3, 4, 5, 6, 7, 8, 9),
	"protocol.MessageType": values(
		"text",
		"custom",
		"image",
		"sound",
		"video",
		"file",
		"location",
		"face",
		"merged",
		"call",
	),
	"protocol.Priority":       values("high", "normal", "low", "lowest"),
	"protocol.PushProvider":   values("apns", "apnsVoIP", "fcm", "webPush", "unifiedPush"),
	"protocol.PushKind":       values("invitation", "ended", "message", "read", "revoked", "test"),
	"invite.Notify":           values("members", "participants"),
	"invite.State":            values("open", "accepted", "rejected", "cancelled", "timedOut"),
	"im.RoomRole":             values("anchor", "audience", "none"),
	"operator.Queue":          values("webhook", "push"),
	"operator.HookState":      values("waiting", "delivered", "dead"),
	"pushcheck.PushTestState": values("waiting", "accepted", "acknowledged", "failed", "unacknowledged"),
	"protocol.Tip": append(values(protocol.TipCreated, protocol.TipJoined, protocol.TipQuit, protocol.TipApplication,
		protocol.TipProcessed), values(groupTips...)...),
}

// enums are the values of fields whose Go type has others too.
var enums = map[string][]any{
	"Signaling.type":       values(protocol.TypeSignaling),
	"Signaling.businessID": values(protocol.BusinessID),
	"Signaling.reason":     values("answered", "left", ""),
	"Answer.actionType":    values(int(protocol.ActionAccept), int(protocol.ActionReject)),
	"GroupEvent.type":      values(protocol.TypeGroup),
	"Message.type":         values(protocol.TypeMessage),
	"MessageEvent.type": values(
		protocol.TypeRevoked,
		protocol.TypeModified,
		protocol.TypeDeleted,
		protocol.TypeReceipt,
	),
	"ConversationEvent.type":        values(protocol.TypeRead, protocol.TypeConversation),
	"PersonEvent.type":              values(protocol.TypePerson, protocol.TypeStatus),
	"ReactionEvent.type":            values(protocol.TypeReactions),
	"TypingEvent.type":              values(protocol.TypeTyping),
	"RoomEvent.type":                values(protocol.TypeRoom),
	"ParticipantEvent.type":         values(protocol.TypeParticipant),
	"InviteInGroupRequest.everyone": values(true),
	"Quoted.messageType":            nil, // also those of other systems
	"Reach.status": values(protocol.ReachConnected, protocol.ReachPush, protocol.ReachUnreachable,
		protocol.ReachDoNotDisturb),
	"Invitee.reach":              values(protocol.ReachAcknowledged),
	"UserStatus.status":          values(protocol.StatusOnline, protocol.StatusOffline),
	"Conversation.type":          values("c2c", "group"),
	"Conversation.receiveOption": values(protocol.ReceiveNothing, protocol.ReceiveQuiet, protocol.ReceiveMentions),
	"ConversationEvent.receiveOption": values(protocol.ReceiveNotify, protocol.ReceiveNothing, protocol.ReceiveQuiet,
		protocol.ReceiveMentions),
	"Won.action":                       values("accept", "reject", "cancel", "timeout"),
	"Application.state":                values("waiting", "agreed", "refused"),
	"Member.role":                      values(200, 300, 400),
	"SetRoleRequest.role":              values(200, 300),
	"ImportMember.role":                values(0, 200, 300, 400),
	"Call.reason":                      values("hangup", "left", "removed", "dismissed", "mediaLost"),
	"CallElem.reason":                  values("hangup", "left", "removed", "dismissed", "mediaLost"),
	"CallPerson.reason":                values("hangup", "left", "removed", "dismissed", "mediaLost", "replaced"),
	"Conversation.groupType":           values("Work", "Public", "Meeting", "AVChatRoom", "Community"),
	"FileResponse.kind":                values("image", "sound", "video", "file"),
	"Profile.gender":                   values(0, 1, 2),
	"SetSelfInfoRequest.gender":        values(0, 1, 2),
	"Call.media":                       values("audio", "video"),
	"CallElem.media":                   values("audio", "video"),
	"PushNotice.state":                 values("accepted", "rejected", "cancelled", "timedOut"),
	"UploadResponse.kind":              values("image", "sound", "video", "file"),
	"ImportGroup.type":                 values("Work", "Public", "Meeting", "AVChatRoom", "Community"),
	"Group.type":                       values("Work", "Public", "Meeting", "AVChatRoom", "Community"),
	"SetGroupInfoRequest.joinOption":   values("free", "approval", "forbidden"),
	"SetGroupInfoRequest.inviteOption": values("free", "approval", "forbidden"),
	"RoomResponse.role":                values("anchor", "audience", "none"),
}

// forms are the rules of tags about one kind of value.
var forms = map[string]func(*huma.Schema){
	"time of day":     func(s *huma.Schema) { s.Pattern = `^(([01][0-9]|2[0-3]):[0-5][0-9])?$` },
	"https address":   func(s *huma.Schema) { s.Pattern = `^https://[^\s]+$` },
	"87 of base64url": func(s *huma.Schema) { s.Pattern = `^[A-Za-z0-9_-]{87}=?$` },
	"22 of base64url": func(s *huma.Schema) { s.Pattern = `^[A-Za-z0-9_-]{22}(==)?$` },
	"multiple of 300": func(s *huma.Schema) { s.Minimum, s.MultipleOf = float(0), float(300) },
}

// without returns a schema of objects that do not have a true field together with another.
func without(flag, other string) *huma.Schema {
	return &huma.Schema{Not: &huma.Schema{Required: []string{flag, other},
		Properties: map[string]*huma.Schema{flag: {Enum: []any{true}}}}}
}

// pushFor returns the alternative of a push token: a field for some providers.
func pushFor(field, other string, providers ...any) *huma.Schema {
	return &huma.Schema{Required: []string{field}, Properties: map[string]*huma.Schema{"provider": {Enum: providers}},
		Not: &huma.Schema{Required: []string{other}}}
}

var notices = []*huma.Schema{
	without("notice", "timeout"),
	without("notice", "minRing"),
	without("notice", "acceptLimit"),
}

// needs are the fields that need others, by type of request.
var needs = map[string]map[string][]string{
	"SendMessageRequest": {"mentions": {"groupID"}, "mentionAll": {"groupID"}, "receiverList": {"groupID"},
		"needReadReceipt": {"groupID"}},
	"DoNotDisturb": {"dailyFrom": {"dailyUntil"}, "dailyUntil": {"dailyFrom"}},
}

// one returns a schema of objects that have exactly one of some fields.
func one(fields ...string) *huma.Schema {
	s := &huma.Schema{}
	for _, f := range fields {
		s.OneOf = append(s.OneOf, &huma.Schema{Required: []string{f}})
	}
	return s
}

var contents = []string{"text", "custom", "image", "sound", "video", "file", "location", "face", "merged"}

// exclusive are the rules about fields that exclude each other, by type of request.
var exclusive = map[string][]*huma.Schema{
	"InviteRequest": append([]*huma.Schema{one("invitee", "inviteeList"), without("mergeGlare", "inviteeList"),
		without("notice", "mergeGlare")}, notices...),
	"InviteInGroupRequest": append([]*huma.Schema{one("everyone", "inviteeList")}, notices...),
	"SendMessageRequest":   {one("userID", "groupID"), one(contents...)},
	"ModifyMessageRequest": {{AnyOf: []*huma.Schema{one(contents...), {Required: []string{"customData"}}}}},
	"SetPushTokenRequest": {{OneOf: []*huma.Schema{pushFor("token", "subscription", "apns", "apnsVoIP", "fcm"),
		pushFor("subscription", "token", "webPush", "unifiedPush")}}},
}

// meanings are the meanings of error codes, in a few words.
var meanings = map[int]string{
	im.CodeBadParameter: "a field is missing, malformed, unknown or out of range", im.CodeNoFile: "no such file",
	im.CodeNoMedia: "no media server, or it cannot be reached", im.CodeTooLong: "too long",
	im.CodeModified: "the message has another version", im.CodeOver: "the invitation is unknown or decided",
	im.CodeNotYours: "not permitted for this invitation", im.CodeExists: "the ID is taken, or the user is already invited",
	im.CodeNotAdmitted: "not permitted in this room", im.CodeRoomTaken: "the room is in use",
	im.CodeNotFound: "not found", im.CodeTooOften: "too often, or the server is overloaded",
	im.CodeInternal:       "the server failed",
	im.CodeGroupParameter: "a parameter of a group is invalid", im.CodeGroupDenied: "not permitted in this group",
	im.CodeOwnerMayNot: "the owner may not quit", im.CodeNoGroup: "no such group",
	im.CodeAlreadyMember: "already a member",
	im.CodeGroupFull:     "the group is full", im.CodeBadGroupID: "the group ID is malformed",
	im.CodeGroupIDTaken: "the group ID is taken", im.CodeMuted: "muted in the group", im.CodeNoMessage: "no such message",
	im.CodeRevokeLate: "too late to revoke", im.CodeTooMany: "above a limit of a number of objects",
	im.CodeConflict: "the attributes have another version", im.CodeBlocked: "blocked by the user",
	im.CodeTokenExpired: "the token has expired", im.CodeTokenMalformed: "the token is missing or unreadable",
	im.CodeTokenRefused: "the token or key is refused", im.CodeTokenUser: "the token is for another user",
	im.CodeTokenApp: "the token is for another application",
}
