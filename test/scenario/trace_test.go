package scenario

import (
	"compress/gzip"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	v1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/protocol"
)

// collected are the spans that a collector of OpenTelemetry was sent.
type collected struct {
	mu    sync.Mutex
	spans map[string]*v1.Span // by name
	more  chan struct{}
}

func (c *collected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(r.Body) // what it is not cannot be read below
	}
	text, err := io.ReadAll(body)
	var req collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(text, &req)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "not OTLP", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, res := range req.ResourceSpans {
		for _, scope := range res.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans[s.Name] = s
			}
		}
	}
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// subscribe lets a user be reached by Web Push at an address.
func (s *scene) subscribe(user, endpoint string) {
	s.t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	s.act(user, "setPushToken", protocol.SetPushTokenRequest{Provider: protocol.PushWeb,
		Subscription: &protocol.WebPushSubscription{
			Endpoint: endpoint, Keys: protocol.WebPushKeys{P256dh: enc(key.PublicKey().Bytes()), Auth: enc(make([]byte, 16))}}},
		nil)
}

// TestTraces: what was asked for, pushed and answered of an invitation is one trace, whose root is the invite.
func TestTraces(t *testing.T) {
	got := &collected{spans: map[string]*v1.Span{}, more: make(chan struct{}, 1)}
	web := httptest.NewServer(got)
	t.Cleanup(web.Close)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request) {
		w.WriteHeader(http.StatusCreated)
	}))
	t.Cleanup(service.Close)
	s := &scene{t: t, Cluster: newHouse(t, beckon.Config{Traces: web.URL, Push: beckon.PushConfig{Private: true}})}
	s.subscribe("bob", service.URL+"/b")
	s.act("alice", "invite", protocol.InviteRequest{Invitee: "bob",
		InviteOptions: protocol.InviteOptions{InviteID: "traced", Timeout: 60}}, nil)
	deadline := time.After(20 * time.Second)
	has := func(name string) *v1.Span {
		for {
			got.mu.Lock()
			span := got.spans[name]
			got.mu.Unlock()
			if span != nil {
				return span
			}
			select {
			case <-got.more:
			case <-deadline:
				t.Fatalf("no span %s came", name)
			}
		}
	}
	push := has("push")
	s.act("bob", "accept", protocol.AnswerRequest{InviteID: "traced"}, nil)
	root, accept := has("invite"), has("accept")
	if len(root.ParentSpanId) != 0 || hex.EncodeToString(push.TraceId) != hex.EncodeToString(root.TraceId) ||
		hex.EncodeToString(accept.TraceId) != hex.EncodeToString(root.TraceId) {
		t.Errorf("they are several traces: %v %v %v", root, push, accept)
	}
	if hex.EncodeToString(push.ParentSpanId) != hex.EncodeToString(root.SpanId) ||
		hex.EncodeToString(accept.ParentSpanId) != hex.EncodeToString(root.SpanId) {
		t.Errorf("push and accept are not of the invite: %v %v %v", root, push, accept)
	}
}
