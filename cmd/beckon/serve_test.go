package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
)

// lines is a log writer that sends each entry to a channel.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

// TestHangup: SIGHUP reopens the audit log, and does not end the server.
func TestHangup(t *testing.T) {
	dir := t.TempDir()
	audit := filepath.Join(dir, "audit.log")
	log := make(lines, 100)
	f := serverFlags{listenFlags: listenFlags{Listen: "127.0.0.1:0"}, storageFlags: storageFlags{Data: dir},
		opsFlags: opsFlags{AuditLog: audit}, mediaFlags: mediaFlags{Media: "off"}}
	ctx, stop := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- f.run(ctx, f.config(slog.New(slog.NewTextHandler(log, nil))), (*beckon.Server).Handler,
			func(*beckon.Server, string) { close(ready) })
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	<-ready
	if err := os.Rename(audit, audit+".1"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case line := <-log:
			if !strings.Contains(line, "log files reopened") {
				continue
			}
			if _, err := os.Stat(audit); err != nil {
				t.Error(err)
			}
			return
		case err := <-ended:
			ended <- err
			t.Fatalf("the server ended: %v", err)
		}
	}
}

// TestAdminListen: with an address of their own, app servers and operators are served there and refused at the public
// one, which serves devices as before.
func TestAdminListen(t *testing.T) {
	dir := t.TempDir()
	log := make(lines, 100)
	f := serverFlags{listenFlags: listenFlags{Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", Console: true},
		storageFlags: storageFlags{Data: dir}, mediaFlags: mediaFlags{Media: "off"}}
	ctx, stop := context.WithCancel(t.Context())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- f.run(ctx, f.config(slog.New(slog.NewTextHandler(log, nil))), (*beckon.Server).Handler,
			func(_ *beckon.Server, url string) { ready <- url })
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	public := <-ready
	admin := ""
	for admin == "" {
		if _, address, ok := strings.Cut(<-log, "listening for app servers and operators\" address="); ok {
			admin = "http://" + strings.TrimSpace(address)
		}
	}
	keys, err := beckon.LoadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	token, err := beckon.MintToken(dir, "", "ann", "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, url, credential string) (status int, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if credential != "" {
			req.Header.Set("Authorization", "bearer "+credential)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	for _, c := range []struct {
		method, path, credential string
		public, admin            int
	}{
		{"GET", "/metrics", "", 404, 200}, {"GET", "/debug/pprof/", "", 404, 404},
		{"GET", "/healthz", "", 200, 200}, {"GET", "/readyz", "", 200, 200},
		{"GET", "/openapi.json", "", 200, 200}, {"GET", "/connection/websocket", "", 426, 404},
		{"POST", "/v1/listUsers", keys.APIKey, 401, 200}, {"POST", "/v1/files", keys.APIKey, 401, 400},
		{"POST", "/v1/getDeviceList", token, 200, 200},
	} {
		if got, body := ask(c.method, public+c.path, c.credential); got != c.public {
			t.Errorf("%s of the public address is %d: %.200s", c.path, got, body)
		}
		if got, body := ask(c.method, admin+c.path, c.credential); got != c.admin {
			t.Errorf("%s of the address for operators is %d: %.200s", c.path, got, body)
		}
	}
	// The pages may not be built, which the console says.
	console := func(url string) bool {
		status, body := ask("GET", url+"/console", "")
		return status == http.StatusOK || strings.Contains(body, "built without web pages")
	}
	if console(public) || !console(admin) {
		t.Errorf("the console is at the public address: %v, at that for operators: %v", console(public), console(admin))
	}
	if _, body := ask("POST", public+"/v1/listUsers", keys.APIKey); !strings.Contains(body, "admin-listen") {
		t.Errorf("the refusal does not say where API keys are accepted: %s", body)
	}
}
