package api

import (
	"fmt"
	"strings"
)

// elsewhere are the verbs that concern the caller alone, or whose roles another test walks.
func elsewhere() map[string]string {
	list := map[string]string{}
	for _, v := range []string{
		"listInvitations", "getConversationList", "searchMessages", "getJoinedGroupList", "searchGroups", "createGroup",
		"setSelfInfo", "addToBlackList", "deleteFromBlackList",
		"getBlackList", "setSelfStatus", "subscribeUserStatus", "unsubscribeUserStatus", "setDoNotDisturb", "getDoNotDisturb",
		"getDeviceList", "kickDevice", "setPushToken", "deletePushToken", "getPushConfig",
	} {
		list[v] = "the caller alone"
	}
	for _, v := range []string{"getUsersInfo", "getUserStatus"} {
		list[v] = "everybody about everybody"
	}
	for _, v := range []string{"importUsers", "importGroups", "sendGroupCustomData", "createToken", "revokeTokens",
		"listHookEvents", "replayHookEvents", "eraseUser", "exportUser", "listConnections", "listOpenInvitations",
		"traceInvitation", "getStats", "listUsers", "listGroups"} {
		list[v] = "the first table"
	}
	for _, v := range []string{"enterRoom", "exitRoom", "switchRole", "setRoomRole", "dismissRoom", "getRoom", "listCalls",
		"getCall", "getFile"} {
		list[v] = "rooms_test.go, rooms2_test.go, messages2_test.go"
	}
	return list
}

func (r *roles) invitations(b *strings.Builder) {
	b.WriteString("\n## Around an invitation\n\nEach on an invitation of its own, from one to two people without a " +
		"group. Numbers are those of the [refusal](../PROTOCOL.md#4-errors); –: the verb is not for such a caller.\n\n")
	r.table(b, []string{"inviter", "invitee", "one who answered", "stranger"},
		[]string{"accept", "reject", "ring", "cancel", "modifyInvitation", "addInvitees", "getInvitation"},
		func(who, verb string) int {
			id := fmt.Sprintf("i%d", r.n)
			r.must("inviter", "invite", map[string]any{"inviteeList": []string{"invitee", "one who answered"}[:1],
				"inviteID": id,
				"timeout":  60, "data": ""})
			r.must("inviter", "addInvitees", map[string]any{"inviteID": id, "inviteeList": []string{"answered"}})
			r.must("answered", "reject", map[string]any{"inviteID": id})
			req := map[string]any{"inviteID": id}
			switch verb {
			case "modifyInvitation":
				req["data"] = "new"
			case "addInvitees":
				req["inviteeList"] = []string{"late"}
			}
			if who == "one who answered" {
				who = "answered"
			}
			code, _ := r.as(who, verb, req)
			return code
		})
	b.WriteString("In a group, `invite` is for its members, and about members:\n\n")
	r.table(b, []string{"owner", "admin", "member", "stranger", "app"},
		[]string{"invite", "inviteInGroup", "inviteInGroup of a stranger"}, func(who, verb string) int {
			g := r.group("Public")
			if verb == "invite" {
				code, _ := r.as(who, verb, map[string]any{"invitee": "somebody", "timeout": 60})
				return code
			}
			invitee := "victim"
			if strings.HasSuffix(verb, "stranger") {
				invitee = "outsider"
			}
			code, _ := r.as(who, "inviteInGroup", map[string]any{"groupID": g, "inviteeList": []string{invitee}, "timeout": 60})
			return code
		})
}

// group makes a group with everybody in it but strangers.
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
		for _, who := range []string{"admin", "member", "victim"} {
			r.must(who, "joinGroup", map[string]any{"groupID": id})
		}
	}
	if kind != "Work" && kind != "AVChatRoom" {
		r.must("owner", "setGroupMemberRole", map[string]any{"groupID": id, "userID": "admin", "role": 300})
	}
	return id
}

func (r *roles) messages(b *strings.Builder) {
	b.WriteString("\n## Around a message\n\nBetween two people:\n\n")
	r.table(b, []string{"sender", "receiver", "stranger"},
		[]string{"getMessage", "revokeMessage", "modifyMessage", "deleteMessages", "getHistoryMessageList",
			"markConversationRead", "getConversation", "pinConversation", "setReceiveOption", "clearHistory",
			"deleteConversation"}, func(who, verb string) int {
			id := fmt.Sprintf("m%d", r.n)
			r.must("sender", "sendMessage", map[string]any{"userID": "receiver", "text": "x", "messageID": id})
			peer := map[string]string{"sender": "receiver", "receiver": "sender", "stranger": "sender"}[who]
			code, _ := r.as(who, verb, r.about(verb, "c2c_"+peer, id))
			return code
		})
	b.WriteString("In a group (`Public`), about a member's message:\n\n")
	r.table(b, []string{"owner", "admin", "member", "victim", "stranger", "app"},
		[]string{"sendMessage", "getMessage", "revokeMessage", "modifyMessage", "deleteMessages", "getHistoryMessageList",
			"markConversationRead", "getConversation", "sendMessageReadReceipts", "getMessageReadReceipts",
			"getGroupMessageReadMemberList"}, func(who, verb string) int {
			g, id := r.group("Public"), fmt.Sprintf("m%d", r.n)
			r.must("member", "sendMessage", map[string]any{"groupID": g, "text": "x", "messageID": id, "needReadReceipt": true})
			code, _ := r.as(who, verb, r.about(verb, "group_"+g, id))
			return code
		})
}

// about is a request about a message.
func (r *roles) about(verb, conversation, id string) map[string]any {
	req := map[string]any{"conversationID": conversation}
	group := strings.TrimPrefix(conversation, "group_")
	switch verb {
	case "sendMessage":
		return map[string]any{"groupID": group, "text": "y"}
	case "getMessage", "revokeMessage":
		req["messageID"] = id
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
	people := []string{"owner", "admin", "member", "stranger", "app"}
	verbs := []string{
		"joinGroup", "quitGroup", "inviteUserToGroup", "kickGroupMember", "dismissGroup", "setGroupInfo",
		"setGroupMemberInfo", "setGroupMemberInfo of oneself", "muteGroupMember", "muteAllGroupMembers",
		"setGroupMemberRole", "transferGroupOwner", "markGroupMemberList", "acceptGroupApplication", "refuseGroupApplication",
		"initGroupAttributes", "setGroupAttributes", "deleteGroupAttributes",
		"setGroupCounters", "increaseGroupCounter", "decreaseGroupCounter", "getGroup", "getGroupsInfo", "getGroupMemberList",
		"getGroupMembersInfo", "searchGroupMembers",
		"getGroupOnlineMemberCount", "getGroupAttributes", "getGroupCounters", "getGroupApplicationList",
	}
	for _, kind := range []string{"Work", "Public", "Meeting", "AVChatRoom", "Community"} {
		fmt.Fprintf(b, "\n## In a group of type %s\n\nAbout a member, by:\n\n", kind)
		r.table(b, people, verbs, func(who, verb string) int {
			g := r.group(kind)
			if strings.Contains(verb, "Application") && kind != "AVChatRoom" {
				r.as("applicant", "joinGroup", map[string]any{"groupID": g, "reason": "let me in"})
			}
			name, _, self := strings.Cut(verb, " ")
			code, _ := r.as(who, name, r.groupRequest(name, g, who, self))
			return code
		})
	}
}

func (r *roles) groupRequest(verb, g, who string, self bool) map[string]any {
	req := map[string]any{"groupID": g}
	switch verb {
	case "inviteUserToGroup":
		req["memberList"] = []string{"newcomer"}
	case "kickGroupMember", "getGroupMembersInfo", "markGroupMemberList":
		req["memberList"] = []string{"victim"}
		if verb == "markGroupMemberList" {
			req["mark"], req["on"] = 1, true
		}
	case "setGroupInfo":
		req["name"] = "new"
	case "setGroupMemberInfo":
		req["userID"], req["nameCard"] = "victim", "v"
		if self {
			req["userID"] = who
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
