package api

import (
	"fmt"
	"strings"
)

// otherTests lists the methods that concern only the caller, or whose permissions other tests cover.
func otherTests() map[string]string {
	list := map[string]string{}
	for _, v := range []string{
		"listInvitations", "getConversationList", "searchMessages", "getJoinedGroupList", "searchGroups", "createGroup",
		"setSelfInfo", "addToBlackList", "deleteFromBlackList",
		"getBlackList", "setSelfStatus", "subscribeUserStatus", "unsubscribeUserStatus", "setDoNotDisturb", "getDoNotDisturb",
		"getDeviceList", "kickDevice", "setPushToken", "deletePushToken", "getPushConfig",
		"getPushHealth", "testPush", "getPushTest", "ackPushTest",
	} {
		list[v] = "only the caller"
	}
	for _, v := range []string{"getUsersInfo", "getUserStatus"} {
		list[v] = "any user about any user"
	}
	for _, v := range []string{"importUsers", "importGroups", "sendGroupCustomData", "createToken", "revokeTokens",
		"listHookEvents", "replayHookEvents", "eraseUser", "listErasures", "exportUser", "listConnections",
		"listOpenInvitations", "traceInvitation", "getStats", "listUsers", "listGroups"} {
		list[v] = "the first table"
	}
	for _, v := range []string{"enterRoom", "exitRoom", "switchRole", "setRoomRole", "dismissRoom", "getRoom", "listCalls",
		"getCall", "getFile"} {
		list[v] = "tests in test/scenario"
	}
	return list
}

func (r *roles) invitations(b *strings.Builder) {
	b.WriteString("\n## Invitations\n\nEach call is on a new invitation from one user to two users without a group. " +
		"Numbers are [error codes](../PROTOCOL.md#4-errors); –: not permitted for this kind of caller.\n\n")
	r.table(b, []string{"inviter", "invitee", "answered invitee", "stranger"},
		[]string{"accept", "reject", "ring", "cancel", "modifyInvitation", "addInvitees", "getInvitation"},
		func(caller, method string) int {
			id := fmt.Sprintf("i%d", r.n)
			r.must("inviter", "invite", map[string]any{"inviteeList": []string{"invitee", "answered invitee"}[:1],
				"inviteID": id,
				"timeout":  60, "data": ""})
			r.must("inviter", "addInvitees", map[string]any{"inviteID": id, "inviteeList": []string{"answered"}})
			r.must("answered", "reject", map[string]any{"inviteID": id})
			req := map[string]any{"inviteID": id}
			switch method {
			case "modifyInvitation":
				req["data"] = "new"
			case "addInvitees":
				req["inviteeList"] = []string{"late"}
			}
			if caller == "answered invitee" {
				caller = "answered"
			}
			code, _ := r.as(caller, method, req)
			return code
		})
	b.WriteString("In a group, `inviteInGroup` is only for members, and only about members:\n\n")
	r.table(b, []string{"owner", "admin", "member", "stranger", "app"},
		[]string{"invite", "inviteInGroup", "inviteInGroup of a stranger"}, func(caller, method string) int {
			g := r.group("Public")
			if method == "invite" {
				code, _ := r.as(caller, method, map[string]any{"invitee": "somebody", "timeout": 60})
				return code
			}
			invitee := "victim"
			if strings.HasSuffix(method, "stranger") {
				invitee = "outsider"
			}
			code, _ := r.as(caller, "inviteInGroup",
				map[string]any{"groupID": g, "inviteeList": []string{invitee}, "timeout": 60})
			return code
		})
}

// group creates a group with all users except strangers.
func (r *roles) group(kind string) string {
	id := fmt.Sprintf("g%d", r.n)
	req := map[string]any{"groupID": id, "type": kind}
	if kind != "AVChatRoom" {
		req["memberList"] = []string{"admin", "member", "victim"}
	}
	if kind == "Public" || kind == "Meeting" || kind == "Community" {
		req["joinOption"] = "approval"
	}
	r.must("owner", "createGroup", req)
	if kind == "AVChatRoom" {
		for _, caller := range []string{"admin", "member", "victim"} {
			r.must(caller, "joinGroup", map[string]any{"groupID": id})
		}
	}
	if kind != "Work" && kind != "AVChatRoom" {
		r.must("owner", "setGroupMemberRole", map[string]any{"groupID": id, "userID": "admin", "role": 300})
	}
	return id
}

func (r *roles) messages(b *strings.Builder) {
	b.WriteString("\n## Messages\n\nBetween two users:\n\n")
	r.table(b, []string{"sender", "receiver", "stranger"},
		[]string{"getMessage", "revokeMessage", "modifyMessage", "deleteMessages", "getHistoryMessageList",
			"markConversationRead", "getConversation", "pinConversation", "setReceiveOption", "clearHistory",
			"deleteConversation", "addMessageReaction", "removeMessageReaction", "getMessageReactionUserList", "sendTyping"},
		func(caller, method string) int {
			id := fmt.Sprintf("m%d", r.n)
			r.must("sender", "sendMessage", map[string]any{"userID": "receiver", "text": "x", "messageID": id})
			peer := map[string]string{"sender": "receiver", "receiver": "sender", "stranger": "sender"}[caller]
			code, _ := r.as(caller, method, r.objectRequest(method, "c2c_"+peer, id))
			return code
		})
	b.WriteString("In a group (`Public`), on the message of a member:\n\n")
	r.table(b, []string{"owner", "admin", "member", "victim", "stranger", "app"},
		[]string{"sendMessage", "getMessage", "revokeMessage", "modifyMessage", "deleteMessages", "getHistoryMessageList",
			"markConversationRead", "getConversation", "sendMessageReadReceipts", "getMessageReadReceipts",
			"getGroupMessageReadMemberList", "addMessageReaction", "removeMessageReaction", "getMessageReactionUserList",
			"sendTyping"}, func(caller, method string) int {
			g, id := r.group("Public"), fmt.Sprintf("m%d", r.n)
			r.must("member", "sendMessage", map[string]any{"groupID": g, "text": "x", "messageID": id, "needReadReceipt": true})
			code, _ := r.as(caller, method, r.objectRequest(method, "group_"+g, id))
			return code
		})
}

// objectRequest returns a request on a message.
func (r *roles) objectRequest(method, conversation, id string) map[string]any {
	req := map[string]any{"conversationID": conversation}
	group := strings.TrimPrefix(conversation, "group_")
	switch method {
	case "sendMessage":
		return map[string]any{"groupID": group, "text": "y"}
	case "getMessage", "revokeMessage", "getMessageReactionUserList":
		req["messageID"] = id
	case "addMessageReaction", "removeMessageReaction":
		req["messageID"], req["reaction"] = id, "+1"
	case "modifyMessage":
		req["messageID"], req["text"] = id, "z"
	case "deleteMessages":
		req["seqList"] = []int{1}
	case "setReceiveOption":
		req["receiveOption"] = "quiet"
	case "pinConversation":
		req["pin"] = true
	case "sendMessageReadReceipts", "getMessageReadReceipts":
		return map[string]any{"groupID": group, "messageIDList": []string{id}}
	case "getGroupMessageReadMemberList":
		return map[string]any{"groupID": group, "messageID": id}
	}
	return req
}

func (r *roles) groups(b *strings.Builder) {
	users := []string{"owner", "admin", "member", "stranger", "app"}
	methods := []string{
		"joinGroup", "quitGroup", "inviteUserToGroup", "kickGroupMember", "dismissGroup", "setGroupInfo",
		"setGroupMemberInfo", "setGroupMemberInfo of oneself", "muteGroupMember", "muteAllGroupMembers",
		"setGroupMemberRole", "transferGroupOwner", "markGroupMemberList", "acceptGroupApplication", "refuseGroupApplication",
		"initGroupAttributes", "setGroupAttributes", "deleteGroupAttributes",
		"setGroupCounters", "increaseGroupCounter", "decreaseGroupCounter", "getGroup", "getGroupsInfo", "getGroupMemberList",
		"getGroupMembersInfo", "searchGroupMembers",
		"getGroupOnlineMemberCount", "getGroupAttributes", "getGroupCounters", "getGroupApplicationList",
	}
	for _, kind := range []string{"Work", "Public", "Meeting", "AVChatRoom", "Community"} {
		fmt.Fprintf(b, "\n## Groups of type %s\n\nOn another member, by:\n\n", kind)
		r.table(b, users, methods, func(caller, method string) int {
			g := r.group(kind)
			if strings.Contains(method, "Application") && kind != "AVChatRoom" {
				r.as("applicant", "joinGroup", map[string]any{"groupID": g, "reason": "let me in"})
			}
			name, _, self := strings.Cut(method, " ")
			code, _ := r.as(caller, name, r.groupRequest(name, g, caller, self))
			return code
		})
	}
}

func (r *roles) groupRequest(method, g, caller string, self bool) map[string]any {
	req := map[string]any{"groupID": g}
	switch method {
	case "inviteUserToGroup":
		req["memberList"] = []string{"newcomer"}
	case "kickGroupMember", "getGroupMembersInfo", "markGroupMemberList":
		req["memberList"] = []string{"victim"}
		if method == "markGroupMemberList" {
			req["mark"], req["on"] = 1, true
		}
	case "setGroupInfo":
		req["name"] = "new"
	case "setGroupMemberInfo":
		req["userID"], req["nameCard"] = "victim", "v"
		if self {
			req["userID"] = caller
		}
	case "muteGroupMember":
		req["userID"], req["seconds"] = "victim", 60
	case "muteAllGroupMembers":
		req["mute"] = true
	case "setGroupMemberRole":
		req["userID"], req["role"] = "victim", 300
	case "transferGroupOwner":
		req["userID"] = "victim"
	case "acceptGroupApplication", "refuseGroupApplication":
		req["userID"] = "applicant"
	case "initGroupAttributes", "setGroupAttributes":
		req["attributes"] = map[string]string{"k": "v"}
	case "setGroupCounters":
		req["counters"] = map[string]int{"k": 1}
	case "increaseGroupCounter", "decreaseGroupCounter":
		req["key"], req["value"] = "k", 1
	case "getGroupsInfo":
		return map[string]any{"groupIDList": []string{g}}
	case "searchGroupMembers":
		req["text"] = "vic"
	case "getGroupApplicationList":
		return map[string]any{}
	}
	return req
}
