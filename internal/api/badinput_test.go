package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/check"
	"github.com/beckon-im/beckon/protocol"
)

// bad is an invalid request body and the field that the error names.
type bad struct{ body, field string }

func long(n int) string { return strings.Repeat("x", n) }

func badInvitations() map[string][]bad {
	return map[string][]bad{
		"invite": {{`{}`, "invitee"}, {`{"invitee":"alice"}`, "invitee"},
			{`{"inviteeList":["bob","alice"]}`, "inviteeList"}, {`{"invitee":"bob","timeout":"soon"}`, "timeout"},
			{`{"invitee":"bob","timeout":1.5}`, "timeout"}, {`{"invitee":"bob","timeout":-1}`, "timeout"},
			{`{"invitee":"bob","inviteID":"a/b"}`, "inviteID"}, {`{"invitee":"bob","inviteeList":["c"]}`, "invitee"},
			{`{"invitee":7}`, "invitee"}, {`{"invitee":"bob","requestID":"` + long(65) + `"}`, "requestID"},
			{`{"invitee":"bob","offlinePush":{"ttl":-1}}`, "offlinePush.ttl"}},
		"inviteInGroup": {{`{}`, "groupID"}, {`{"groupID":"g","everyone":true,"inviteeList":["b"]}`, "everyone"},
			{`{"groupID":"g","inviteeList":["b"],"notify":"all"}`, "notify"},
			{`{"groupID":"none","inviteeList":["b"]}`, "groupID"}},
		"accept": {{`{}`, "inviteID"}, {`{"inviteID":"none"}`, "inviteID"},
			{`{"inviteID":"i","data":"` + long(12<<10+1) + `"}`, "data"}},
		"reject": {{`{}`, "inviteID"}, {`{"inviteID":"i","reason":"` + long(257) + `"}`, "reason"}},
		"cancel": {{`{}`, "inviteID"}, {`{"inviteID":"i","inviteeList":["a b"]}`, "inviteeList"},
			{`{"inviteID":"never-came"}`, "inviteID"}},
		"modifyInvitation": {{`{}`, "inviteID"}, {`{"inviteID":"none","data":"x"}`, "inviteID"}},
		"addInvitees":      {{`{}`, "inviteID"}, {`{"inviteID":"none","inviteeList":["x"]}`, "inviteID"}},
		"ring":             {{`{}`, "inviteID"}, {`{"inviteID":"none"}`, "inviteID"}},
		"getInvitation": {{`{}`, "inviteID"}, {`{"inviteID":"none"}`, "inviteID"},
			{`{"inviteID":"i","limit":1001}`, "limit"}, {`{"inviteID":"i","offset":-1}`, "offset"}},
		"listInvitations": {{`{"limit":-1}`, "limit"}},
	}
}

func badMessages() map[string][]bad {
	return map[string][]bad{
		"sendMessage": {{`{}`, "userID"}, {`{"userID":"bob","groupID":"g","text":"x"}`, "userID"},
			{`{"userID":"alice","text":"x"}`, "userID"}, {`{"userID":"b b","text":"x"}`, "userID"},
			{`{"groupID":"none","text":"x"}`, "groupID"},
			{`{"userID":"bob"}`, "text"}, {`{"userID":"bob","text":"x","face":{"index":1}}`, "face"},
			{`{"userID":"bob","face":{"index":-1}}`, "face.index"}, {`{"userID":"bob","text":7}`, "text"},
			{`{"userID":"bob","text":"` + long(12<<10) + `"}`, "text"},
			{`{"userID":"bob","location":{"latitude":91,"longitude":0}}`, "location"},
			{`{"userID":"bob","image":{}}`, "image.fileID"}, {`{"userID":"bob","image":{"fileID":"none"}}`, "image.fileID"},
			{`{"userID":"bob","sound":{"fileID":"x","duration":-1}}`, "sound"},
			{`{"userID":"bob","merged":{"title":"","messages":[]}}`, "merged.title"},
			{`{"userID":"bob","merged":{"title":"t","messages":[]}}`, "merged.messages"},
			{`{"userID":"bob","text":"x","messageID":"a b"}`, "messageID"},
			{`{"userID":"bob","text":"x","requestID":"a b"}`, "requestID"},
			{`{"userID":"bob","text":"x","mentions":["c"]}`, "mentions"},
			{`{"userID":"bob","text":"x","mentionAll":true}`, "mentionAll"},
			{`{"userID":"bob","text":"x","receiverList":["c"]}`, "receiverList"},
			{`{"userID":"bob","text":"x","needReadReceipt":true}`, "needReadReceipt"},
			{`{"groupID":"none","text":"x","mentions":["c","c"]}`, "mentions"},
			{`{"userID":"bob","text":"x","priority":"urgent"}`, "priority"},
			{`{"userID":"bob","text":"x","replyTo":"a b"}`, "replyTo"}, {`{"userID":"bob","text":"x","replyTo":"none"}`, "replyTo"},
			{`{"userID":"bob","text":"x","customData":"` + long(4097) + `"}`, "customData"},
			{`{"userID":"bob","text":"x","offlinePush":{"ttl":-1}}`, "offlinePush.ttl"},
			{`{"userID":"bob","custom":{"data":1}}`, "custom.data"}},
		"revokeMessage": {{`{}`, "conversationID"}, {`{"conversationID":"c2c_bob"}`, "messageID"},
			{`{"conversationID":"bob","messageID":"m"}`, "conversationID"},
			{`{"conversationID":"c2c_bob","messageID":"none"}`, "messageID"},
			{`{"conversationID":"group_none","messageID":"m"}`, "groupID"},
			{`{"conversationID":"c2c_bob","messageID":"m","reason":"` + long(257) + `"}`, "reason"}},
		"modifyMessage": {{`{}`, "conversationID"}, {`{"conversationID":"c2c_bob","messageID":"m"}`, "text"},
			{`{"conversationID":"c2c_bob","messageID":"none","text":"x"}`, "messageID"},
			{`{"conversationID":"c2c_bob","messageID":"m","text":"x","version":"1"}`, "version"},
			{`{"conversationID":"c2c_bob","messageID":"m","customData":"` + long(4097) + `"}`, "customData"}},
		"deleteMessages": {{`{}`, "conversationID"},
			{`{"conversationID":"c2c_alice","seqList":[1]}`, "conversationID"}, {`{"conversationID":"c2c_bob"}`, "seqList"},
			{`{"conversationID":"c2c_bob","seqList":[9]}`, "seqList"},
			{`{"conversationID":"c2c_bob","seqList":[-1]}`, "seqList"}},
		"getMessage": {{`{}`, "conversationID"},
			{`{"conversationID":"c2c_bob","messageID":"none"}`, "messageID"}},
		"getHistoryMessageList": {{`{}`, "conversationID"},
			{`{"conversationID":"c2c_bob","direction":"up"}`, "direction"},
			{`{"conversationID":"c2c_bob","limit":1001}`, "limit"}, {`{"conversationID":"c2c_bob","seq":-1}`, "seq"},
			{`{"conversationID":"c2c_bob","seq":18446744073709551615}`, "seq"}, {`{"conversationID":"group_none"}`, "groupID"}},
		"searchMessages": {{`{}`, "text"}, {`{"text":"   "}`, "text"},
			{`{"text":"a b c d e f g h i j k"}`, "text"}, {`{"text":"` + long(257) + `"}`, "text"},
			{`{"text":"x","limit":101}`, "limit"}, {`{"text":"x","before":-1}`, "before"}, {`{"text":"x","from":"a b"}`, "from"},
			{`{"text":"x","conversationID":"x"}`, "conversationID"}},
		"addMessageReaction": {{`{}`, "conversationID"}, {`{"conversationID":"c2c_bob"}`, "messageID"},
			{`{"conversationID":"c2c_bob","messageID":"m"}`, "reaction"},
			{`{"conversationID":"c2c_bob","messageID":"m","reaction":"` + long(65) + `"}`, "reaction"},
			{`{"conversationID":"c2c_bob","messageID":"none","reaction":"a"}`, "messageID"}},
		"removeMessageReaction": {{`{}`, "conversationID"},
			{`{"conversationID":"c2c_bob","messageID":"m","reaction":"a b"}`, "reaction"}},
		"getMessageReactionUserList": {{`{}`, "conversationID"},
			{`{"conversationID":"c2c_bob","messageID":"m","limit":-1}`, "limit"}},
		"sendTyping": {{`{}`, "conversationID"}, {`{"conversationID":"group_none"}`, "groupID"}},
		"sendMessageReadReceipts": {{`{}`, "groupID"}, {`{"groupID":"g"}`, "messageIDList"},
			{`{"groupID":"g","messageIDList":["a b"]}`, "messageIDList"},
			{`{"groupID":"none","messageIDList":["m"]}`, "groupID"}},
		"getMessageReadReceipts": {{`{}`, "groupID"}, {`{"groupID":"g"}`, "messageIDList"},
			{`{"groupID":"none","messageIDList":["m"]}`, "groupID"}},
		"getGroupMessageReadMemberList": {{`{}`, "groupID"}, {`{"groupID":"g"}`, "messageID"},
			{`{"groupID":"g","messageID":"m","limit":-1}`, "limit"}},
		"getFile": {{`{}`, "fileID"}, {`{"fileID":"none"}`, "fileID"},
			{`{"fileID":"` + long(65) + `"}`, "fileID"}},
		"getConversationList": {{`{"limit":1001}`, "limit"}, {`{"offset":-1}`, "offset"}},
		"getConversation":     {{`{}`, "conversationID"}, {`{"conversationID":"group_none"}`, "groupID"}},
		"markConversationRead": {{`{}`, "conversationID"},
			{`{"conversationID":"c2c_bob","seq":18446744073709551615}`, "seq"}, {`{"conversationID":"c2c_"}`, "conversationID"},
			{`{"conversationID":"group_none"}`, "groupID"}},
		"pinConversation": {{`{}`, "conversationID"}, {`{"conversationID":"group_none","pin":true}`, "groupID"},
			{`{"conversationID":"c2c_bob","pin":1}`, "pin"}},
		"setReceiveOption": {{`{}`, "conversationID"},
			{`{"conversationID":"c2c_bob","receiveOption":"loud"}`, "receiveOption"}},
		"deleteConversation": {{`{}`, "conversationID"}, {`{"conversationID":"group_none"}`, "groupID"}},
		"clearHistory":       {{`{}`, "conversationID"}, {`{"conversationID":"group_none"}`, "groupID"}},
	}
}

func badGroups() map[string][]bad {
	all := map[string][]bad{
		"createGroup": {{`{}`, "type"}, {`{"type":"Club"}`, "type"},
			{`{"type":"Work","groupID":"a b"}`, "groupID"}, {`{"type":"Public","joinOption":"x"}`, "joinOption"},
			{`{"type":"Work","joinOption":"free"}`, "joinOption"}, {`{"type":"Meeting","inviteOption":"x"}`, "inviteOption"},
			{`{"type":"Work","memberList":["b","b"]}`, "memberList"}, {`{"type":"Work","name":"` + long(101) + `"}`, "name"},
			{`{"type":"Work","introduction":"` + long(401) + `"}`, "introduction"},
			{`{"type":"Work","notification":"` + long(401) + `"}`, "notification"},
			{`{"type":"Work","faceURL":"` + long(501) + `"}`, "faceURL"},
			{`{"type":"Work","customInfo":"` + long(4097) + `"}`, "customInfo"},
			{`{"type":"Work","maxMembers":6001}`, "maxMembers"}},
		"joinGroup": {{`{"groupID":"none","reason":"` + long(257) + `"}`, "reason"}},
		"quitGroup": {},
		"inviteUserToGroup": {{`{"groupID":"none"}`, "memberList"},
			{`{"groupID":"none","memberList":["a b"]}`, "memberList"}},
		"kickGroupMember": {{`{"groupID":"none"}`, "memberList"},
			{`{"groupID":"none","memberList":["x"],"duration":-1}`, "duration"},
			{`{"groupID":"none","memberList":["x"],"reason":"` + long(257) + `"}`, "reason"}},
		"dismissGroup": {},
		"setGroupInfo": {{`{"groupID":"none","name":1}`, "name"}},
		"setGroupMemberInfo": {{`{"groupID":"none","userID":"a b"}`, "userID"},
			{`{"groupID":"none","nameCard":"` + long(101) + `"}`, "nameCard"},
			{`{"groupID":"none","customInfo":"` + long(4097) + `"}`, "customInfo"}},
		"muteGroupMember": {{`{"groupID":"none"}`, "userID"},
			{`{"groupID":"none","userID":"b","seconds":-1}`, "seconds"}},
		"muteAllGroupMembers": {{`{"groupID":"none","mute":1}`, "mute"}, {`{"groupID":"none"}`, "mute"},
			{`{"groupID":"none","mute":null}`, "mute"}},
		"setGroupMemberRole": {{`{"groupID":"none"}`, "userID"},
			{`{"groupID":"none","userID":"b","role":400}`, "role"}},
		"transferGroupOwner": {{`{"groupID":"none"}`, "userID"}},
		"markGroupMemberList": {{`{"groupID":"none"}`, "memberList"},
			{`{"groupID":"none","memberList":["b"],"mark":33,"on":true}`, "mark"},
			{`{"groupID":"none","memberList":["b"],"mark":1}`, "on"}},
		"acceptGroupApplication": {{`{"groupID":"none"}`, "userID"},
			{`{"groupID":"none","userID":"b","reason":"` + long(257) + `"}`, "reason"}},
		"refuseGroupApplication":  {{`{"groupID":"none"}`, "userID"}},
		"getGroupApplicationList": {{`{"limit":-1}`, "limit"}},
		"initGroupAttributes": {{`{"groupID":"none","attributes":{"":"x"}}`, "attributes"},
			{`{"groupID":"none","attributes":{"` + long(33) + `":"x"}}`, "attributes"}},
		"setGroupAttributes": {{`{"groupID":"none"}`, "attributes"},
			{`{"groupID":"none","attributes":{"k":"` + long(4097) + `"}}`, "attributes"}},
		"deleteGroupAttributes": {{`{"groupID":"none","keys":[""]}`, "keys"}},
		"setGroupCounters": {{`{"groupID":"none"}`, "counters"},
			{`{"groupID":"none","counters":{"":1}}`, "counters"}},
		"increaseGroupCounter":      {{`{"groupID":"none"}`, "key"}, {`{"groupID":"none","key":"k"}`, "value"}},
		"decreaseGroupCounter":      {{`{"groupID":"none","key":"k","value":-1}`, "value"}},
		"getGroup":                  {},
		"getGroupsInfo":             {{`{}`, "groupIDList"}, {`{"groupIDList":["a b"]}`, "groupIDList"}},
		"getGroupMemberList":        {{`{"groupID":"g","limit":-1}`, "limit"}},
		"getGroupMembersInfo":       {{`{"groupID":"none"}`, "memberList"}},
		"searchGroups":              {{`{}`, "text"}, {`{"text":"x","limit":-1}`, "limit"}},
		"searchGroupMembers":        {{`{"groupID":"none"}`, "text"}},
		"getGroupOnlineMemberCount": {},
		"getGroupAttributes":        {{`{"groupID":"none","keys":["` + long(33) + `"]}`, "keys"}},
		"getGroupCounters":          {},
		"getJoinedGroupList":        {{`{"limit":1001}`, "limit"}},
		"importGroups": {{`{}`, "groups"}, {`{"groups":[{"groupID":"a b"}]}`, "groups.type"},
			{`{"groups":[{"groupID":"a b","type":"Work","owner":"a"}]}`, "groups"},
			{`{"groups":[{"groupID":"g","type":"Work","owner":"a b"}]}`, "groups"},
			{`{"groups":[{"groupID":"g","type":"Club","owner":"a"}]}`, "type"},
			{`{"groups":[{"groupID":"g","type":"Work","owner":"a","members":[{"userID":"b","role":400}]}]}`, "groups"}},
		"sendGroupCustomData": {{`{"groupID":"none","data":"` + long(12<<10+1) + `"}`, "data"}},
	}
	filled := map[string]string{ // required fields besides the group
		"inviteUserToGroup": `"memberList":["x"],`, "kickGroupMember": `"memberList":["x"],`,
		"muteGroupMember": `"userID":"x","seconds":1,`, "setGroupMemberRole": `"userID":"x","role":200,`,
		"transferGroupOwner": `"userID":"x",`, "markGroupMemberList": `"memberList":["x"],"mark":1,"on":true,`,
		"acceptGroupApplication": `"userID":"x",`, "refuseGroupApplication": `"userID":"x",`,
		"setGroupAttributes": `"attributes":{"k":"v"},`, "setGroupCounters": `"counters":{"k":1},`,
		"increaseGroupCounter": `"key":"k","value":1,`, "decreaseGroupCounter": `"key":"k","value":1,`,
		"muteAllGroupMembers": `"mute":true,`, "initGroupAttributes": `"attributes":{},`,
		"sendGroupCustomData": `"data":"x",`,
		"getGroupMembersInfo": `"memberList":["x"],`, "searchGroupMembers": `"text":"x",`,
	}
	for verb := range all {
		switch verb {
		case "createGroup", "getGroupsInfo", "getJoinedGroupList", "getGroupApplicationList", "importGroups", "searchGroups":
		default:
			all[verb] = append(all[verb], bad{`{` + filled[verb] + `"groupID":""}`, "groupID"},
				bad{`{` + filled[verb] + `"groupID":"none"}`, "groupID"})
		}
	}
	return all
}

// keys are those of a push subscription.
const keys = `"keys":{"p256dh":"x","auth":"y"}`

func badUsers() map[string][]bad {
	return map[string][]bad{
		"setSelfInfo": {{`{"nick":"` + long(501) + `"}`, "nick"}, {`{"gender":3}`, "gender"},
			{`{"birthday":5}`, "birthday"}, {`{"language":"` + long(36) + `"}`, "language"},
			{`{"customInfo":{"":"x"}}`, "customInfo"}, {`{"faceURL":"` + long(501) + `"}`, "faceURL"},
			{`{"signature":"` + long(501) + `"}`, "signature"}},
		"addToBlackList": {{`{}`, "userIDList"}, {`{"userIDList":["alice"]}`, "userIDList"},
			{`{"userIDList":["b","b"]}`, "userIDList"}},
		"deleteFromBlackList":   {{`{}`, "userIDList"}},
		"getBlackList":          {{`{"limit":-1}`, "limit"}},
		"setSelfStatus":         {{`{"customStatus":"` + long(257) + `"}`, "customStatus"}},
		"subscribeUserStatus":   {{`{}`, "userIDList"}, {`{"userIDList":["a b"]}`, "userIDList"}},
		"unsubscribeUserStatus": {{`{"userIDList":["a b"]}`, "userIDList"}},
		"setDoNotDisturb": {{`{"until":-1}`, "until"}, {`{"dailyFrom":"25:00","dailyUntil":"07:00"}`, "dailyFrom"},
			{`{"dailyFrom":"22:00"}`, "dailyUntil"}, {`{"zoneOffset":841}`, "zoneOffset"}},
		"getDoNotDisturb": {{`{"x":1}`, "x"}},
		"getDeviceList":   {{`{"x":1}`, "x"}},
		"setPushToken": {{`{}`, "provider"}, {`{"provider":"fcm","token":"x"}`, "provider"},
			{`{"provider":"webPush"}`, "subscription"}, {`{"provider":"unifiedPush"}`, "subscription"},
			{`{"provider":"unifiedPush","token":"x","subscription":{"endpoint":"https://ntfy.example.com/",` + keys + `}}`,
				"token"},
			{`{"provider":"unifiedPush","subscription":{"endpoint":"https://192.168.1.4/",` + keys + `}}`,
				"subscription.endpoint"},
			{`{"provider":"webPush","subscription":{"endpoint":"https://10.0.0.1/",` + keys + `}}`, "subscription.endpoint"},
			{`{"provider":"webPush","subscription":{"endpoint":"https://push.example.com/",` + keys + `}}`,
				"subscription.keys.p256dh"}},
		"deletePushToken": {{`{"provider":"pigeon"}`, "provider"}},
		"getPushHealth":   {{`{"x":1}`, "x"}},
		"testPush":        {{`{}`, "deviceID"}, {`{"deviceID":"a b"}`, "deviceID"}, {`{"deviceID":"phone"}`, "deviceID"}},
		"getPushTest":     {{`{}`, "testID"}, {`{"testID":"none"}`, "testID"}, {`{"testID":"` + long(65) + `"}`, "testID"}},
		"ackPushTest":     {{`{}`, "testID"}, {`{"testID":"none"}`, "testID"}},
		"getPushConfig":   {{`{"x":1}`, "x"}},
		"kickDevice":      {{`{"deviceID":"a b"}`, "deviceID"}, {`{"deviceID":"none"}`, "deviceID"}},
		"getUsersInfo":    {{`{}`, "userIDList"}, {`{"userIDList":["a b"]}`, "userIDList"}},
		"getUserStatus":   {{`{}`, "userIDList"}},
		"importUsers": {{`{}`, "users"}, {`{"users":[{"userID":"a b"}]}`, "users"},
			{`{"users":[{"userID":"a","gender":9}]}`, "users"}},
		"revokeTokens": {{`{}`, "userID"}, {`{"userID":"a b"}`, "userID"}},
		"eraseUser":    {{`{}`, "userID"}, {`{"userID":"a b"}`, "userID"}},
		"exportUser": {{`{}`, "userID"}, {`{"userID":"a b"}`, "userID"}, {`{"userID":"a","limit":1001}`, "limit"},
			{`{"userID":"a","after":"x"}`, "after"}, {`{"userID":"a","after":"{\"p\":99}"}`, "after"},
			{`{"userID":"a","after":"{\"p\":1,\"k\":[7]}"}`, "after"},
			{`{"userID":"a","after":"{\"p\":1,\"k\":[\"a\",\"b\"]}"}`, "after"}},
		"listConnections":     {{`{"limit":1001}`, "limit"}, {`{"after":"x"}`, "after"}},
		"listOpenInvitations": {{`{"limit":-1}`, "limit"}, {`{"after":"x"}`, "after"}},
		"traceInvitation":     {{`{}`, "inviteID"}, {`{"inviteID":"not there"}`, "inviteID"}},
		"getStats": {{`{"step":7}`, "step"}, {`{"from":2,"until":1}`, "until"},
			{`{"until":9223372036854775807}`, "until"}, {`{"step":9999999999999900}`, "step"},
			{`{"from":1,"until":1700000000000,"step":300}`, "step"}},
		"listErasures": {{`{"limit":1001}`, "limit"}},
		"listUsers":    {{`{"limit":1001}`, "limit"}},
		"listGroups":   {{`{"limit":1001}`, "limit"}},
		"listHookEvents": {{`{}`, "state"}, {`{"state":"dead","queue":"post"}`, "queue"}, {`{"state":"old"}`, "state"},
			{`{"state":"dead","from":-1}`, "from"}, {`{"state":"dead","from":2,"until":1}`, "until"},
			{`{"state":"dead","limit":1001}`, "limit"}, {`{"state":"dead","after":"x"}`, "after"}},
		"replayHookEvents": {{`{}`, "state"}, {`{"state":"waiting"}`, "state"}, {`{"state":"dead","from":-1}`, "from"},
			{`{"state":"dead","from":2,"until":1}`, "until"}},
		"createToken": {{`{}`, "userID"}, {`{"userID":"a","ttl":-1}`, "ttl"},
			{`{"userID":"a","deviceID":"a b"}`, "deviceID"}},
	}
}

func badRooms() map[string][]bad {
	return map[string][]bad{
		"enterRoom": {{`{}`, "roomID"}, {`{"roomID":"a b"}`, "roomID"}, {`{"roomID":"group_none"}`, "roomID"},
			{`{"roomID":"r","role":"none"}`, "role"}, {`{"roomID":"r","role":7}`, "role"},
			{`{"roomID":"r","rejoin":"yes"}`, "rejoin"}},
		"exitRoom": {{`{}`, "roomID"}, {`{"roomID":"a b"}`, "roomID"}, {`{"roomID":"r","reason":"left"}`, "reason"},
			{`{"roomID":"r","reason":7}`, "reason"}},
		"switchRole": {{`{"roomID":"r"}`, "role"}, {`{"role":"anchor"}`, "roomID"},
			{`{"roomID":"r","role":"none"}`, "role"}},
		"setRoomRole": {{`{"userID":"b","role":"anchor"}`, "roomID"}, {`{"roomID":"r","role":"anchor"}`, "userID"},
			{`{"roomID":"r","userID":"b"}`, "role"}, {`{"roomID":"r","userID":"b","role":"king"}`, "role"},
			{`{"roomID":"r","userID":"b","role":"anchor"}`, "roomID"},
			{`{"roomID":"group_none","userID":"b","role":"anchor"}`, "roomID"}},
		"dismissRoom": {{`{}`, "roomID"}},
		"getRoom":     {{`{}`, "roomID"}, {`{"roomID":"none"}`, "roomID"}},
		"listCalls": {{`{"limit":-1}`, "limit"}, {`{"before":"x"}`, "before"}, {`{"userID":"bob"}`, "userID"},
			{`{"from":-1}`, "from"}, {`{"open":1}`, "open"}},
		"getCall": {{`{}`, "callID"}, {`{"callID":"none"}`, "callID"}, {`{"callID":"` + long(65) + `"}`, "callID"}},
	}
}

// TestBadInput iterates over the table of methods; a method without an invalid case here fails, so that none is
// forgotten.
func TestBadInput(t *testing.T) {
	cases := map[string][]bad{}
	for _, part := range []map[string][]bad{badInvitations(), badMessages(), badGroups(), badUsers(), badRooms()} {
		for verb, list := range part {
			cases[verb] = list
		}
	}
	dir := t.TempDir()
	web := newServerIn(t, dir)
	for _, v := range (&API{}).table() {
		if len(cases[v.name]) == 0 {
			t.Errorf("%s has no bad case", v.name)
		}
		user := "alice"
		if v.callers == servers {
			user = ""
		}
		all := append(cases[v.name], bad{`{"nonsense":1}`, "nonsense"}, bad{`[]`, "body"}, bad{`{`, "body"})
		for _, c := range all {
			status, b := post(t, web, v.name, user, c.body)
			var e protocol.Error
			if err := json.Unmarshal(b, &e); err != nil || status < 400 || status >= 500 || e.Code == 0 || e.Message == "" ||
				e.Field != c.field {
				t.Errorf("%s %.60s: status %d, %s; want a numbered error on %s", v.name, c.body, status, b, c.field)
			}
		}
		delete(cases, v.name)
	}
	for verb := range cases {
		t.Errorf("%s has invalid cases but is not a method", verb)
	}
	if r, err := check.Inspect(t.Context(), store.Options{Dir: dir}); err != nil || r.Records != 0 || r.Topics != 0 ||
		r.Invitations != 0 {
		t.Errorf("bad input left something behind: %+v, %v", r, err)
	}
	if status, b := post(t, web, "getJoinedGroupList", "alice", `{}`); status != http.StatusOK ||
		string(b) != `{"groups":[]}` {
		t.Errorf("bad input made a group: %d %s", status, b)
	}
}
