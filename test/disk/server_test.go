// Package disk damages the files and the disk writes of the real program on SQLite. The next start must
// have every acknowledged message, or be refused with a reason.
package disk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/test/program"
)

// server is the program on a data directory.
type server struct {
	t       *testing.T
	program string
	addr    string
	dir     string
	wrap    []string // a command that runs the program
	cmd     *exec.Cmd
	out     bytes.Buffer
}

func newServer(t *testing.T, path, dir string) *server {
	t.Helper()
	return &server{t: t, program: path, addr: program.FreeAddress(t), dir: dir}
}

func (s *server) start() {
	s.t.Helper()
	args := append(slices.Clone(s.wrap), s.program, "serve", "--listen", s.addr, "--data", s.dir, "--user-rate", "100000",
		"--user-burst", "100000", "--address-rate", "1000000", "--address-burst", "1000000")
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Stderr = &s.out
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

// ready waits until the server accepts calls. It reports false when the process ends before.
func (s *server) ready(ctx context.Context) bool {
	for ctx.Err() == nil {
		res, err := http.Get("http://" + s.addr + "/readyz")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return true
			}
		}
		<-time.After(20 * time.Millisecond)
	}
	return false
}

// stop ends the process with a signal.
func (s *server) stop(sig os.Signal) {
	_ = s.cmd.Process.Signal(sig)
	_ = s.cmd.Wait()
}

// message is an acknowledged message.
type message struct {
	user, id string
	at       time.Time // of the response
}

// load sends messages of four users until ctx ends or the server does, and returns those that were acknowledged.
func (s *server) load(ctx context.Context, run string) (acked []message) {
	keys, err := beckon.LoadKeys(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			user := fmt.Sprintf("u%d", w)
			for n := 0; ctx.Err() == nil; n++ {
				id := fmt.Sprintf("%s-%d-%d", run, w, n)
				body, _ := json.Marshal(protocol.SendMessageRequest{UserID: fmt.Sprintf("u%d", (w+1)%4), MessageID: id,
					Body: protocol.Body{Text: strings.Repeat("x", n%300)}})
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.addr+"/v1/sendMessage",
					bytes.NewReader(body))
				if err != nil {
					return
				}
				req.Header.Set("Authorization", "Bearer "+keys.APIKey)
				req.Header.Set("Beckon-User", user)
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.StatusCode == http.StatusOK {
					mu.Lock()
					acked = append(acked, message{user, id, time.Now()})
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return acked
}

// verdict is the result of the next start on a directory.
type verdict struct {
	refused error    // why it does not start
	missing []string // acknowledged messages that are not there
	said    string   // warnings of the start
}

// open opens a directory as the next server does, and looks for acknowledged messages.
func open(t *testing.T, dir string, acked []message) (v verdict) {
	t.Helper()
	var log bytes.Buffer
	s, err := store.Open(t.Context(), store.Options{Dir: dir,
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	v.said = log.String()
	if err != nil {
		v.refused = err
		return v
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	there := map[string]bool{}
	for w := range 4 {
		for after := uint64(0); ; {
			p, err := s.Records(t.Context(), fmt.Sprintf("user:u%d", w), after, 5000, 1<<30)
			if err != nil {
				v.refused = err
				return v
			}
			for _, r := range p.Records {
				if after++; r.Seq != after {
					t.Fatalf("the timeline of u%d has record %d at place %d", w, r.Seq, after)
				}
				var m protocol.Message
				if err := json.Unmarshal(r.Body, &m); err != nil {
					t.Fatal(err)
				}
				there[m.MessageID] = true
			}
			if len(p.Records) == 0 {
				break
			}
		}
	}
	for _, m := range acked {
		if !there[m.id] {
			v.missing = append(v.missing, m.id)
		}
	}
	return v
}

// copyDir copies the files of a directory; the end of a file that has no blocks has none in the copy.
func copyDir(t *testing.T, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() || e.Name() == "lock" || strings.HasSuffix(e.Name(), "-shm") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(to, e.Name()), b)
	}
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, bytes.TrimRight(b, "\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(len(b))); err != nil {
		t.Fatal(err)
	}
}
