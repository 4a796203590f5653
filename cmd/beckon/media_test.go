package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pion/turn/v4"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/cmd/beckon/mediacheck"
	"github.com/beckon-im/beckon/internal/freeport"
	"github.com/beckon-im/beckon/protocol"
)

// running is a server with its own media server. A process can have only one at a time.
type running struct {
	t    *testing.T
	url  string
	key  string
	data string
}

// serveMedia runs a server until the test ends.
func serveMedia(t *testing.T, f serverFlags) *running {
	t.Helper()
	r := &running{t: t, data: filepath.Join(t.TempDir(), "data")}
	f.Listen, f.Data, f.Media = "127.0.0.1:0", r.data, "embedded"
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- f.run(ctx, f.config(slog.New(slog.DiscardHandler)), (*beckon.Server).Handler,
			func(s *beckon.Server, url string) {
				r.url, r.key = url, s.APIKey()
				close(ready)
			})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	return r
}

// enter opens a media room and returns its entry.
func (r *running) enter(web *http.Client) (entry protocol.EnterRoomResponse) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+"/v1/enterRoom",
		strings.NewReader(`{"roomID":"test"}`))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.key)
	req.Header.Set("Beckon-User", "alice")
	res, err := web.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		r.t.Fatalf("%s, %v", body, err)
	}
	if err := json.Unmarshal(body, &entry); err != nil {
		r.t.Fatal(err)
	}
	return entry
}

// TestTURN: at the listener of the server, clients that name the TURN domain join a room over TLS, by relay only; other
// clients get pages and methods.
func TestTURN(t *testing.T) {
	dir := t.TempDir()
	pool := certify(t, dir, 1)
	r := serveMedia(t, serverFlags{
		listenFlags: listenFlags{TLSCert: filepath.Join(dir, "cert.pem"), TLSKey: filepath.Join(dir, "key.pem")},
		mediaFlags:  mediaFlags{TURNDomain: "localhost", RoomPolicy: "open"}})
	config := &tls.Config{RootCAs: pool}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	t.Cleanup(web.CloseIdleConnections)
	entry := r.enter(web)
	o := mediacheck.Options{URL: r.url, Token: entry.Token, TLS: config}
	port := r.url[strings.LastIndex(r.url, ":")+1:]
	for range 2 { // the relays of a client are closed with it
		got := mediacheck.Join(t.Context(), o, mediacheck.TURN)
		if got.Err != nil || len(got.Addresses) != 1 || got.Addresses[0] != "turns:localhost:"+port+"?transport=tcp" {
			t.Fatalf("by TURN: %+v", got)
		}
		t.Logf("media was connected by TURN after %v", got.Time)
	}
	if got := mediacheck.Join(t.Context(), o, mediacheck.UDP); got.Err != nil {
		t.Errorf("by UDP: %+v", got)
	}
	if got := mediacheck.Join(t.Context(), o, mediacheck.TCP); !errors.Is(got.Err, mediacheck.ErrNotOffered) {
		t.Errorf("by TCP, which a loopback address has not: %+v", got)
	}
	other := &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"stun.turn"}}
	conn, err := tls.Dial("tcp", "127.0.0.1:"+port, other)
	if err != nil {
		t.Fatalf("a TURN client that names its protocol: %v", err)
	}
	defer conn.Close()
	refusesGuesses(t, conn)
}

// refusesGuesses checks that TURN refuses wrong credentials.
func refusesGuesses(t *testing.T, conn net.Conn) {
	t.Helper()
	c, err := turn.NewClient(&turn.ClientConfig{STUNServerAddr: conn.RemoteAddr().String(),
		TURNServerAddr: conn.RemoteAddr().String(), Conn: turn.NewSTUNConn(conn), Username: "9999999999:x",
		Password: "guess"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Allocate(); err == nil {
		t.Error("wrong credentials got a relay")
	}
}

// TestTURNBehindAProxy: a proxy ends TLS for the TURN domain and passes the connections on. Doctor finds each transport
// that works, and prints a remedy for the others.
func TestTURNBehindAProxy(t *testing.T) {
	dir := t.TempDir()
	pool := certify(t, dir, 1)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	front, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	behind := net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
	var passing sync.WaitGroup
	passing.Go(func() { passTo(front, behind, &passing, func(b []byte) []byte { return b }) })
	t.Cleanup(func() { _ = front.Close(); passing.Wait() })
	_, port, _ := net.SplitHostPort(front.Addr().String())
	number, _ := strconv.Atoi(port)
	r := serveMedia(t, serverFlags{mediaFlags: mediaFlags{TURNDomain: "localhost", TURNListen: behind,
		TURNPort: number, RoomPolicy: "invited"}})
	doctor := doctorCmd{Server: r.url, Data: r.data, Media: true, tls: &tls.Config{RootCAs: pool}}
	var out bytes.Buffer
	if bad := mediacheck.Report(t.Context(), &out, doctor.tls, doctor.enter); bad != 0 {
		t.Errorf("%d transports fail", bad)
	}
	t.Logf("\n%s", out.String())
	for _, want := range []string{"✓ media by UDP at 127.0.0.1:", "– media by TCP: not offered by this server; ",
		"✓ media by TURN over TLS at turns:localhost:" + port} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("doctor does not print %q", want)
		}
	}
	doctor.tls = nil // it does not trust the certificate
	out.Reset()
	bad := mediacheck.Report(t.Context(), &out, doctor.tls, doctor.enter)
	if text := out.String(); bad != 1 || !strings.Contains(text, "✗ media by TURN over TLS") ||
		!strings.Contains(text, "certificate") {
		t.Errorf("%d failures:\n%s", bad, text)
	}
}

// TestDoctorOfClosedPorts: the ports that the media server names are closed, as behind a firewall, by UDP and by TCP.
func TestDoctorOfClosedPorts(t *testing.T) {
	r := serveMedia(t, serverFlags{mediaFlags: mediaFlags{MediaIP: "198.51.100.1", MediaUDPPort: freePort(t),
		MediaTCPPort: freePort(t), RoomPolicy: "invited"}})
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var passing sync.WaitGroup
	passing.Go(func() { passTo(web, strings.TrimPrefix(r.url, "http://"), &passing, closePorts) })
	t.Cleanup(func() { _ = web.Close(); passing.Wait() })
	doctor := doctorCmd{Server: "http://" + web.Addr().String(), Data: r.data, Media: true}
	var out bytes.Buffer
	bad := mediacheck.Report(t.Context(), &out, doctor.tls, doctor.enter)
	t.Logf("\n%s", out.String())
	if bad != 2 {
		t.Errorf("%d transports fail", bad)
	}
	for _, want := range []string{"✗ media by UDP at 198.51.100.1:00009", "✗ media by TCP at 198.51.100.1:00009",
		"--media-ip", "– media by TURN over TLS: not offered", "--media-turn-domain"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("doctor does not print %q", want)
		}
	}
}

// port is the port of a candidate of the media server.
var port = regexp.MustCompile(` \d{5} typ `)

// closePorts replaces the ports of the media server by one that is closed. The length stays.
func closePorts(b []byte) []byte { return port.ReplaceAll(b, []byte(" 00009 typ ")) }

// TestTURNFlags: flags that contradict each other are refused, and so is a certificate without the domain.
func TestTURNFlags(t *testing.T) {
	dir := t.TempDir()
	certify(t, dir, 1)
	own := listenFlags{TLSCert: filepath.Join(dir, "cert.pem"), TLSKey: filepath.Join(dir, "key.pem")}
	for want, f := range map[string]serverFlags{
		"need --media-turn-domain": {mediaFlags: mediaFlags{Media: "embedded", TURNPort: 443}},
		"needs --media embedded":   {mediaFlags: mediaFlags{Media: "external", TURNDomain: "localhost"}},
		"omit it with --tls-cert": {listenFlags: own, mediaFlags: mediaFlags{Media: "embedded", TURNDomain: "localhost",
			TURNListen: "127.0.0.1:0"}},
		"needs --tls-cert": {mediaFlags: mediaFlags{Media: "embedded", TURNDomain: "localhost"}},
		"get one for both": {listenFlags: own, mediaFlags: mediaFlags{Media: "embedded", TURNDomain: "example.com"}},
	} {
		_, _, err := f.turn().Open(t.Context(), &net.TCPAddr{Port: 443})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

// freePort returns an unused port.
func freePort(t *testing.T) int {
	t.Helper()
	port, err := freeport.TCP()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// passTo passes the connections of a listener on to an address. change changes the responses.
func passTo(front net.Listener, to string, passing *sync.WaitGroup, change func([]byte) []byte) {
	for {
		c, err := front.Accept()
		if err != nil {
			return
		}
		passing.Go(func() {
			defer c.Close()
			up, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			passing.Go(func() {
				defer c.Close()
				buf := make([]byte, 64<<10)
				for {
					n, err := up.Read(buf)
					if err != nil {
						return
					}
					if _, err := c.Write(change(buf[:n])); err != nil {
						return
					}
				}
			})
			defer up.Close()
			_, _ = io.Copy(up, c)
		})
	}
}
