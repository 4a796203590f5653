package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// TestBefore: the embedding program refuses and rewrites calls of devices, and calls the server meanwhile.
func TestBefore(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	var server *beckon.Server
	var inside atomic.Int64
	full := make(chan struct{})
	before := func(ctx context.Context, call beckon.BeforeCall) (json.RawMessage, error) {
		mu.Lock()
		asked = append(asked, call.Method+" "+call.UserID)
		mu.Unlock()
		var message protocol.SendMessageRequest
		switch {
		case call.Method == "connect" && call.UserID == "eve":
			return nil, &beckon.Error{Code: 120042, Message: "not today"}
		case call.Method != "sendMessage":
			return nil, nil
		case json.Unmarshal(call.Request, &message) != nil:
			return nil, errors.New("not a request")
		}
		switch message.Text {
		case "forbidden":
			return nil, fmt.Errorf("moderation: %w", &beckon.Error{Field: "text"})
		case "broken":
			return nil, errors.New("the filter is down")
		case "nil":
			var none *beckon.Error
			return nil, none
		case "code":
			return nil, &beckon.Error{Code: 403}
		case "bug":
			panic("index out of range")
		case "rude":
			message.Text = "***"
			return json.Marshal(message)
		case "wrong":
			return json.RawMessage(`{"nonsense":1}`), nil
		case "late":
			<-ctx.Done()
			return nil, ctx.Err()
		case "nested": // when one user has as many running as it may
			if inside.Add(1) == 32 {
				close(full)
			}
			select {
			case <-full:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			err := server.Call(ctx, beckon.Caller{UserID: call.UserID}, "sendMessage",
				protocol.SendMessageRequest{UserID: "carl", Body: protocol.Body{Text: "copy"}}, nil)
			return nil, err
		}
		return nil, nil
	}
	s := &scene{Cluster: newHouse(t, beckon.Config{Before: before, BeforeHookTime: 5 * time.Second}), t: t}
	server = s.Server
	ann := s.DeviceWith(client.Options{Token: s.Token("ann"), DeviceID: "d", NoRepeat: true})
	if _, err := s.attempt(s.Token("eve")); err == nil || !strings.Contains(err.Error(), "not today") {
		t.Errorf("eve connected: %v", err)
	}
	send := func(text string) (protocol.SendMessageResponse, error) {
		var res protocol.SendMessageResponse
		err := ann.Call(t.Context(), "sendMessage",
			protocol.SendMessageRequest{UserID: "bob", Body: protocol.Body{Text: text}}, &res)
		return res, err
	}
	for text, want := range map[string]int{"hello": 0, "forbidden": 120001, "broken": im.CodeInternal,
		"bug": im.CodeInternal, "rude": 0, "wrong": im.CodeBadParameter, "late": im.CodeInternal} {
		_, err := send(text)
		var refused *protocol.Error
		if errors.As(err, &refused); want == 0 && err != nil || want != 0 && (refused == nil || refused.Code != want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	var all sync.WaitGroup
	token := s.Token("ann")
	for range 40 {
		all.Go(func() {
			request := protocol.SendMessageRequest{UserID: "bob", Body: protocol.Body{Text: "nested"}}
			if e := s.try("", "Bearer "+token, "sendMessage", request, nil); e != nil {
				t.Errorf("nested: %+v", e)
			}
		})
	}
	all.Wait()
	s.act("ann", "sendMessage", protocol.SendMessageRequest{UserID: "bob", Body: protocol.Body{Text: "forbidden"}}, nil)
	var page protocol.HistoryResponse
	s.act("bob", "getHistoryMessageList", protocol.HistoryRequest{ConversationID: "c2c_ann"}, &page)
	var texts []string
	for _, e := range page.Messages {
		var m protocol.Message
		if err := json.Unmarshal(e.Event, &m); err != nil {
			t.Fatal(err)
		}
		if m.Text != "nested" {
			texts = append(texts, m.Text)
		}
	}
	if slices.Sort(texts); !slices.Equal(texts, []string{"***", "forbidden", "hello"}) {
		t.Errorf("bob has %q", texts)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Contains(asked, "connect ann") || slices.Contains(asked, "sendMessage bob") {
		t.Errorf("asked about %q", asked)
	}
}

// TestAfter: the embedding program receives committed events in order, again after an error, and after a restart.
func TestAfter(t *testing.T) {
	type taken struct{ id, kind, text string }
	var mu sync.Mutex
	var list []taken
	tries := map[string]int{}
	some := make(chan struct{}, 1)
	down := true
	after := func(_ context.Context, e beckon.Event) error {
		var m protocol.Message
		if err := json.Unmarshal(e.Data, &m); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		tries[e.ID]++
		switch {
		case e.Key == "" || time.Since(e.Time).Abs() > time.Hour:
			t.Errorf("an event without a key or time: %+v", e)
		case m.Text == "down" && down:
			return errors.New("the database is down")
		case m.Text == "bug" && tries[e.ID] == 1:
			panic("index out of range")
		}
		list = append(list, taken{e.ID, e.Type, m.Text})
		select {
		case some <- struct{}{}:
		default:
		}
		return nil
	}
	dir := t.TempDir()
	cfg := beckon.Config{DataDir: dir, After: after, WebhookEvents: []string{"message"}}
	texts := func(n int) (got []string) {
		t.Helper()
		for timeout := time.After(30 * time.Second); ; {
			mu.Lock()
			got = nil
			for _, e := range list {
				got = append(got, e.text)
			}
			mu.Unlock()
			if len(got) >= n {
				return got
			}
			select {
			case <-some:
			case <-timeout:
				t.Fatalf("received %q", got)
			}
		}
	}
	send := func(s *scene, text string) {
		t.Helper()
		s.act("ann", "sendMessage", protocol.SendMessageRequest{UserID: "bob", Body: protocol.Body{Text: text}}, nil)
	}
	first := &scene{Cluster: newHouse(t, cfg), t: t}
	cfg.Postgres = ""
	for _, text := range []string{"one", "bug", "two"} {
		send(first, text)
	}
	first.act("ann", "invite", protocol.InviteRequest{Invitee: "bob"}, nil) // filtered
	if got := texts(3); !slices.Equal(got, []string{"one", "bug", "two"}) {
		t.Errorf("received %q", got)
	}
	if *nodes > 1 {
		return // the database is a new one after a restart of the cluster
	}
	send(first, "down")
	send(first, "behind")
	first.Stop()
	mu.Lock()
	down = false
	mu.Unlock()
	newHouse(t, cfg)
	if got := texts(5); !slices.Equal(got[3:], []string{"down", "behind"}) {
		t.Errorf("received %q after a restart", got)
	}
	for _, e := range list {
		if e.kind != "message.sent" || e.text == "bug" && tries[e.id] != 2 {
			t.Errorf("%+v, received %d times", e, tries[e.id])
		}
	}
}

// TestOneReceiverOfEvents: webhooks and After exclude each other.
func TestOneReceiverOfEvents(t *testing.T) {
	cfg := beckon.Config{Webhook: "https://example.com", WebhookSecret: hookSecret,
		After: func(context.Context, beckon.Event) error { return nil }}
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "After") {
		t.Errorf("both: %v", err)
	}
}
