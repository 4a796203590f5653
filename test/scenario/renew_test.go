package scenario

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

const (
	sigApp = 1_400_000_000
	sigKey = "a key of the original"
)

// userSig returns a UserSig of a user, valid for some seconds.
func userSig(t *testing.T, user string, seconds int64) string {
	t.Helper()
	now := time.Now().Unix()
	m := hmac.New(sha256.New, []byte(sigKey))
	fmt.Fprintf(m, "TLS.identifier:%s\nTLS.sdkappid:%d\nTLS.time:%d\nTLS.expire:%d\n", user, sigApp, now, seconds)
	text, err := json.Marshal(map[string]any{"TLS.ver": "2.0", "TLS.identifier": user, "TLS.sdkappid": sigApp,
		"TLS.expire": seconds, "TLS.time": now, "TLS.sig": base64.StdEncoding.EncodeToString(m.Sum(nil))})
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	_, _ = z.Write(text)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("+", "*", "/", "-", "=", "_").Replace(base64.StdEncoding.EncodeToString(packed.Bytes()))
}

// holder is a device with a token that expires, and the callbacks about it.
type holder struct {
	*client.Client
	connects            atomic.Int64
	warned, ended, gone chan string
}

func (s *scene) holder(user, token string) *holder {
	s.t.Helper()
	return s.holderAt(s.URL, user, token)
}

func (s *scene) holderAt(url, user, token string) *holder {
	s.t.Helper()
	h := &holder{warned: make(chan string, 8), ended: make(chan string, 8), gone: make(chan string, 8)}
	c, err := client.New(client.Options{Server: url, Token: token, DeviceID: "d", Listener: client.Listener{
		OnConnected:       func(protocol.Welcome) { h.connects.Add(1) },
		OnTokenWillExpire: func(at time.Time) { h.warned <- at.UTC().Format(time.TimeOnly) },
		OnTokenExpired:    func(code int, reason string) { h.ended <- fmt.Sprint(code, " ", reason) },
		OnDisconnected:    func(_ int, reason string) { h.gone <- reason },
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	if h.Client = c; c.Connect(s.t.Context()) != nil {
		s.t.Fatalf("%s could not connect", user)
	}
	return h
}

func (s *scene) lasting(user string, seconds int64) string {
	s.t.Helper()
	var res protocol.CreateTokenResponse
	s.act("", "createToken", protocol.CreateTokenRequest{UserID: user, TTL: seconds}, &res)
	return res.Token
}

// soon receives from a channel.
func soon(t *testing.T, event string, from <-chan string) string {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: nothing", event)
		return ""
	}
}

// TestRenew: a session outlives its token by renewals without a reconnect, and refused ones change nothing.
func TestRenew(t *testing.T) {
	t.Parallel()
	s := &scene{Cluster: newHouse(t, beckon.Config{UserSigAppID: sigApp, UserSigKey: sigKey}), t: t}
	ctx := t.Context()
	h := s.holder("ann", s.lasting("ann", 4))
	expiry := soon(t, "the warning", h.warned)
	if want := time.Unix(h.Welcome().ExpireAt, 0).UTC().Format(time.TimeOnly); expiry != want {
		t.Errorf("the warning is for %s, want %s", expiry, want)
	}
	for token, code := range map[string]string{s.Token("bob"): "70013", userSig(t, "bob", 60): "70013",
		"no token": "70003", s.Token("ann") + "x": "70009", "": "70003"} {
		expect(t, "a renewal with a wrong token", refusal(h.Renew(ctx, token)), code)
	}
	var res struct{}
	expect(t, "another user's, without the check of the SDK",
		refusal(h.Call(ctx, "renewToken", map[string]string{"token": s.Token("bob")}, &res)), "70013")
	expect(t, "a request that is no object", refusal(h.Call(ctx, "renewToken", []string{"token"}, &res)), "6017")
	if err := h.Renew(ctx, userSig(t, "ann", 4)); err != nil {
		t.Fatal(err)
	}
	soon(t, "the warning for the UserSig", h.warned)
	if err := h.Renew(ctx, s.lasting("ann", 600)); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	eventually(t, "the first tokens have expired", func() bool { return time.Since(begin) > 5*time.Second })
	if _, err := h.GetDeviceList(ctx); err != nil || h.connects.Load() != 1 || len(h.ended) != 0 {
		t.Errorf("after the expiry: %v, %d connects, %d tokens ended", err, h.connects.Load(), len(h.ended))
	}
}

// TestExpiredToken: after the expiry a session lasts a while, in which a new token saves it; an ended one connects
// again with a new token.
func TestExpiredToken(t *testing.T) {
	t.Parallel()
	s := &scene{Cluster: newHouse(t, beckon.Config{}), t: t}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	late, gone := s.holder("ann", s.lasting("ann", 2)), s.holder("bob", s.lasting("bob", 2))
	for _, h := range []*holder{late, gone} {
		if got := soon(t, "the expiry", h.ended); !strings.HasPrefix(got, "70001 the token has expired") {
			t.Errorf("the expiry is %q", got)
		}
	}
	if err := late.Renew(ctx, s.lasting("ann", 600)); err != nil {
		t.Fatal(err)
	}
	soon(t, "the end of the session without a new token", gone.gone)
	_, err := gone.GetDeviceList(ctx)
	expect(t, "a call after the end", refusal(err), "70001")
	expect(t, "another user's token after the end", refusal(gone.Renew(ctx, s.Token("ann"))), "70013")
	if err := gone.Renew(ctx, s.lasting("bob", 600)); err != nil {
		t.Fatal(err)
	}
	for h, connects := range map[*holder]int64{late: 1, gone: 2} {
		if _, err := h.GetDeviceList(ctx); err != nil || h.connects.Load() != connects || len(h.ended) != 0 {
			t.Errorf("%v, %d connects, want %d", err, h.connects.Load(), connects)
		}
	}
}

// TestRenewWithoutConnection: a new token that could not be sent is used by the reconnect, which the server refuses to
// the old one.
func TestRenewWithoutConnection(t *testing.T) {
	t.Parallel()
	h := newHalfOpen(t)
	link, url := h.silent()
	d := h.holderAt(url, "ann", h.lasting("ann", 2))
	link.Freeze()
	soon(t, "the expiry", d.ended)
	renewed := make(chan error, 1)
	go func() { renewed <- d.Renew(t.Context(), h.lasting("ann", 600)) }()
	select {
	case err := <-renewed:
		t.Fatalf("renewed on a frozen connection: %v", err)
	case <-time.After(time.Second): // the old token has expired by then for the transport too
	}
	link.Cut()
	link.Heal()
	if err := <-renewed; err != nil || d.connects.Load() != 2 || len(d.gone) != 0 {
		t.Errorf("%v, %d connects, %d disconnects", err, d.connects.Load(), len(d.gone))
	}
}
