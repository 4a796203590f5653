package scenario

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/protocol/operator"
	"github.com/beckon-im/beckon/protocol/pushcheck"
)

// fcmService is a stand-in of FCM.
type fcmService struct {
	t    *testing.T
	web  *httptest.Server
	got  chan protocol.PushNotice
	conf beckon.PushConfig
}

func newFCMService(t *testing.T) *fcmService {
	f := &fcmService{t: t, got: make(chan protocol.PushNotice, 10)}
	f.web = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.web.Close)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	account, err := json.Marshal(map[string]string{"project_id": "p", "client_email": "e@example.com",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"token_uri":   f.web.URL + "/token"})
	if err != nil {
		t.Fatal(err)
	}
	f.conf = beckon.PushConfig{FCMCredentials: account, FCMURL: f.web.URL}
	return f
}

func (f *fcmService) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		_, _ = io.WriteString(w, `{"access_token":"access","expires_in":3600}`)
		return
	}
	var sent struct {
		Message struct{ Data struct{ Beckon string } }
	}
	var push protocol.PushNotice
	if json.NewDecoder(r.Body).Decode(&sent) != nil || json.Unmarshal([]byte(sent.Message.Data.Beckon), &push) != nil {
		f.t.Error("a push cannot be read")
	}
	_, _ = io.WriteString(w, `{}`)
	f.got <- push
}

func (f *fcmService) next() protocol.PushNotice {
	f.t.Helper()
	select {
	case p := <-f.got:
		return p
	case <-time.After(beckontest.Patience):
		f.t.Fatal("no push came")
		return protocol.PushNotice{}
	}
}

// TestDoesItRing: a test push reaches the phone that is connected to another node, which acknowledges it at a third
// without signing in; the same phone, closed, rings by a push. All nodes tell the health of its token, also after a
// restart, and the ring is counted.
func TestDoesItRing(t *testing.T) {
	fcm := newFCMService(t)
	dir, postgres := t.TempDir(), onGround(t)
	config := func() beckon.Config { return beckon.Config{DataDir: dir, Postgres: postgres, Push: fcm.conf} }
	s := &scene{t: t, Cluster: newHouse(t, config())}
	first, last := s.Nodes[0].URL, s.Nodes[len(s.Nodes)-1].URL
	other := s.Nodes[len(s.Nodes)/2].URL
	connect := func(url, user, device string) *client.Client {
		t.Helper()
		return s.DeviceWith(client.Options{Server: url, Token: s.Token(user), DeviceID: device, Platform: "android"})
	}
	phone, desktop := connect(first, "bob", "phone"), connect(last, "bob", "desktop")
	if _, err := phone.SetPushToken(t.Context(), protocol.SetPushTokenRequest{Provider: protocol.PushFCM,
		Token: "phone", Language: "zh-CN"}); err != nil {
		t.Fatal(err)
	}
	test, err := desktop.TestPush(t.Context(), pushcheck.TestPushRequest{DeviceID: "phone"})
	if err != nil {
		t.Fatal(err)
	}
	push := fcm.next()
	if push.Kind != protocol.PushTest || push.TestID != test.TestID || push.UserID != "bob" {
		t.Fatalf("the phone got %+v", push)
	}
	if _, err := phone.TestPush(t.Context(), pushcheck.TestPushRequest{}); err == nil ||
		!strings.Contains(err.Error(), "every 10 s") {
		t.Errorf("a second test, at another node: %v", err)
	}
	s.withToken(other, push.AnswerToken, "ackPushTest", pushcheck.AckPushTestRequest{TestID: test.TestID})
	eventually(t, "the test is over", func() bool {
		test, err = desktop.GetPushTest(t.Context(), test.TestID)
		return err == nil && test.Over && test.Devices[0].AcceptedMs > 0
	})
	if d := test.Devices[0]; d.State != pushcheck.PushTestAcknowledged || d.AcknowledgedMs < 1 || d.DeviceID != "phone" {
		t.Errorf("the result is %+v", d)
	}
	t.Logf("accepted after %d ms, acknowledged after %d ms", test.Devices[0].AcceptedMs, test.Devices[0].AcknowledgedMs)
	acknowledged := s.acknowledged(0)

	phone.Close()
	eventually(t, "the phone is seen to be closed", func() bool {
		list, err := desktop.GetDeviceList(t.Context())
		return err == nil && len(list.Devices) == 1
	})
	alice := connect(last, "alice", "a")
	begin := time.Now()
	if _, err := alice.Invite(t.Context(), protocol.InviteRequest{Invitee: "bob",
		InviteOptions: protocol.InviteOptions{InviteID: "call", Timeout: 600}}); err != nil {
		t.Fatal(err)
	}
	push = fcm.next()
	t.Logf("a call is pushed after %v", time.Since(begin))
	s.withToken(other, push.AnswerToken, "ring", protocol.RingRequest{InviteID: "call"})
	acknowledged = s.acknowledged(acknowledged)
	eventually(t, "the ring is counted by its platform", func() bool {
		return strings.Contains(s.metrics(other), `beckon_ring_seconds_count{platform="android",via="push"} 1`)
	})
	eventually(t, "the ring is in the statistics", func() bool {
		var stats operator.GetStatsResponse
		s.act("", "getStats", operator.GetStatsRequest{}, &stats)
		for _, p := range stats.Points {
			if p.RingMs != nil {
				return p.RingMs.P50 <= p.RingMs.P90
			}
		}
		return false
	})
	s.Stop()
	s.Cluster = newHouse(t, config())
	if at := s.acknowledged(acknowledged - 1); at != acknowledged {
		t.Errorf("after a restart the last acknowledgement is %d, not %d", at, acknowledged)
	}
}

// acknowledged waits until an app server sees an acknowledgement of bob's phone after a time, and returns its time.
func (s *scene) acknowledged(after int64) (at int64) {
	s.t.Helper()
	eventually(s.t, "the acknowledgement is stored", func() bool {
		var health pushcheck.PushHealthResponse
		if e := s.try("bob", "Bearer "+s.Server.APIKey(), "getPushHealth", protocol.Empty{}, &health); e != nil {
			return false // too often
		}
		d := health.Devices[0]
		at = d.LastAcknowledgedAt
		return at > after && d.LastAcceptedAt >= d.RegisteredAt && d.Failures == 0 && d.Language == "zh-CN"
	})
	return at
}

// withToken calls a method of a node with a token, as a device that is not connected.
func (s *scene) withToken(url, token, method string, req any) {
	s.t.Helper()
	body, err := json.Marshal(req)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, url+"/v1/"+method, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if text, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s %s", method, res.Status, text)
	}
}

// metrics returns the metrics of a node.
func (s *scene) metrics(url string) string {
	s.t.Helper()
	res, err := http.Get(url + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}
