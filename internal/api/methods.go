package api

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime/debug"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
)

// who may call a verb.
type who int

const (
	users   who = iota // devices, and app servers for a user
	either             // also app servers for themselves
	servers            // app servers for themselves alone
)

// row is a verb in the table.
type row struct {
	name, doc, tag string
	who            who
	acts           bool // it changes something
	yields         bool // it waits while the server is busy: it begins something
	request        reflect.Type
	shape          *shape // of the request
	response       reflect.Type
	// checks a request and writes it anew, without what the verb does not see
	rewrite func(data []byte) ([]byte, error)
	run     func(ctx context.Context, by rpc.Caller, data []byte, done func(any, error))
}

// writes makes a row of a method that returns a transaction; its outcome comes when it is durable. The call goes on
// when its caller has gone.
func writes[Q, R any](a *API, tag, name, doc string, f func(context.Context, rpc.Caller, Q) (rpc.Txn[R], error)) *row {
	v := newRow[Q, R](tag, name, doc)
	v.acts, v.yields = true, true
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

// works makes a row of a method that changes something and waits for others than the store. It runs beside its caller,
// and goes on when the caller has gone.
func works[Q, R any](a *API, tag, name, doc string, f func(context.Context, rpc.Caller, Q) (R, error)) *row {
	v := newRow[Q, R](tag, name, doc)
	v.acts, v.yields = true, true
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

// reads makes a row of a verb that only looks.
func reads[Q, R any](tag, name, doc string, f func(context.Context, rpc.Caller, Q) (R, error)) *row {
	v := newRow[Q, R](tag, name, doc)
	v.run = func(ctx context.Context, by rpc.Caller, data []byte, done func(any, error)) {
		var q Q
		if err := decode(v.shape, data, &q); err != nil {
			done(nil, err)
			return
		}
		r, err := f(ctx, by, q)
		done(r, err)
	}
	return v
}

func newRow[Q, R any](tag, name, doc string) *row {
	v := &row{name: name, doc: doc, tag: tag, request: reflect.TypeFor[Q](), response: reflect.TypeFor[R]()}
	v.shape = shapeOf(v.request, map[reflect.Type]*shape{})
	v.rewrite = func(data []byte) ([]byte, error) {
		var q Q
		if err := decode(v.shape, data, &q); err != nil {
			return nil, err
		}
		return json.Marshal(q)
	}
	return v
}

// table is every verb that there is.
func (a *API) table() []*row {
	list := a.invitationRows()
	list = append(list, a.messageRows()...)
	list = append(list, a.groupRows()...)
	list = append(list, a.userRows()...)
	list = append(list, a.roomRows()...)
	return append(list, forWhom(servers,
		audited(reads("Administration", "createToken", "Mint a token for a device of a user.", a.createToken)),
		audited(reads("Administration", "eraseUser",
			"Take a person out: what they said and said of themselves, on others' timelines too.", a.Privacy.Erase)),
		audited(reads("Administration", "exportUser", "Read all that is stored about a person, a page at a time.",
			a.Privacy.Export)),
		reads("Administration", "listConnections", "List the connections of all nodes.", a.Console.ListConnections),
		reads("Administration", "listOpenInvitations", "List the invitations that are open for anybody.",
			a.Console.ListOpenInvitations),
		reads("Administration", "traceInvitation",
			"Read what became of an invitation: who was told how, and who did what when.", a.Console.TraceInvitation),
		reads("Administration", "getStats", "Read figures of invitations, calls and connections over time.",
			a.Console.GetStats),
		reads("Administration", "listUsers", "List people.", a.Console.ListUsers),
		reads("Administration", "listGroups", "List groups.", a.Console.ListGroups),
		reads("Administration", "listHookEvents",
			"List events for the webhook, or pushes: those that wait, were delivered, or were given up.", a.Events.ListEvents),
		audited(reads("Administration", "replayHookEvents", "Send events or pushes again.", a.Events.Replay)),
	)...)
}

// audited marks a verb that the audit log keeps, though it answers like one that looks.
func audited(v *row) *row {
	v.acts = true
	return v
}

func forWhom(w who, list ...*row) []*row {
	for _, v := range list {
		v.who = w
	}
	return list
}

// first marks a verb that is carried out however busy the server is: it ends what rings already.
func first(v *row) *row {
	v.yields = false
	return v
}

// tagInvitations marks the verbs about an invitation.
const tagInvitations = "Invitations"

func (a *API) invitationRows() []*row {
	const tag = tagInvitations
	e := a.Invitations
	return []*row{
		writes(a, tag, "invite", "Invite one person, or up to 100 without a group.", e.Invite),
		writes(a, tag, "inviteInGroup", "Invite members of a group.", e.InviteInGroup),
		first(writes(a, tag, "accept", "Accept an invitation.", e.Accept)),
		first(writes(a, tag, "reject", "Reject an invitation: declined, busy, or another reason.", e.Reject)),
		first(writes(a, tag, "cancel", "Cancel the invitees who are still open: all of them, or those named.", e.Cancel)),
		writes(a, tag, "modifyInvitation", "Replace the data of an open invitation.", e.Modify),
		writes(a, tag, "addInvitees", "Invite more people to an open invitation.", e.AddInvitees),
		first(writes(a, tag, "ring", "Tell the inviter that this device alerts its person.", e.Ring)),
		reads(tag, "getInvitation", "Read an invitation and a page of its invitees.", a.Snapshots.GetInvitation),
		reads(tag, "listInvitations", "List your open invitations.", a.Snapshots.ListInvitations),
	}
}

func (a *API) messageRows() []*row {
	const msg, conv = "Messages", "Conversations"
	c := a.Chat
	return []*row{
		writes(a, msg, "sendMessage", "Send a message to a person or a group.", c.SendMessage),
		writes(a, msg, "revokeMessage", "Take a message back.", c.RevokeMessage),
		writes(a, msg, "modifyMessage", "Replace what a message says.", c.ModifyMessage),
		writes(a, msg, "deleteMessages", "Hide messages from yourself alone.", c.DeleteMessages),
		reads(msg, "getMessage", "Read one message.", c.GetMessage),
		reads(msg, "getHistoryMessageList", "Read a page of a conversation, in either direction from any sequence.",
			c.History),
		reads(msg, "searchMessages", "Find messages in your conversations, the newest first.", c.Search),
		writes(a, msg, "sendMessageReadReceipts", "Tell the senders of a group's messages that you have read them.",
			c.SendReceipts),
		reads(msg, "getMessageReadReceipts", "Read how many have read messages of a group.", c.GetReceipts),
		reads(msg, "getGroupMessageReadMemberList", "List who has, or has not, read your message in a group.", c.GetReaders),
		reads(msg, "getFile", "Get a link to a file, and what is known of it. Upload with POST /v1/files.", a.Files.GetFile),
		reads(conv, "getConversationList", "List your conversations: the pinned first, then the latest.",
			c.ListConversations),
		reads(conv, "getConversation", "Read one conversation.", c.GetConversation),
		writes(a, conv, "markConversationRead", "Mark a conversation read, up to a sequence.", c.MarkRead),
		writes(a, conv, "pinConversation", "Pin a conversation to the top of the list, or let it go.", c.PinConversation),
		writes(a, conv, "setReceiveOption", "Say what you want to be told of a conversation.", c.SetReceiveOption),
		writes(a, conv, "deleteConversation", "Take a conversation off your list until something new comes.",
			c.DeleteConversation),
		writes(a, conv, "clearHistory", "Show yourself nothing of before any more.", c.ClearHistory),
	}
}

func (a *API) groupRows() []*row {
	const tag = "Groups"
	g := a.Groups
	list := []*row{
		writes(a, tag, "createGroup", "Create a group with you as its owner.", g.CreateGroup),
		writes(a, tag, "joinGroup", "Join a group, or apply to its administrators.", g.JoinGroup),
		writes(a, tag, "quitGroup", "Leave a group.", g.QuitGroup),
		reads(tag, "getJoinedGroupList", "List your groups, page by page.", g.ListGroups),
		reads(tag, "searchGroups", "Find your groups by a part of their name or id.", g.SearchGroups),
		reads(tag, "getGroupApplicationList", "List the applications to the groups that you administer.", g.ListApplications),
	}
	list = append(list, forWhom(either,
		writes(a, tag, "inviteUserToGroup", "Bring people into a group.", g.InviteUserToGroup),
		writes(a, tag, "kickGroupMember", "Remove people from a group.", g.KickGroupMember),
		writes(a, tag, "dismissGroup", "End a group.", g.DismissGroup),
		writes(a, tag, "setGroupInfo", "Change what people see of a group.", g.SetGroupInfo),
		writes(a, tag, "setGroupMemberInfo", "Change what a group knows of a member.", g.SetMemberInfo),
		writes(a, tag, "muteGroupMember", "Silence a member for a time.", g.MuteMember),
		writes(a, tag, "muteAllGroupMembers", "Silence everybody but owner and administrators.", g.MuteAll),
		writes(a, tag, "setGroupMemberRole", "Make a member an administrator, or not.", g.SetRole),
		writes(a, tag, "transferGroupOwner", "Hand a group over.", g.TransferOwner),
		writes(a, tag, "markGroupMemberList", "Mark members of a Community.", g.MarkMembers),
		writes(a, tag, "acceptGroupApplication", "Let an applicant in.", g.AcceptApplication),
		writes(a, tag, "refuseGroupApplication", "Do not let an applicant in.", g.RefuseApplication),
		writes(a, tag, "initGroupAttributes", "Replace all attributes of a group.", g.InitAttributes),
		writes(a, tag, "setGroupAttributes", "Set some attributes of a group.", g.SetAttributes),
		writes(a, tag, "deleteGroupAttributes", "Remove some attributes of a group, or all.", g.DeleteAttributes),
		writes(a, tag, "setGroupCounters", "Set counters of a group.", g.SetCounters),
		writes(a, tag, "increaseGroupCounter", "Add to a counter of a group.", g.IncreaseCounter),
		writes(a, tag, "decreaseGroupCounter", "Take from a counter of a group.", g.DecreaseCounter),
		reads(tag, "getGroup", "Read a group.", g.GetGroup),
		reads(tag, "getGroupsInfo", "Read several groups.", g.GetGroups),
		reads(tag, "getGroupMemberList", "List the members of a group, page by page.", g.ListMembers),
		reads(tag, "getGroupMembersInfo", "Read named members of a group.", g.GetMembers),
		reads(tag, "searchGroupMembers", "Find members of a group by a part of their name card or id.", g.SearchMembers),
		reads(tag, "getGroupOnlineMemberCount", "Count the members who have a connected device.", g.OnlineCount),
		reads(tag, "getGroupAttributes", "Read attributes of a group.", g.GetAttributes),
		reads(tag, "getGroupCounters", "Read counters of a group.", g.GetCounters),
	)...)
	return append(list, forWhom(servers,
		writes(a, "Administration", "importGroups", "Create groups as they were elsewhere.", g.Import),
		writes(a, "Administration", "sendGroupCustomData", "Tell a group something of your app server's.", g.SendCustomData),
	)...)
}

func (a *API) userRows() []*row {
	const tag = "People"
	p := a.Users
	list := []*row{
		writes(a, tag, "setSelfInfo", "Change your profile.", p.SetSelfInfo),
		writes(a, tag, "addToBlackList", "Hear nothing of people any more.", p.Block),
		writes(a, tag, "deleteFromBlackList", "Let people reach you again.", p.Unblock),
		reads(tag, "getBlackList", "List those whom you block.", p.BlockList),
		writes(a, tag, "setSelfStatus", "Set your custom status.", p.SetSelfStatus),
		writes(a, tag, "subscribeUserStatus", "Hear who of some people comes and goes.", p.Subscribe),
		writes(a, tag, "unsubscribeUserStatus", "Hear it no longer: of those named, or of all.", p.Unsubscribe),
		writes(a, tag, "setDoNotDisturb", "Say when you do not want to be disturbed.", p.SetDoNotDisturb),
		reads(tag, "getDoNotDisturb", "Read when you do not want to be disturbed.", p.GetDoNotDisturb),
		writes(a, tag, "setPushToken", "Say where this device is reached when it is not connected.", a.Pushes.SetToken),
		first(writes(a, tag, "deletePushToken", "Do not reach this device any more, or none of yours.",
			a.Pushes.DeleteToken)),
		reads(tag, "getPushConfig", "Read which pushes this server sends, and the key for those to browsers.",
			a.Pushes.GetConfig),
		reads(tag, "getDeviceList", "List your connected devices.", p.GetDevices),
		reads(tag, "kickDevice", "Send a device of yours away, or all but this one.", p.KickDevice),
	}
	list = append(list, forWhom(either,
		reads(tag, "getUsersInfo", "Read profiles.", p.GetUsers),
		reads(tag, "getUserStatus", "Read whether people are online.", p.GetStatus),
	)...)
	return append(list, forWhom(servers, first(writes(a, "Administration", "revokeTokens",
		"Make the tokens of a user useless, and send their devices away.", p.RevokeTokens)),
		writes(a, "Administration", "importUsers", "Write profiles as they were elsewhere.", p.Import))...)
}

func (a *API) roomRows() []*row {
	const tag = "Rooms"
	m := a.Rooms
	list := []*row{
		reads(tag, "enterRoom", "Get the way into a media room: a token for LiveKit.", m.EnterRoom),
		first(works(a, tag, "exitRoom", "Leave a media room for good. Between two people that ends the call.", m.ExitRoom)),
		works(a, tag, "switchRole", "Speak, or only listen, in a room that you are in, within what you were granted.",
			m.SwitchRole),
	}
	return append(list, forWhom(either,
		works(a, tag, "setRoomRole", "For hosts: let somebody speak, take that back, or send them out. You may give up your "+
			"own microphone.", m.SetRoomRole),
		first(works(a, tag, "dismissRoom", "For hosts: end the call in a room for everybody.", m.DismissRoom)),
		reads(tag, "getRoom", "Read who may speak in a room, and who is in it.", m.GetRoom),
		reads(tag, "listCalls", "List call records, the latest first.", m.ListCalls),
		reads(tag, "getCall", "Read a call record with who took part.", m.GetCall),
	)...)
}
