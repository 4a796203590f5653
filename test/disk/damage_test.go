package disk

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/beckon-im/beckon/test/program"
)

var flips = flag.Int("disk.flips", 5, "how many bits are flipped in each file of a killed server")

// killed runs a server under load, and kills it.
func killed(t *testing.T, beckon, run string) (dir string, acked []message) {
	t.Helper()
	dir = t.TempDir()
	s := newServer(t, beckon, dir)
	s.start()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if !s.ready(ctx) {
		t.Fatalf("the server does not start:\n%s", s.out.String())
	}
	loaded := make(chan []message)
	soon, stop := context.WithCancel(ctx)
	defer stop()
	go func() { loaded <- s.load(soon, run) }()
	<-time.After(2 * time.Second) // load, not a wait for an outcome
	s.stop(syscall.SIGKILL)
	if acked = <-loaded; len(acked) < 100 {
		t.Fatalf("only %d messages were acknowledged:\n%s", len(acked), s.out.String())
	}
	return dir, acked
}

// TestDamagedFiles changes each file of a killed server in every way: flipped bits, cut off, emptied, deleted,
// exchanged with that of another server.
func TestDamagedFiles(t *testing.T) {
	beckon := program.Build(t, program.Beckon)
	dir, acked := killed(t, beckon, "a")
	other, _ := killed(t, beckon, "b")
	whole := t.TempDir()
	copyDir(t, dir, whole)
	if v := open(t, whole, acked); v.refused != nil || len(v.missing) > 0 {
		t.Fatalf("unchanged: %+v", v)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || strings.HasPrefix(name, "lock") || strings.HasSuffix(name, "-shm") || name == "keys.json" {
			continue
		}
		damageFile(t, dir, other, name, acked)
	}
}

// damageFile changes one file in every way.
func damageFile(t *testing.T, dir, other, name string, acked []message) {
	whole, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	runs, refused, reasons := 0, 0, map[string]int{}
	judge := func(what string, change func(path string) error) {
		t.Helper()
		taken, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(taken)
		copyDir(t, dir, taken)
		if err := change(filepath.Join(taken, name)); err != nil {
			t.Fatal(err)
		}
		runs++
		v := open(t, taken, acked)
		switch {
		case v.refused != nil:
			refused++
			reasons[reason(v.refused)]++
		case len(v.missing) > 0 && v.said == "":
			t.Errorf("%s %s: %d of %d acknowledged messages are lost in silence", name, what, len(v.missing), len(acked))
		case len(v.missing) > 0:
			t.Errorf("%s %s: %d of %d acknowledged messages are lost; the log says %s", name, what, len(v.missing), len(acked),
				v.said)
		}
	}
	used := len(bytes.TrimRight(whole, "\x00"))
	for range *flips {
		at, bit := rand.IntN(used), byte(1)<<rand.IntN(8)
		judge(fmt.Sprintf("with bit %#x of byte %d flipped", bit, at), func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte{whole[at] ^ bit}, int64(at))
			return errors.Join(err, f.Close())
		})
	}
	for range 5 {
		size := rand.IntN(used)
		judge(fmt.Sprintf("cut off at byte %d", size), func(path string) error { return os.Truncate(path, int64(size)) })
	}
	judge("emptied", func(path string) error { return os.Truncate(path, 0) })
	judge("deleted", os.Remove)
	judge("of another server", func(path string) error {
		theirs, err := os.ReadFile(filepath.Join(other, name))
		if errors.Is(err, os.ErrNotExist) {
			return os.Remove(path)
		}
		if err != nil {
			return err
		}
		return os.WriteFile(path, theirs, 0o600)
	})
	t.Logf("%s: %d changes, %d refused (%v), nothing lost after the others", name, runs, refused, reasons)
}

// reason shortens an error to its kind.
func reason(err error) string {
	for _, kind := range []string{"journal is damaged", "differ from their checksums", "is missing or empty",
		"belongs to cluster", "file of checksums", "-wal is damaged"} {
		if strings.Contains(err.Error(), kind) {
			return kind
		}
	}
	return err.Error()
}
