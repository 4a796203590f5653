// Package contract tests that the server and its OpenAPI document agree.
package contract

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

var (
	requests = flag.Int("contract.requests", 10, "valid requests of each method")
	seed     = flag.Uint64("contract.seed", 1, "seed of the requests")
)

// formal are the codes with which the server refuses the form of a request.
var formal = []int{im.CodeBadParameter, im.CodeTooLong, im.CodeGroupParameter, im.CodeBadGroupID}

// ofServer are the fields that are refused as the server is configured, or as the type of a group demands.
var ofServer = map[string]bool{"setPushToken.provider": true, "createGroup.joinOption": true,
	"createGroup.inviteOption": true, "createGroup.maxMembers": true, "importGroups.groups": true,
	"importGroups.joinOption": true, "importGroups.inviteOption": true, "getStats.step": true,
	"listCalls.userID": true, "setGroupAttributes.attributes": true}

// suite is a server with some users, groups, messages and invitations.
type suite struct {
	*testing.T
	*beckontest.Cluster
	doc      document
	compiler *jsonschema.Compiler
	gen      *generator
	seen     *events
	number   int
	user     string                       // the caller
	received protocol.SendMessageResponse // a message of bob to the group
}

func newSuite(t *testing.T) *suite {
	seen := &events{}
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			seen.add(&seen.hooks, body)
		}
	}))
	t.Cleanup(sink.Close)
	s := &suite{
		T:    t,
		seen: seen,
		Cluster: beckontest.StartWith(t, beckon.Config{UserRate: 1e6, UserBurst: 1e6, AddressRate: 1e6,
			AddressBurst: 1e6, GroupsPerDay: -1, MembersPerDay: -1, Webhook: sink.URL,
			WebhookSecret: "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32))}),
	}
	res, err := http.Get(s.URL + "/openapi.json") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &s.doc); err != nil {
		t.Fatal(err)
	}
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	s.compiler = jsonschema.NewCompiler()
	if err := s.compiler.AddResource("https://beckon/openapi.json", whole); err != nil {
		t.Fatal(err)
	}
	s.gen = &generator{doc: &s.doc, rnd: rand.New(rand.NewPCG(*seed, 1)), pool: map[string][]string{}}
	return s
}

// world makes users, a group, a message and an invitation for the requests of a method, and fills the pool with them.
func (s *suite) world() {
	s.number++
	name := func(of string) string { return fmt.Sprintf("%s-%d", of, s.number) }
	s.user = name("alice")
	bob, cem, dan, group := name("bob"), name("cem"), name("dan"), name("group")
	s.must(s.user, "createGroup", protocol.CreateGroupRequest{GroupID: group, Type: "Community",
		MemberList: []string{bob, cem, dan}})
	s.listen(s.user)
	s.listen(bob)
	var sent, twice protocol.SendMessageResponse
	body := protocol.Body{Text: "hello"}
	s.into(&sent, s.user, "sendMessage", protocol.SendMessageRequest{UserID: bob, Body: body})
	toGroup := protocol.SendMessageRequest{GroupID: group, Body: body,
		MessageOptions: protocol.MessageOptions{NeedReadReceipt: true}}
	s.into(&twice, s.user, "sendMessage", toGroup)
	s.into(&s.received, bob, "sendMessage", toGroup)
	var one, many protocol.InviteResponse
	s.into(&one, s.user, "invite", protocol.InviteRequest{Invitee: bob})
	s.into(&many, dan, "invite", protocol.InviteRequest{Invitee: s.user})
	users := []string{bob, cem}
	s.gen.pool = map[string][]string{"userID": users, "invitee": users, "inviteeList": users, "userIDList": users,
		"memberList": users, "mentions": users, "receiverList": users, "from": users, "owner": users,
		"groupID": {group}, "groupIDList": {group}, "inviteID": {one.InviteID, many.InviteID},
		"inviteIDs": {one.InviteID}, "conversationID": {"c2c_" + bob, "group_" + group},
		"p256dh":    {"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"},
		"auth":      {"BTBZMqHH6r4Tts7J_aSIgg"},
		"messageID": {twice.MessageID}, "messageIDList": {twice.MessageID}, "replyTo": {sent.MessageID, twice.MessageID}}
}

// prepare creates the objects of the requests of a method.
func (s *suite) prepare(method string) {
	pool := s.gen.pool
	if method != "sendMessage" {
		pool["conversationID"] = pool["conversationID"][1:] // that of the messages
	}
	name := func(of string) string { return fmt.Sprintf("%s-%d", of, s.number) }
	other, dan, eve := name("other"), name("dan"), name("eve")
	switch method {
	case "sendMessage": // the messageID is new
		delete(pool, "messageID")
	case "createGroup", "importGroups": // the groupID is new, and named once
		delete(pool, "groupID")
	case "listCalls": // users may only name themselves
		pool["userID"] = nil
	case "addInvitees": // by the inviter, of new invitees
		pool["inviteID"], pool["inviteeList"] = pool["inviteID"][:1], pool["inviteeList"][1:]
	case "sendMessageReadReceipts":
		pool["messageIDList"] = []string{s.received.MessageID}
	case "deleteMessages":
		s.gen.seq = s.received.Seq
	case "joinGroup", "quitGroup":
		members := map[bool][]string{true: {s.user}}[method == "quitGroup"]
		s.must(dan, "createGroup", protocol.CreateGroupRequest{GroupID: other, Type: "Community", MemberList: members})
		pool["groupID"] = []string{other}
	case "acceptGroupApplication", "refuseGroupApplication":
		s.must(s.user, "createGroup", protocol.CreateGroupRequest{GroupID: other, Type: "Public"})
		s.must(eve, "joinGroup", protocol.JoinGroupRequest{GroupID: other})
		pool["groupID"], pool["userID"] = []string{other}, []string{eve}
	}
}

// request calls a method and returns the status and the body of the response.
func (s *suite) request(user, method string, body []byte) (int, []byte) {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), http.MethodPost, s.URL+"/v1/"+method, bytes.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Server.APIKey())
	if user != "" {
		r.Header.Set("Beckon-User", url.PathEscape(user))
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.Fatal(err)
	}
	return res.StatusCode, b
}

func (s *suite) must(user, method string, request any) []byte {
	s.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		s.Fatal(err)
	}
	status, b := s.request(user, method, body)
	if status != http.StatusOK {
		s.Fatalf("%s %s: %d %s", method, body, status, b)
	}
	return b
}

func (s *suite) into(response any, user, method string, request any) {
	s.Helper()
	if err := json.Unmarshal(s.must(user, method, request), response); err != nil {
		s.Fatal(err)
	}
}

// valid reports whether JSON matches a schema of the document, at a JSON pointer.
func (s *suite) valid(pointer string, text []byte) error {
	sch, err := s.compiler.Compile("https://beckon/openapi.json#" + pointer)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return sch.Validate(v)
}

// methods returns the names of the methods and the pointers to their requests.
func (s *suite) methods() []string {
	var list []string
	for path := range maps.Keys(s.doc.Paths) {
		if name := strings.TrimPrefix(path, "/v1/"); name != "files" {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

func (s *suite) requestSchema(method string) *schema {
	return s.doc.resolve(s.doc.Paths["/v1/"+method].Post.RequestBody.Content["application/json"].Schema)
}

// caller returns a user that may call a method; empty = the app server itself.
func (s *suite) caller(method string) string {
	if len(s.doc.Paths["/v1/"+method].Post.Security) == 1 {
		return ""
	}
	return s.user
}

func pointerTo(method, rest string) string { return "/paths/~1v1~1" + method + "/post/" + rest }

// check compares a response with the document.
func (s *suite) check(method string, request []byte, status int, response []byte) (failed protocol.Error) {
	s.Helper()
	at := pointerTo(method, fmt.Sprintf("responses/%d/content/application~1json/schema", status))
	if _, declared := s.doc.Paths["/v1/"+method].Post.Responses[fmt.Sprint(status)]; !declared {
		s.Errorf("%s %s: the document lacks the status %d: %s", method, clip(request), status, response)
	} else if err := s.valid(at, response); err != nil {
		s.Errorf("%s: the response %s is against the document: %v", method, response, err)
	}
	if status != http.StatusOK {
		if err := json.Unmarshal(response, &failed); err != nil {
			s.Fatal(err)
		}
	}
	return failed
}

func clip(b []byte) string { return fmt.Sprintf("%.300s", b) }

// TestValidRequests: no request that matches the schema of its method is refused for its form, and every response
// matches the document.
func TestValidRequests(t *testing.T) {
	s := newSuite(t)
	accepted := map[string]int{}
	for _, method := range s.methods() {
		s.world()
		s.prepare(method)
		in := s.requestSchema(method)
		for range *requests {
			body, err := json.Marshal(s.gen.object(in, ""))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.valid(pointerTo(method, "requestBody/content/application~1json/schema"), body); err != nil {
				t.Fatalf("%s: the test made %s, which is against the document: %v", method, body, err)
			}
			status, response := s.request(s.caller(method), method, body)
			if status == http.StatusOK {
				accepted[method]++
			}
			e := s.check(method, body, status, response)
			if slices.Contains(formal, e.Code) && !ofServer[method+"."+e.Field] {
				t.Errorf("%s %s: refused for its form: %s", method, clip(body), response)
			}
		}
	}
	s.checkAccepted(accepted)
	s.checkEvents()
}

// ofOthers are methods with valid requests that this test cannot make: they need a media server, a call, a file or
// a token for pushes.
var ofOthers = map[string]bool{"enterRoom": true, "exitRoom": true, "switchRole": true, "setRoomRole": true,
	"dismissRoom": true, "getRoom": true, "getCall": true, "getFile": true, "testPush": true, "getPushTest": true,
	"ackPushTest": true}

// checkAccepted reports the accepted requests. Without the check, a method that refuses all requests would pass.
func (s *suite) checkAccepted(accepted map[string]int) {
	total := 0
	for _, method := range s.methods() {
		n := accepted[method]
		if total += n; (n == 0) != ofOthers[method] {
			s.Errorf("%s accepted %d of %d valid requests", method, n, *requests)
		}
	}
	s.Logf("%d of %d valid requests of %d methods were accepted", total, *requests*len(s.methods()), len(s.methods()))
}

// TestNearlyValidRequests: each request that breaks one rule of the schema of its method is refused for its form, and
// the error names a field.
func TestNearlyValidRequests(t *testing.T) {
	s := newSuite(t)
	s.gen.known = true
	count := 0
	for _, method := range s.methods() {
		s.world()
		s.prepare(method)
		s.gen.pool["inviteID"] = s.gen.pool["inviteID"][:1]
		for _, m := range s.gen.mutations(s.requestSchema(method)) {
			count++
			if err := s.valid(pointerTo(method, "requestBody/content/application~1json/schema"), m.body); err == nil &&
				!m.unsaid {
				t.Errorf("%s %s: %s matches the document", method, m.what, clip(m.body))
			}
			status, response := s.request(s.caller(method), method, m.body)
			e := s.check(method, m.body, status, response)
			switch {
			case status == http.StatusOK:
				t.Errorf("%s %s: accepted: %s", method, m.what, clip(m.body))
			case !slices.Contains(formal, e.Code):
				t.Errorf("%s %s: refused for something else: %s %s", method, m.what, clip(m.body), response)
			case e.Field == "":
				t.Errorf("%s %s: the error names no field: %s", method, m.what, response)
			}
		}
	}
	t.Logf("%d requests", count)
}
