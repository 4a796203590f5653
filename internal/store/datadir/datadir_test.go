package datadir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/datadir"
	"github.com/beckon-im/beckon/internal/store/storetest"
	"github.com/beckon-im/beckon/internal/txn"
)

// text is a body.
type text string

func (text) Absorb(txn.Body) bool { return false }
func (b text) JSON() []byte       { return []byte(b) }

// load appends records until stop is closed, and knows how many were acknowledged.
type load struct {
	mu    sync.Mutex
	acked int
	all   sync.WaitGroup
}

func (l *load) run(t *testing.T, s *store.Store, stop <-chan struct{}) {
	for range 4 {
		l.all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				done := make(chan error, 1)
				if err := s.Submit(&store.Unit{Reads: txn.ReadSet{Topics: []string{"user:a"}}, Decide: func(tx *txn.Tx) error {
					tx.Append("user:a", txn.Draft{Body: text(`"` + strings.Repeat("x", 500) + `"`)})
					return nil
				}, Done: func(err error) { done <- err }}); err != nil {
					t.Error(err)
					return
				}
				if err := <-done; err != nil {
					t.Error(err)
					return
				}
				l.mu.Lock()
				l.acked++
				l.mu.Unlock()
			}
		})
	}
}

// loaded opens a store under load; stop ends the load.
func loaded(t *testing.T, dir string) (s *store.Store, l *load, stop chan struct{}, stopStore func()) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	stopStore = storetest.Run(t, s, nil)
	l, stop = &load{}, make(chan struct{})
	l.run(t, s, stop)
	return s, l, stop, stopStore
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}

func recordsOf(t *testing.T, s *store.Store, topic string) (count int) {
	t.Helper()
	for after := uint64(0); ; {
		p, err := s.Records(t.Context(), topic, after, 5000, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Records {
			if after++; r.Seq != after {
				t.Fatalf("record %d is at place %d", r.Seq, after)
			}
		}
		if count += len(p.Records); len(p.Records) == 0 {
			return count
		}
	}
}

// TestBackup copies the database of a server under load: each copy has all commits that were acknowledged before, and
// a server can use it. So does the copy that an export reads.
func TestBackup(t *testing.T) {
	dir := t.TempDir()
	_, l, stop, stopStore := loaded(t, dir)
	for n := range 6 {
		to, acked := filepath.Join(t.TempDir(), fmt.Sprint(n)), l.count()
		if err := os.Mkdir(to, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := datadir.Backup(t.Context(), dir, to); err != nil {
			t.Fatal(err)
		}
		c, err := store.Open(t.Context(), store.Options{Dir: to})
		if err != nil {
			t.Fatal(err)
		}
		if got := recordsOf(t, c, "user:a"); got < acked {
			t.Errorf("copy %d has %d records of %d that were acknowledged before", n, got, acked)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	acked := l.count()
	snapshot, err := store.OpenSnapshot(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := recordsOf(t, snapshot, "user:a"); got < acked || acked == 0 {
		t.Errorf("the snapshot has %d records of %d", got, acked)
	}
	if err := snapshot.Close(); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".beckon-export-*")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v are left", left, err)
	}
	if err := datadir.Backup(t.Context(), dir, dir); err == nil {
		t.Error("a database was copied over another")
	}
	close(stop)
	l.all.Wait()
	stopStore()
}

// TestCompact removes the free space of a database, and gives it the ability to give space back.
func TestCompact(t *testing.T) {
	dir := t.TempDir()
	s, l, stop, stopStore := loaded(t, dir)
	for l.count() < 3000 {
		<-time.After(20 * time.Millisecond)
	}
	close(stop)
	l.all.Wait()
	if err := s.EmptyTimeline(t.Context(), "user:a"); err != nil {
		t.Fatal(err)
	}
	if err := datadir.Compact(t.Context(), dir, func(int64) {}); err == nil {
		t.Error("the database of a running server was replaced")
	}
	stopStore()
	path := filepath.Join(dir, "beckon.db")
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := datadir.Compact(t.Context(), dir, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil || after.Size() > before.Size()/2 {
		t.Errorf("%d bytes became %d, %v", before.Size(), after.Size(), err)
	}
	s, err = store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if head, err := s.Head(t.Context(), "user:a"); err != nil || int(head) != l.count() {
		t.Errorf("the timeline ends at %d of %d, %v", head, l.count(), err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
