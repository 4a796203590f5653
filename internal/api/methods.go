package api

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime/debug"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/media"
	"github.com/beckon-im/beckon/internal/push/health"
	"github.com/beckon-im/beckon/internal/rpc"
)

// callers are the permitted callers of a method.
type callers int

const (
	users   callers = iota // devices, and app servers for a user
	either                 // also app servers on their own behalf
	servers                // only app servers on their own behalf
)

// row describes a method.
type row struct {
	name, doc, tag string
	callers        callers
	mutates        bool // changes something, or is audited as if it did
	sheddable      bool // rejected during overload, because it begins something
	request        reflect.Type
	shape          *shape // shape of the request
	response       reflect.Type
	codes          []int // error codes besides those of every method
	// decodes and encodes a request, so that a before-hook sees exactly the request that runs
	rewrite func(data []byte) ([]byte, error)
	run     func(ctx context.Context, by rpc.Caller, data []byte, reply func(any, error))
}

// writes returns the row of a method that returns a transaction. It replies when the transaction is durable. The call
// continues if its caller disconnects.
func writes[Q, R any](a *API, tag, name, doc string, f func(context.Context, rpc.Caller, Q) (rpc.Txn[R], error)) *row {
	v := newRow[Q, R](tag, name, doc)
	v.mutates, v.sheddable = true, true
	v.run = func(ctx context.Context, by rpc.Caller, data []byte, reply func(any, error)) {
		var q Q
		if err := decode(v.shape, data, &q); err != nil {
			reply(nil, err)
			return
		}
		t, err := f(context.WithoutCancel(ctx), by, q)
		if err != nil {
			reply(nil, err)
			return
		}
		rpc.Submit(a.Store, t, func(r R, err error) { reply(r, err) })
	}
	return v
}

// calls returns the row of a method that changes something and waits for external services. It runs in its own
// goroutine and continues if its caller disconnects.
func calls[Q, R any](a *API, tag, name, doc string, f func(context.Context, rpc.Caller, Q) (R, error)) *row {
	v := newRow[Q, R](tag, name, doc)
	v.mutates, v.sheddable = true, true
	v.run = func(ctx context.Context, by rpc.Caller, data []byte, reply func(any, error)) {
		var q Q
		if err := decode(v.shape, data, &q); err != nil {
			reply(nil, err)
			return
		}
		a.running.Go(func() {
			r, err := recovered(func() (R, error) { return f(context.WithoutCancel(ctx), by, q) })
			reply(r, err)
		})
	}
	return v
}

// recovered turns a panic into an internal error.
func recovered[R any](f func() (R, error)) (res R, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = im.Internal(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	return f()
}

// reads returns the row of a read-only method.
func reads[Q, R any](tag, name, doc string, f func(context.Context, rpc.Caller, Q) (R, error)) *row {
	v := newRow[Q, R](tag, name, doc)
	v.run = func(ctx context.Context, by rpc.Caller, data []byte, reply func(any, error)) {
		var q Q
		if err := decode(v.shape, data, &q); err != nil {
			reply(nil, err)
			return
		}
		r, err := f(ctx, by, q)
		reply(r, err)
	}
	return v
}

func newRow[Q, R any](tag, name, doc string) *row {
	v := &row{name: name, doc: doc, tag: tag, request: reflect.TypeFor[Q](), response: reflect.TypeFor[R]()}
	v.shape = shapeOf(v.request, map[reflect.Type]*shape{})
	v.codes = codesOf(v)
	v.rewrite = func(data []byte) ([]byte, error) {
		var q Q
		if err := decode(v.shape, data, &q); err != nil {
			return nil, err
		}
		return json.Marshal(q)
	}
	return v
}

// table returns all methods.
func (a *API) table() []*row {
	list := a.invitationRows()
	list = append(list, a.messageRows()...)
	list = append(list, a.groupRows()...)
	list = append(list, a.userRows()...)
	list = append(list, a.roomRows()...)
	return append(list, callableBy(servers,
		audited(reads("Administration", "createToken", "Create a device token for a user.", a.createToken)),
		audited(reads("Administration", "eraseUser",
			"Erase the personal data of a user, including messages in the timelines of others.", a.Privacy.Erase)),
		reads("Administration", "listErasures", "List running and recent erasures of users.", a.Privacy.List),
		audited(reads("Administration", "exportUser", "Export all stored data of a user, in pages.",
			a.Privacy.Export)),
		reads("Administration", "listConnections", "List the device connections on all nodes.", a.Console.ListConnections),
		reads("Administration", "listOpenInvitations", "List the open invitations of all users.",
			a.Console.ListOpenInvitations),
		reads("Administration", "traceInvitation",
			"Get the history of an invitation: deliveries, pushes and answers with their times.", a.Console.TraceInvitation),
		reads("Administration", "getStats", "Get statistics of invitations, calls and connections over time.",
			a.Console.GetStats),
		reads("Administration", "listUsers", "List users.", a.Console.ListUsers),
		reads("Administration", "listGroups", "List groups.", a.Console.ListGroups),
		reads("Administration", "listHookEvents",
			"List waiting, delivered or dead webhook events or pushes.", a.Events.ListEvents),
		audited(reads("Administration", "replayHookEvents", "Send webhook events or pushes again.", a.Events.Replay)),
	)...)
}

// audited adds a read-only method to the audit log.
func audited(v *row) *row {
	v.mutates = true
	return v
}

func callableBy(c callers, list ...*row) []*row {
	for _, v := range list {
		v.callers = c
	}
	return list
}

// neverShed marks a method that runs even during overload, because it ends a call that is already ringing.
func neverShed(v *row) *row {
	v.sheddable = false
	return v
}

// Tags of the methods about an invitation, and of those about media rooms.
const tagInvitations, tagRooms = "Invitations", "Rooms"

func (a *API) invitationRows() []*row {
	const tag = tagInvitations
	e := a.Invitations
	return []*row{
		writes(a, tag, "invite", "Invite a user, or up to 100 users without a group.",
			media.WithEntryOnInvite(a.Rooms, e.Invite)),
		writes(a, tag, "inviteInGroup", "Invite members of a group.",
			media.WithEntryOnInvite(a.Rooms, e.InviteInGroup)),
		neverShed(writes(a, tag, "accept", "Accept an invitation.",
			media.WithEntryOnAccept(a.Rooms, health.WithAnswer(a.PushHealth, e.Accept)))),
		neverShed(writes(a, tag, "reject", "Reject an invitation: declined, busy, or another reason.",
			health.WithAnswer(a.PushHealth, e.Reject))),
		neverShed(writes(a, tag, "cancel", "Cancel an invitation for all open invitees, or for the given ones.", e.Cancel)),
		writes(a, tag, "modifyInvitation", "Replace the data of an open invitation.", e.Modify),
		writes(a, tag, "addInvitees", "Add invitees to an open invitation.", e.AddInvitees),
		neverShed(writes(a, tag, "ring", "Report to the inviter that this device is ringing.",
			health.WithRing(a.PushHealth, e.Ring))),
		reads(tag, "getInvitation", "Get an invitation and a page of its invitees.", a.Snapshots.GetInvitation),
		reads(tag, "listInvitations", "List your open invitations.", a.Snapshots.ListInvitations),
	}
}

func (a *API) messageRows() []*row {
	const msg, conv = "Messages", "Conversations"
	c := a.Chat
	return []*row{
		writes(a, msg, "sendMessage", "Send a message to a user or a group.", c.SendMessage),
		writes(a, msg, "revokeMessage", "Revoke a message for all recipients.", c.RevokeMessage),
		writes(a, msg, "modifyMessage", "Replace the content of a message.", c.ModifyMessage),
		writes(a, msg, "deleteMessages", "Delete messages for yourself only.", c.DeleteMessages),
		reads(msg, "getMessage", "Get a message.", c.GetMessage),
		reads(msg, "getHistoryMessageList", "Get a page of messages of a conversation, before or after a sequence number.",
			c.History),
		reads(msg, "searchMessages", "Search messages in your conversations, newest first.", c.Search),
		writes(a, msg, "sendMessageReadReceipts", "Send read receipts for messages of a group to their senders.",
			c.SendReceipts),
		reads(msg, "getMessageReadReceipts", "Get the number of readers of messages in a group.", c.GetReceipts),
		reads(msg, "getGroupMessageReadMemberList", "List the members who have, or have not, read your message in a group.",
			c.GetReaders),
		writes(a, msg, "addMessageReaction", "Add your reaction to a message.", c.AddReaction),
		writes(a, msg, "removeMessageReaction", "Remove your reaction from a message.", c.RemoveReaction),
		reads(msg, "getMessageReactionUserList", "List the users with a reaction to a message.", c.GetReactionUsers),
		writes(a, msg, "sendTyping", "Report that you are typing in a conversation, or have stopped.", c.SendTyping),
		reads(msg, "getFile", "Get the URL and metadata of a file. Upload files with POST /v1/files.", a.Files.GetFile),
		reads(conv, "getConversationList", "List your conversations: pinned ones first, then the most recent.",
			c.ListConversations),
		reads(conv, "getConversation", "Get a conversation.", c.GetConversation),
		writes(a, conv, "markConversationRead", "Mark a conversation as read up to a sequence number.", c.MarkRead),
		writes(a, conv, "pinConversation", "Pin a conversation to the top of the list, or unpin it.", c.PinConversation),
		writes(a, conv, "setReceiveOption", "Set the notification option of a conversation.", c.SetReceiveOption),
		writes(a, conv, "deleteConversation", "Remove a conversation from your list until its next message.",
			c.DeleteConversation),
		writes(a, conv, "clearHistory", "Clear the message history of a conversation for yourself.", c.ClearHistory),
	}
}

func (a *API) groupRows() []*row {
	const tag = "Groups"
	g := a.Groups
	list := []*row{
		writes(a, tag, "createGroup", "Create a group with you as its owner.", g.CreateGroup),
		writes(a, tag, "joinGroup", "Join a group, or apply to its administrators.", g.JoinGroup),
		writes(a, tag, "quitGroup", "Leave a group.", g.QuitGroup),
		reads(tag, "getJoinedGroupList", "List your groups, in pages.", g.ListGroups),
		reads(tag, "searchGroups", "Search your groups by part of the name or ID.", g.SearchGroups),
		reads(tag, "getGroupApplicationList", "List the join applications of groups that you administer.",
			g.ListApplications),
	}
	list = append(list, callableBy(either,
		writes(a, tag, "inviteUserToGroup", "Add users to a group.", g.InviteUserToGroup),
		writes(a, tag, "kickGroupMember", "Remove members from a group.", g.KickGroupMember),
		writes(a, tag, "dismissGroup", "Dismiss a group.", g.DismissGroup),
		writes(a, tag, "setGroupInfo", "Change the profile of a group.", g.SetGroupInfo),
		writes(a, tag, "setGroupMemberInfo", "Change the information of a group member.", g.SetMemberInfo),
		writes(a, tag, "muteGroupMember", "Mute a member for a period of time.", g.MuteMember),
		writes(a, tag, "muteAllGroupMembers", "Mute all members except the owner and administrators.", g.MuteAll),
		writes(a, tag, "setGroupMemberRole", "Set the role of a group member: administrator or ordinary member.", g.SetRole),
		writes(a, tag, "transferGroupOwner", "Transfer the ownership of a group.", g.TransferOwner),
		writes(a, tag, "markGroupMemberList", "Set or remove marks on members of a Community group.", g.MarkMembers),
		writes(a, tag, "acceptGroupApplication", "Accept an application to join a group.", g.AcceptApplication),
		writes(a, tag, "refuseGroupApplication", "Refuse an application to join a group.", g.RefuseApplication),
		writes(a, tag, "initGroupAttributes", "Replace all attributes of a group.", g.InitAttributes),
		writes(a, tag, "setGroupAttributes", "Set some attributes of a group.", g.SetAttributes),
		writes(a, tag, "deleteGroupAttributes", "Delete some or all attributes of a group.", g.DeleteAttributes),
		writes(a, tag, "setGroupCounters", "Set counters of a group.", g.SetCounters),
		writes(a, tag, "increaseGroupCounter", "Increase a counter of a group.", g.IncreaseCounter),
		writes(a, tag, "decreaseGroupCounter", "Decrease a counter of a group.", g.DecreaseCounter),
		reads(tag, "getGroup", "Get a group.", g.GetGroup),
		reads(tag, "getGroupsInfo", "Get several groups.", g.GetGroups),
		reads(tag, "getGroupMemberList", "List the members of a group, in pages.", g.ListMembers),
		reads(tag, "getGroupMembersInfo", "Get given members of a group.", g.GetMembers),
		reads(tag, "searchGroupMembers", "Search members of a group by part of the name card or ID.", g.SearchMembers),
		reads(tag, "getGroupOnlineMemberCount", "Get the number of members with a connected device.", g.OnlineCount),
		reads(tag, "getGroupAttributes", "Get attributes of a group.", g.GetAttributes),
		reads(tag, "getGroupCounters", "Get counters of a group.", g.GetCounters),
	)...)
	return append(list, callableBy(servers,
		writes(a, "Administration", "importGroups", "Import groups from another system.", g.Import),
		writes(a, "Administration", "sendGroupCustomData", "Send custom data from the app server to a group.",
			g.SendCustomData),
	)...)
}

func (a *API) userRows() []*row {
	const tag = "Users"
	p := a.Users
	list := []*row{
		writes(a, tag, "setSelfInfo", "Change your profile.", p.SetSelfInfo),
		writes(a, tag, "addToBlackList", "Block users.", p.Block),
		writes(a, tag, "deleteFromBlackList", "Unblock users.", p.Unblock),
		reads(tag, "getBlackList", "List the users you block.", p.BlockList),
		writes(a, tag, "setSelfStatus", "Set your custom status.", p.SetSelfStatus),
		writes(a, tag, "subscribeUserStatus", "Subscribe to the online status of users.", p.Subscribe),
		writes(a, tag, "unsubscribeUserStatus", "Unsubscribe from the online status of the given users, or of all.",
			p.Unsubscribe),
		writes(a, tag, "setDoNotDisturb", "Set your do-not-disturb hours.", p.SetDoNotDisturb),
		reads(tag, "getDoNotDisturb", "Get your do-not-disturb hours.", p.GetDoNotDisturb),
		writes(a, tag, "setPushToken", "Register the push token of this device.", a.Pushes.SetToken),
		neverShed(writes(a, tag, "deletePushToken", "Delete the push token of this device, or of all your devices.",
			a.Pushes.DeleteToken)),
		reads(tag, "getPushConfig", "Get the push providers of this server, and the public key for Web Push.",
			a.Pushes.GetConfig),
		reads(tag, "getPushHealth", "List your push tokens, and whether pushes arrive at their devices.",
			a.PushHealth.GetHealth),
		writes(a, tag, "testPush", "Send a test push to one of your registered devices, or to all of them.",
			a.PushHealth.Test),
		reads(tag, "getPushTest", "Get the results of a test push.", a.PushHealth.GetTest),
		writes(a, tag, "ackPushTest", "Acknowledge a test push that this device has received.", a.PushHealth.AckTest),
		reads(tag, "getDeviceList", "List your connected devices.", p.GetDevices),
		reads(tag, "kickDevice", "Disconnect one of your devices, or all except this one.", p.KickDevice),
	}
	list = append(list, callableBy(either,
		reads(tag, "getUsersInfo", "Get user profiles.", p.GetUsers),
		reads(tag, "getUserStatus", "Get the online status of users.", p.GetStatus),
	)...)
	return append(list, callableBy(servers, neverShed(writes(a, "Administration", "revokeTokens",
		"Revoke all tokens of a user and disconnect their devices.", p.RevokeTokens)),
		writes(a, "Administration", "importUsers", "Import user profiles from another system.", p.Import))...)
}

func (a *API) roomRows() []*row {
	const tag = tagRooms
	m := a.Rooms
	list := []*row{
		reads(tag, "enterRoom", "Get a LiveKit token to enter a media room.", m.EnterRoom),
		neverShed(calls(a, tag, "exitRoom", "Leave a media room for good. A call between two users ends.", m.ExitRoom)),
		calls(a, tag, "switchRole", "Switch between speaking and listening in your room, within your granted role.",
			m.SwitchRole),
	}
	return append(list, callableBy(either,
		calls(a, tag, "setRoomRole", "For hosts: let a participant speak, only listen, or remove them. Participants may "+
			"give up their own right to speak.", m.SetRoomRole),
		neverShed(calls(a, tag, "dismissRoom", "For hosts: end the call of a room for all participants.", m.DismissRoom)),
		reads(tag, "getRoom", "Get the participants of a room and their roles.", m.GetRoom),
		reads(tag, "listCalls", "List call records, latest first.", m.ListCalls),
		reads(tag, "getCall", "Get a call record with its participants.", m.GetCall),
	)...)
}
