package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/protocol/operator"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw7V9PMzFQ2h8="

// delivery is one POST that the receiver took.
type delivery struct {
	ID, Type string
	Data     struct {
		InviteID string `json:"inviteID"`
		Version  int    `json:"version"`
		Text     string `json:"text"`
	}
}

// receiver is an app server's end of webhooks. It believes only what the official library verifies.
type receiver struct {
	*httptest.Server
	t      *testing.T
	answer func(attempt int, d delivery) int // status

	mu    sync.Mutex
	tries map[string]int
	taken []delivery
	some  chan struct{}
}

func newReceiver(t *testing.T, answer func(int, delivery) int) *receiver {
	t.Helper()
	wh, err := standard.NewWebhook(strings.TrimPrefix(hookSecret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{t: t, answer: answer, tries: map[string]int{}, some: make(chan struct{}, 1)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // aborted by a server that stops
		}
		err = wh.Verify(body, req.Header)
		d := delivery{ID: req.Header.Get("webhook-id")}
		if err == nil {
			err = json.Unmarshal(body, &d)
		}
		if err != nil {
			t.Errorf("a webhook that is not one: %v: %s", err, body)
		}
		r.mu.Lock()
		r.tries[d.ID]++
		attempt := r.tries[d.ID]
		r.mu.Unlock()
		status := r.answer(attempt, d)
		if status/100 == 2 {
			r.mu.Lock()
			r.taken = append(r.taken, d)
			r.mu.Unlock()
			select {
			case r.some <- struct{}{}:
			default:
			}
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

// until waits until what was taken is enough.
func (r *receiver) until(enough func([]delivery) bool) []delivery {
	r.t.Helper()
	limit := time.After(2 * time.Minute)
	for {
		r.mu.Lock()
		list := slices.Clone(r.taken)
		r.mu.Unlock()
		if enough(list) {
			return list
		}
		select {
		case <-r.some:
		case <-limit:
			r.t.Fatalf("%d webhooks were taken, and that is not all: %+v", len(list), list)
		}
	}
}

func kinds(list []delivery, of string) (out []string) {
	for _, d := range list {
		if strings.HasPrefix(d.Data.InviteID, of) || of == "" {
			out = append(out, d.Type+" "+d.Data.InviteID)
		}
	}
	return out
}

// TestWebhooks: a receiver that fails three times in ten gets each event at least once, those of one conversation in
// their order, and what it took can be sent again.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	const pairs, calls = 10, 4
	flaky := func(attempt int, d delivery) int {
		h := fnv.New32a()
		_, _ = fmt.Fprint(h, d.ID, attempt)
		if attempt < 5 && h.Sum32()%10 < 3 { // later attempts are minutes apart
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}
	r := newReceiver(t, flaky)
	s := &scene{Cluster: newHouse(t, beckon.Config{Webhook: r.URL, WebhookSecret: hookSecret}), t: t}
	begin := time.Now().Add(-time.Minute).UnixMilli()
	var talk sync.WaitGroup
	for p := range pairs {
		talk.Go(func() {
			ann, bob := fmt.Sprintf("ann%d", p), fmt.Sprintf("bob%d", p)
			for n := range calls {
				from, to, id := ann, bob, fmt.Sprintf("pair%d-%d", p, n)
				if n%2 == 1 {
					from, to = bob, ann
				}
				s.act(from, "invite", protocol.InviteRequest{Invitee: to,
					InviteOptions: protocol.InviteOptions{InviteID: id, Timeout: 60}}, nil)
				s.act(to, "accept", map[string]string{"inviteID": id}, nil)
			}
		})
	}
	talk.Wait()
	list := r.until(func(list []delivery) bool {
		seen := map[string]bool{}
		for _, d := range list {
			seen[d.ID] = true
		}
		return len(seen) == 2*pairs*calls
	})
	for p := range pairs {
		var want []string
		for n := range calls {
			id := fmt.Sprintf("pair%d-%d", p, n)
			want = append(want, "invitation.created "+id, "invitation.answered "+id)
		}
		if got := slices.Compact(kinds(list, fmt.Sprintf("pair%d-", p))); !slices.Equal(got, want) {
			t.Errorf("pair %d: events came as\n%v\nand not as\n%v", p, got, want)
		}
	}
	s.replay(r, begin, 2*pairs*calls)
}

// replay sends everything again.
func (s *scene) replay(r *receiver, begin int64, events int) {
	s.t.Helper()
	var page operator.ListHookEventsResponse
	for limit := time.Now().Add(time.Minute); ; { // what was taken last is noted a moment later
		s.act("", "listHookEvents", operator.ListHookEventsRequest{State: operator.HookDelivered, From: begin, Limit: 1000},
			&page)
		if len(page.Events) == events {
			break
		}
		if time.Now().After(limit) {
			s.t.Fatalf("%d of %d events are noted as delivered", len(page.Events), events)
		}
		<-time.After(20 * time.Millisecond)
	}
	r.mu.Lock()
	r.taken = nil
	r.mu.Unlock()
	var res operator.ReplayHookEventsResponse
	s.act("", "replayHookEvents", operator.ReplayHookEventsRequest{State: operator.HookDelivered, From: begin}, &res)
	if res.Replayed != events {
		s.t.Errorf("%d events were replayed", res.Replayed)
	}
	r.until(func(list []delivery) bool {
		again := map[string]bool{}
		for _, d := range list {
			again[d.ID] = true
		}
		for _, e := range page.Events {
			if !again[e.ID] {
				return false
			}
		}
		return true
	})
}

// act calls a verb as an app server, for a user or, with none, for itself.
func (s *scene) act(user, verb string, req, res any) {
	s.t.Helper()
	if e := s.try(user, "Bearer "+s.Server.APIKey(), verb, req, res); e != nil {
		s.t.Errorf("%s by %q: %+v", verb, user, e)
	}
}

func (s *scene) try(user, key, verb string, req, res any) *protocol.Error {
	s.t.Helper()
	b, err := json.Marshal(req)
	if err != nil {
		s.t.Fatal(err)
	}
	hr, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.URL+"/v1/"+verb, bytes.NewReader(b))
	if err != nil {
		s.t.Fatal(err)
	}
	hr.Header.Set("Authorization", key)
	if user != "" && key == "Bearer "+s.Server.APIKey() {
		hr.Header.Set("Beckon-User", url.PathEscape(user))
	}
	got, err := http.DefaultClient.Do(hr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = got.Body.Close() }()
	if got.StatusCode != http.StatusOK {
		var e protocol.Error
		if err := json.NewDecoder(got.Body).Decode(&e); err != nil {
			s.t.Fatal(err)
		}
		return &e
	}
	if res != nil {
		if err := json.NewDecoder(got.Body).Decode(res); err != nil {
			s.t.Fatal(err)
		}
	}
	return nil
}

// TestWebhookKinds: each event once, whatever number of timelines it stands on; nothing that was not asked for.
func TestWebhookKinds(t *testing.T) {
	r := newReceiver(t, func(int, delivery) int { return http.StatusNoContent })
	// the receiver has the secret from before a rotation
	s := &scene{Cluster: newHouse(t, beckon.Config{Webhook: r.URL, SecondaryWebhookSecrets: []string{hookSecret},
		WebhookSecret: "whsec_" + strings.Repeat("A", 43) + "=",
		WebhookEvents: []string{"invitation", "message.sent"}, LargeGroup: 3}), t: t}
	s.act("ann", "invite", protocol.InviteRequest{Invitee: "bob",
		InviteOptions: protocol.InviteOptions{InviteID: "one", Timeout: 60}}, nil)
	s.act("bob", "ring", map[string]string{"inviteID": "one"}, nil)
	s.act("ann", "modifyInvitation", map[string]string{"inviteID": "one", "data": "x"}, nil)
	s.act("ann", "cancel", map[string]string{"inviteID": "one"}, nil)
	s.act("ann", "invite", protocol.InviteRequest{InviteeList: []string{"bob", "cat"},
		InviteOptions: protocol.InviteOptions{InviteID: "two", Timeout: 1}}, nil)
	s.act("bob", "reject", map[string]string{"inviteID": "two"}, nil)
	s.act("ann", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Work",
		MemberList: []string{"bob", "cat", "dan"}}, nil)
	s.act("ann", "inviteInGroup", protocol.InviteInGroupRequest{GroupID: "g", Everyone: true,
		InviteOptions: protocol.InviteOptions{InviteID: "three", Timeout: 60}}, nil)
	s.act("cat", "accept", map[string]string{"inviteID": "three"}, nil)
	s.act("ann", "sendMessage", map[string]string{"userID": "bob", "text": "hello"}, nil)
	s.act("ann", "sendMessage", map[string]string{"groupID": "g", "text": "all"}, nil)
	s.act("ann", "sendMessage", map[string]string{"userID": "zoe", "text": "the end"}, nil)
	want := []string{
		"invitation.answered three", "invitation.answered two", "invitation.cancelled one", "invitation.created one",
		"invitation.created three", "invitation.created two",
		"invitation.modified one", "invitation.ringing one", "invitation.timedOut two", "message.sent ", "message.sent ",
		"message.sent ",
	}
	list := r.until(func(list []delivery) bool { return len(list) >= len(want) })
	got := kinds(list, "")
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("events were\n%s\nand not\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestWebhookGoesNowhereElse: a redirect is not followed, a receiver that is gone is not asked again, and what it did
// not get is kept over a restart.
func TestWebhookGoesNowhereElse(t *testing.T) {
	trap := newReceiver(t, func(int, delivery) int { t.Error("a redirect was followed"); return http.StatusOK })
	asked := make(chan struct{}, 100)
	lure := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var d delivery
		_ = json.NewDecoder(req.Body).Decode(&d)
		if d.Data.InviteID == "gone" {
			w.WriteHeader(http.StatusGone)
		} else {
			http.Redirect(w, req, trap.URL, http.StatusTemporaryRedirect)
		}
		asked <- struct{}{}
	}))
	t.Cleanup(lure.Close)
	s := &scene{Cluster: newHouse(t, beckon.Config{Webhook: lure.URL, WebhookSecret: hookSecret}), t: t}
	s.act("ann", "invite", protocol.InviteRequest{Invitee: "bob",
		InviteOptions: protocol.InviteOptions{InviteID: "lured", Timeout: 60}}, nil)
	s.act("cat", "invite", protocol.InviteRequest{Invitee: "dan",
		InviteOptions: protocol.InviteOptions{InviteID: "gone", Timeout: 60}}, nil)
	for range 3 {
		<-asked
	}
	for state, id := range map[operator.HookState]string{operator.HookWaiting: "lured", operator.HookDead: "gone"} {
		var page operator.ListHookEventsResponse
		for limit := time.Now().Add(30 * time.Second); ; {
			s.act("", "listHookEvents", operator.ListHookEventsRequest{State: state}, &page)
			if len(page.Events) == 1 && page.Events[0].Error != "" {
				break
			}
			if time.Now().After(limit) {
				t.Fatalf("%s: %+v", state, page)
			}
			<-time.After(20 * time.Millisecond)
		}
		if e := page.Events[0]; !strings.Contains(string(e.Event), id) {
			t.Errorf("%s: %+v", state, e)
		}
	}
}

// TestBeforeHook: the app server may refuse with numbers of its own, or rewrite; when it does not answer, the
// operator's choice holds.
func TestBeforeHook(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var q struct {
			Type string
			Data struct {
				UserID, Verb string
				Request      map[string]any
			}
		}
		if err := json.NewDecoder(req.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		switch {
		case q.Data.UserID == "mallory" && q.Type == "before.invite":
			_, _ = io.WriteString(w, `{"code":120005,"message":"no calls for you"}`)
		case q.Data.UserID == "banned" && q.Type == "before.connect":
			_, _ = io.WriteString(w, `{"code":120006,"message":"go away"}`)
		case q.Data.UserID == "odd":
			_, _ = io.WriteString(w, `{"code":1}`)
		case q.Data.Verb == "sendMessage":
			q.Data.Request["text"] = "[checked] " + fmt.Sprint(q.Data.Request["text"])
			_ = json.NewEncoder(w).Encode(map[string]any{"request": q.Data.Request})
		}
	}))
	t.Cleanup(app.Close)
	for _, refuse := range []bool{false, true} {
		s := &scene{Cluster: newHouse(t, beckon.Config{BeforeHook: app.URL, WebhookSecret: hookSecret,
			BeforeHookRefuse: refuse}), t: t}
		as := func(user, verb string, req, res any) *protocol.Error {
			return s.try(user, "Bearer "+s.Token(user), verb, req, res)
		}
		invite := protocol.InviteRequest{Invitee: "bob", InviteOptions: protocol.InviteOptions{Timeout: 60}}
		if e := as("mallory", "invite", invite, nil); e == nil || e.Code != 120005 || e.Message != "no calls for you" {
			t.Errorf("the refusal arrived as %+v", e)
		}
		if e := as("ann", "invite", invite, nil); e != nil {
			t.Errorf("what the app server lets pass was refused: %+v", e)
		}
		if e := as("odd", "invite", invite, nil); (e != nil) != refuse {
			t.Errorf("refuse %v: an answer that is none led to %+v", refuse, e)
		}
		var sent protocol.SendMessageResponse
		if e := as("ann", "sendMessage", map[string]string{"userID": "bob", "text": "hello"}, &sent); e != nil {
			t.Errorf("a message that was rewritten: %+v", e)
		}
		var got struct {
			Message struct{ Text string }
		}
		if e := as("ann", "getMessage", map[string]string{"conversationID": sent.ConversationID, "messageID": sent.MessageID},
			&got); e != nil || got.Message.Text != "[checked] hello" {
			t.Errorf("the message became %+v, %+v", got, e)
		}
		s.act("mallory", "invite", invite, nil) // app servers are not asked about themselves
		if e := s.try("banned", "Bearer "+s.Token("banned"), "getDeviceList", map[string]any{}, nil); e != nil &&
			e.Code >= 120000 {
			t.Errorf("a verb that is not asked about: %+v", e)
		}
		c, err := client.New(client.Options{Server: s.URL, Token: s.Token("banned")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		if err := c.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "go away") {
			t.Errorf("a connect that was to be refused: %v", err)
		}
	}
	if _, err := beckon.New(t.Context(), beckon.Config{DataDir: t.TempDir(), BeforeHook: app.URL,
		WebhookSecret: "short"}); err == nil || !strings.Contains(err.Error(), "whsec_") {
		t.Errorf("a secret that is none: %v", err)
	}
}
