package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/protocol/operator"
)

// quiet waits until no event waits any more.
func (s *scene) quiet() {
	s.t.Helper()
	for limit := time.Now().Add(time.Minute); ; {
		var page operator.ListHookEventsResponse
		s.act("", "listHookEvents", operator.ListHookEventsRequest{State: operator.HookWaiting}, &page)
		if page.Waiting == 0 {
			return
		}
		if time.Now().After(limit) {
			s.t.Fatalf("%d events wait: %+v", page.Waiting, page.Events)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// events lists what a receiver took, once for each event.
func (r *receiver) events() map[string]delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := map[string]delivery{}
	for _, d := range r.taken {
		list[d.ID] = d
	}
	return list
}

// TestEachEventOnce: things that happen in the same moment, and look alike, are events of their own, and nobody's
// answer is told twice.
func TestEachEventOnce(t *testing.T) {
	const crowd = 30
	var mu sync.Mutex
	answers := map[string]int{}
	r := newReceiver(t, func(int, delivery) int { return http.StatusOK })
	inner := r.Config.Handler
	r.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // aborted by the sender
		}
		var e struct {
			Data struct {
				Answers []struct{ Invitee string }
			}
		}
		_ = json.Unmarshal(body, &e)
		mu.Lock()
		for _, a := range e.Data.Answers {
			answers[a.Invitee]++
		}
		mu.Unlock()
		req.Body = io.NopCloser(strings.NewReader(string(body)))
		inner.ServeHTTP(w, req)
	})
	s := &scene{Cluster: newHouse(t, beckon.Config{Webhook: r.URL, WebhookSecret: hookSecret, LargeGroup: 5}), t: t}
	people := make([]string, crowd)
	for i := range people {
		people[i] = fmt.Sprint("p", i)
	}
	s.act("ann", "invite", protocol.InviteRequest{InviteeList: append(slices.Clone(people), "idle"),
		InviteOptions: protocol.InviteOptions{InviteID: "party", Timeout: 60}}, nil)
	s.act("ann", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Work", MemberList: people}, nil)
	s.act("ann", "sendMessage", map[string]string{"userID": "bob", "text": "first", "messageID": "m"}, nil)
	var all sync.WaitGroup
	for i, p := range people {
		all.Go(func() { s.act(p, "accept", map[string]string{"inviteID": "party"}, nil) })
		all.Go(func() {
			s.act(p, "sendMessage", map[string]string{"userID": fmt.Sprint("q", i), "text": "x", "messageID": "same"}, nil)
		})
		all.Go(func() { s.act("", "sendGroupCustomData", map[string]string{"groupID": "g", "data": "same"}, nil) })
		all.Go(func() {
			s.act("ann", "modifyMessage", map[string]string{"conversationID": "c2c_bob", "messageID": "m",
				"text": fmt.Sprint(i)}, nil)
		})
	}
	all.Wait()
	s.act("ann", "addInvitees", map[string]any{"inviteID": "party", "inviteeList": []string{"late"}}, nil)
	s.quiet()
	got := map[string]int{}
	for _, d := range r.events() {
		got[d.Type]++
	}
	for kind, want := range map[string]int{"message.sent": crowd + 1, "message.modified": crowd, "group.customData": crowd,
		"invitation.created": 1, "invitation.inviteesAdded": 1} {
		if got[kind] != want {
			t.Errorf("%d events are %s, and not %d", got[kind], kind, want)
		}
	}
	for _, p := range people {
		if answers[p] != 1 {
			t.Errorf("the answer of %s was told %d times", p, answers[p])
		}
	}
}

// TestOrderOfALargeGroup: also where the invitation and its answers stand on different timelines, events come in their
// order.
func TestOrderOfALargeGroup(t *testing.T) {
	r := newReceiver(t, func(attempt int, d delivery) int {
		if attempt == 1 && d.Type == "invitation.created" {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	s := &scene{Cluster: newHouse(t, beckon.Config{Webhook: r.URL, WebhookSecret: hookSecret, LargeGroup: 2,
		WebhookEvents: []string{"invitation"}}), t: t}
	s.act("zoe", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Work",
		MemberList: []string{"ann", "bob", "cat"}}, nil)
	s.act("zoe", "inviteInGroup", protocol.InviteInGroupRequest{GroupID: "g", Everyone: true,
		InviteOptions: protocol.InviteOptions{InviteID: "i", Timeout: 60}}, nil)
	s.act("ann", "accept", map[string]string{"inviteID": "i"}, nil)
	s.act("bob", "reject", map[string]string{"inviteID": "i"}, nil)
	s.act("zoe", "cancel", map[string]string{"inviteID": "i"}, nil)
	s.quiet()
	r.mu.Lock()
	defer r.mu.Unlock()
	want := []string{"invitation.created i", "invitation.answered i", "invitation.answered i", "invitation.cancelled i"}
	if got := kinds(r.taken, "i"); !slices.Equal(got, want) {
		t.Errorf("events came as %v", got)
	}
}

// TestOddAnswersAreNoted: what a receiver answers is kept as far as a database takes it.
func TestOddAnswersAreNoted(t *testing.T) {
	odd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusGone)
		_, _ = w.Write([]byte("a\xe8\xaa\x00" + strings.Repeat("不", 200)))
	}))
	t.Cleanup(odd.Close)
	s := &scene{Cluster: newHouse(t, beckon.Config{Webhook: odd.URL, WebhookSecret: hookSecret}), t: t}
	s.act("ann", "invite", protocol.InviteRequest{Invitee: "bob", InviteOptions: protocol.InviteOptions{Timeout: 60}}, nil)
	s.quiet()
	var page operator.ListHookEventsResponse
	s.act("", "listHookEvents", operator.ListHookEventsRequest{State: operator.HookDead}, &page)
	if len(page.Events) != 1 || page.Events[0].Tries != 1 || !strings.Contains(page.Events[0].Error, "不") {
		t.Errorf("%+v", page)
	}
}

// TestNobodyGetsAroundTheBeforeHook: what is asked about is what is done, whatever the caller writes, and however they
// leave.
func TestNobodyGetsAroundTheBeforeHook(t *testing.T) {
	slow := make(chan struct{})
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var q struct {
			Data struct{ Request map[string]any }
		}
		if err := json.NewDecoder(req.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		text := fmt.Sprint(q.Data.Request["text"])
		switch {
		case strings.Contains(text, "bad"):
			if strings.Contains(text, "slowly") {
				<-slow
			}
			_, _ = io.WriteString(w, `{"code":120001}`)
		case strings.HasPrefix(text, "<"):
			q.Data.Request["text"] = "[checked]"
			q.Data.Request["customData"] = strings.Repeat("<", 4000)
			_ = json.NewEncoder(w).Encode(map[string]any{"request": q.Data.Request, "note": strings.Repeat("<", 20_000)})
		}
	}))
	t.Cleanup(app.Close)
	s := &scene{Cluster: newHouse(t, beckon.Config{BeforeHook: app.URL, WebhookSecret: hookSecret,
		BeforeHookVerbs: []string{"sendMessage"}, BeforeHookTime: 10 * time.Second}), t: t}
	post := func(ctx context.Context, body string) int {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/v1/sendMessage", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+s.Token("ann"))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	for _, body := range []string{`{"userID":"bob","text":"bad"}`, `{"userID":"bob","text":"bad"}}`,
		`{"userID":"bob","text":"bad"}]`, `{"userID":"bob","text":"fine","TEXT":"bad"}`,
		`{"userID":"bob","text":"fine","text":"bad"}`} {
		if status := post(t.Context(), body); status == http.StatusOK {
			t.Errorf("%s was let pass", body)
		}
	}
	if status := post(t.Context(), `{"userID":"bob","text":"<long"}`); status != http.StatusOK {
		t.Errorf("a long rewrite: %d", status)
	}
	ctx, leave := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer leave()
	post(ctx, `{"userID":"bob","text":"bad, slowly"}`)
	close(slow)
	post(t.Context(), `{"userID":"bob","text":"the end"}`)
	var page struct {
		Messages []struct {
			Event struct{ Text string }
		}
	}
	s.act("ann", "getHistoryMessageList", map[string]any{"conversationID": "c2c_bob"}, &page)
	var got []string
	for _, m := range page.Messages {
		got = append(got, m.Event.Text)
	}
	if slices.Sort(got); !slices.Equal(got, []string{"[checked]", "the end"}) {
		t.Errorf("bob has got %q", got)
	}
}
