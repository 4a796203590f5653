package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
)

// reloading is a server whose configuration file changes.
type reloading struct {
	*testing.T
	file, dir, url string
	log            lines
}

func newReloading(t *testing.T, text string) *reloading {
	t.Helper()
	r := &reloading{T: t, dir: t.TempDir(), log: make(lines, 1000)}
	r.file = filepath.Join(r.dir, "c.yaml")
	r.write(text)
	args := []string{"serve", "--config", r.file}
	c := &cli{}
	if _, err := parser(t, c).Parse(args); err != nil {
		t.Fatal(err)
	}
	if err := c.Serve.readAgain(args); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- c.Serve.run(ctx, c.Serve.config(slog.New(slog.NewTextHandler(r.log, nil))), (*beckon.Server).Handler,
			func(_ *beckon.Server, url string) { ready <- url })
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	r.url = <-ready
	return r
}

func (r *reloading) write(text string) {
	r.Helper()
	all := "listen: 127.0.0.1:0\nmedia: \"off\"\ndata: " + r.dir + "\n" + text
	if err := os.WriteFile(r.file, []byte(all), 0o600); err != nil {
		r.Fatal(err)
	}
}

// reload replaces the file, sends SIGHUP, and waits for the entry in the log.
func (r *reloading) reload(text, entry string) {
	r.Helper()
	r.write(text)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		r.Fatal(err)
	}
	for limit := time.After(10 * time.Second); ; {
		select {
		case line := <-r.log:
			if strings.Contains(line, entry) {
				return
			}
		case <-limit:
			r.Fatalf("the log has no %q", entry)
		}
	}
}

// token mints a token for ann with an API key.
func (r *reloading) token(key string) (token string, status int, err error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, r.url+"/v1/createToken",
		strings.NewReader(`{"userID":"ann"}`))
	if err != nil {
		return "", 0, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	_, after, _ := bytes.Cut(body, []byte(`"token":"`))
	text, _, _ := bytes.Cut(after, []byte(`"`))
	return string(text), res.StatusCode, err
}

const (
	firstSecret, secondSecret = "first-first-first-first-first-first-first", "second-second-second-second-second-sec"
	firstKey, secondKey       = "first-key-first-key", "second-key-second-key"
)

// TestRotation rotates the JWT secret and the API key by SIGHUP under 200 calls a second: no call fails, no session is
// lost, and the old ones are refused at the end.
func TestRotation(t *testing.T) {
	r := newReloading(t, "jwt-secret: "+firstSecret+"\napi-key: ["+firstKey+"]\n")
	old, status, err := r.token(firstKey)
	if err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	var lost atomic.Int64
	device, err := client.New(client.Options{Server: r.url, DeviceID: "phone", Token: old,
		Listener: client.Listener{OnConnecting: func(int, string) { lost.Add(1) }}})
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	if err := device.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	lost.Store(0) // it reports the first connect, too
	var key atomic.Value
	key.Store(firstKey)
	var calls atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var load errgroup.Group
	for range 4 {
		load.Go(func() error {
			for next := time.NewTicker(20 * time.Millisecond); ; {
				select {
				case <-ctx.Done():
					return nil
				case <-next.C:
				}
				calls.Add(1)
				if _, status, err := r.token(key.Load().(string)); err != nil || status != http.StatusOK {
					return fmt.Errorf("a call failed with %d: %w", status, err)
				}
				if _, err := device.GetDeviceList(t.Context()); err != nil {
					return fmt.Errorf("a call of the session failed: %w", err)
				}
			}
		})
	}
	pause := func() { <-time.After(500 * time.Millisecond) }
	pause()
	r.reload("jwt-secret: "+secondSecret+"\njwt-secondary-secrets: ["+firstSecret+"]\napi-key: ["+firstKey+", "+secondKey+
		"]\n", "settings reloaded")
	key.Store(secondKey)
	pause()
	fresh, status, err := r.token(secondKey)
	if err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	r.reload("jwt-secret: "+secondSecret+"\napi-key: ["+secondKey+"]\n", "settings reloaded")
	pause()
	stop()
	if err := load.Wait(); err != nil {
		t.Error(err)
	}
	if n := calls.Load(); n < 100 || lost.Load() != 0 {
		t.Errorf("%d calls, %d lost connections", n, lost.Load())
	}
	if _, status, _ := r.token(firstKey); status != http.StatusUnauthorized {
		t.Errorf("the old API key is answered with %d", status)
	}
	for token, want := range map[string]bool{old: false, fresh: true} {
		other, err := client.New(client.Options{Server: r.url, DeviceID: "tablet", Token: token})
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Connect(t.Context()); (err == nil) != want {
			t.Errorf("a connect with a token, of which the secret is there: %v: %v", want, err)
		}
		other.Close()
	}
}

// TestReload: an invalid file changes nothing, and settings that need a restart are named.
func TestReload(t *testing.T) {
	first := "api-key: [" + firstKey + "]\n"
	r := newReloading(t, first)
	works := func(key string, want int) {
		t.Helper()
		if _, status, err := r.token(key); err != nil || status != want {
			t.Errorf("a call with %s is answered with %d, %v", key, status, err)
		}
	}
	r.reload("api-kex: [x]\n", `did you mean \"api-key\"`)
	works(firstKey, http.StatusOK)
	r.reload("api-key: [short]\n", "the old ones stay")
	works(firstKey, http.StatusOK)
	r.reload("api-key: ["+secondKey+"]\nnats: nats://x\n", "the old ones stay")
	works(firstKey, http.StatusOK)
	r.reload(first, "no setting changed")
	works(firstKey, http.StatusOK)
	r.reload("api-key: ["+secondKey+"]\nlarge-group: 7\n", "changed settings need a restart\" settings=[large-group]")
	works(secondKey, http.StatusOK)
	works(firstKey, http.StatusUnauthorized)
}

// TestReloadOfGeneratedKeys: they stay also if the setting of their directory changes, which needs a restart.
func TestReloadOfGeneratedKeys(t *testing.T) {
	r := newReloading(t, "")
	keys, err := beckon.LoadKeys(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	r.dir = t.TempDir()
	r.reload("", "changed settings need a restart\" settings=[data]")
	if _, status, err := r.token(keys.APIKey); err != nil || status != http.StatusOK {
		t.Errorf("the generated API key is answered with %d, %v", status, err)
	}
	if _, err := os.Stat(filepath.Join(r.dir, beckon.KeysFile)); err == nil {
		t.Error("keys were generated in the other directory")
	}
}
