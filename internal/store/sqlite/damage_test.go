package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store/sqlite/journal"
)

// killed is the directory of a killed server, with the number of acknowledged commits.
type killed struct {
	files map[string][]byte
	acked int
}

const insertTombstone = "INSERT INTO mark (invite_id, user_id, target, expires_at) VALUES ?*"

// kill writes commits, a part of which reach the log and the database, and takes the files as they are.
func kill(t *testing.T, cluster string, checkpointed bool) killed {
	t.Helper()
	dir := t.TempDir()
	d := open(t, dir)
	if _, err := d.write.ExecContext(t.Context(), "INSERT INTO meta (name, value) VALUES ('house', $1)",
		cluster); err != nil {
		t.Fatal(err)
	}
	w := newWriter(t, d)
	k := killed{files: map[string][]byte{}}
	write := func(n int) {
		for range n {
			w.ops = []journal.Operation{{Text: insertTombstone, Width: 4,
				Values: []any{fmt.Sprintf("%s-%04d-%s", cluster, k.acked, strings.Repeat("x", rand.IntN(300))), "u", "t", 1}}}
			if err := w.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			k.acked++
		}
	}
	checkpoint := func() {
		t.Helper()
		if err := d.waitApplied(t.Context()); err != nil {
			t.Fatal(err)
		}
		c, err := d.read.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range []string{"PRAGMA query_only = 0", "PRAGMA wal_checkpoint(PASSIVE)", "PRAGMA query_only = 1"} {
			if _, err := c.ExecContext(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write(100)
	checkpoint()
	for range 4 {
		write(25)
		if err := d.waitApplied(t.Context()); err != nil { // these are in the log, too
			t.Fatal(err)
		}
	}
	if checkpointed {
		checkpoint()
	}
	for range 20 { // the rest is in the journal only
		if _, err := w.journal.Add([]journal.Operation{{Text: insertTombstone, Width: 4,
			Values: []any{fmt.Sprintf("%s-%04d-", cluster, k.acked), "u", "t", 1}}}); err != nil {
			t.Fatal(err)
		}
		k.acked++
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "lock" || strings.HasSuffix(e.Name(), "-shm") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		k.files[e.Name()] = b
	}
	w.apply.change(func() { w.apply.applied = w.journal.Last() })
	if err := errors.Join(w.Close(), d.Close()); err != nil {
		t.Fatal(err)
	}
	return k
}

// start opens the files after a change of them, and returns how many acknowledged commits are there.
func (k killed) start(t *testing.T, change func(dir string) error) (dir string, there int, err error) {
	t.Helper()
	dir = t.TempDir()
	for name, b := range k.files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, bytes.TrimRight(b, "\x00"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, int64(len(b))); err != nil { // without blocks for a segment's rest
			t.Fatal(err)
		}
	}
	if err := change(dir); err != nil {
		t.Fatal(err)
	}
	there, err = countCommits(t, dir)
	return dir, there, err
}

func countCommits(t *testing.T, dir string) (there int, err error) {
	t.Helper()
	d, err := Open(t.Context(), Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	w, err := d.OpenWriter(t.Context())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	err = d.Read(t.Context(), "SELECT count(*) FROM mark",
		func(row sqldb.Row) error { return row.Scan(&there) })
	return there, err
}

// TestFilesOfAKilledServer changes each file of a killed server as disks and people do: the next server has all
// acknowledged commits, or it fails to start with a reason.
func TestFilesOfAKilledServer(t *testing.T) {
	k, other := kill(t, "c1", false), kill(t, "c2", false)
	if _, there, err := k.start(t, func(string) error { return nil }); err != nil || there != k.acked {
		t.Fatalf("unchanged: %d of %d commits, %v", there, k.acked, err)
	}
	judge := func(what string, change func(dir string) error) (refused bool) {
		t.Helper()
		_, there, err := k.start(t, change)
		if err == nil && there != k.acked {
			t.Errorf("%s: %d of %d commits, and nothing was said", what, there, k.acked)
		}
		return err != nil
	}
	for name, whole := range k.files {
		path := func(dir string) string { return filepath.Join(dir, name) }
		judge(name+" deleted", func(dir string) error { return os.Remove(path(dir)) })
		judge(name+" emptied", func(dir string) error { return os.Truncate(path(dir), 0) })
		for _, part := range []int{2, 3, 10} {
			judge(fmt.Sprint(name, " without its last ", part, "th"), func(dir string) error {
				return os.Truncate(path(dir), int64(len(whole)-len(whole)/part))
			})
		}
		exchanged := other.files[name]
		judge(name+" of another cluster", func(dir string) error { return os.WriteFile(path(dir), exchanged, 0o600) })
	}
	for _, name := range []string{File, logFile, "journal"} {
		refused := 0
		const flips = 20 // make chaos does more, to a server with invitations
		for range flips {
			file, b := name, k.files[name]
			end := len(b)
			if name == "journal" {
				file = journal.Prefix + "0000000000000001"
				b = k.files[file]
				end = len(strings.TrimRight(string(b), "\x00"))
			}
			at := rand.IntN(end)
			bit := byte(1) << rand.IntN(8)
			if judge(fmt.Sprintf("%s with bit %#x of byte %d flipped", file, bit, at), func(dir string) error {
				f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
				if err != nil {
					return err
				}
				_, err = f.WriteAt([]byte{b[at] ^ bit}, int64(at))
				return errors.Join(err, f.Close())
			}) {
				refused++
			}
		}
		t.Logf("%s: refused after %d of %d flipped bits", name, refused, flips)
	}
}

// TestRepair goes on after damage of the journal, and of SQLite's log.
func TestRepair(t *testing.T) {
	k := kill(t, "c1", true)
	file := journal.Prefix + "0000000000000001"
	dir, _, err := k.start(t, func(dir string) error {
		changed := append([]byte(nil), k.files[file]...)
		changed[len(strings.TrimRight(string(changed), "\x00"))-400] ^= 4
		return os.WriteFile(filepath.Join(dir, file), changed, 0o600)
	})
	var fault *journal.Fault
	if !errors.As(err, &fault) {
		t.Fatalf("the damage was not found: %v", err)
	}
	r, err := RepairJournal(context.Background(), dir)
	if err != nil || r.Fault == "" || len(r.Moved) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if there, err := countCommits(t, dir); err != nil || there < k.acked-20 || there >= k.acked {
		t.Errorf("%d of %d commits, %v", there, k.acked, err)
	}
	var log *LogFault
	for at := 0; at < len(k.files[logFile]) && !errors.As(err, &log); at += 20_000 { // its end is from before
		dir, _, err = k.start(t, func(dir string) error {
			changed := append([]byte(nil), k.files[logFile]...)
			changed[at] ^= 4
			return os.WriteFile(filepath.Join(dir, logFile), changed, 0o600)
		})
	}
	if log == nil {
		t.Fatal("no damage of the log was found")
	}
	if r, err = RepairJournal(context.Background(), dir); err != nil || r.Fault == "" || r.Lost != "" {
		t.Fatalf("%+v, %v", r, err)
	}
	if there, err := countCommits(t, dir); err != nil || there != k.acked {
		t.Errorf("%d of %d commits, %v", there, k.acked, err)
	}
}
