package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/storetest"
	"github.com/beckon-im/beckon/internal/txn"
)

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestPowerCut takes the journal away while units are acknowledged, together with the database as it was when the
// server started: a power cut may leave no more. Whatever was acknowledged by then must be there when the two are
// opened.
func TestPowerCut(t *testing.T) {
	dir := t.TempDir()
	start := func(dir string) (*store.Store, func()) {
		t.Helper()
		s, err := store.Open(t.Context(), store.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return s, storetest.Run(t, s, nil)
	}
	first, stop := start(dir)
	append1 := func(s *store.Store, topic, what string, done func(error)) {
		if err := s.Submit(&store.Unit{Reads: txn.ReadSet{Topics: []string{topic}}, Decide: func(tx *txn.Tx) error {
			tx.Append(topic, txn.Draft{Body: text(what)})
			return nil
		}, Done: done}); err != nil {
			t.Error(err)
		}
	}
	settled := make(chan error)
	append1(first, "user:0", "before", func(err error) { settled <- err })
	if err := <-settled; err != nil {
		t.Fatal(err)
	}
	stop()
	if left, _ := filepath.Glob(filepath.Join(dir, "journal-*")); len(left) > 0 {
		t.Fatalf("a server that came to its end left %v", left)
	}
	base := filepath.Join(t.TempDir(), "base.db")
	copyFile(t, filepath.Join(dir, "beckon.db"), base)

	s, stop := start(dir)
	var mu sync.Mutex
	acked := map[string]bool{}
	var all sync.WaitGroup
	for writer := range 4 {
		all.Go(func() {
			for n := range 400 {
				what := fmt.Sprintf("%d-%d", writer, n)
				done := make(chan struct{})
				append1(s, fmt.Sprintf("user:%d", n%7), what, func(err error) {
					if err == nil {
						mu.Lock()
						acked[what] = true
						mu.Unlock()
					}
					close(done)
				})
				<-done
			}
		})
	}
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	for cut, last := 0, false; !last; cut++ {
		select {
		case <-ended:
			last = true
		default:
		}
		mu.Lock()
		want := make(map[string]bool, len(acked))
		for k := range acked {
			want[k] = true
		}
		mu.Unlock()
		taken := t.TempDir()
		copyFile(t, base, filepath.Join(taken, "beckon.db"))
		parts, _ := filepath.Glob(filepath.Join(dir, "journal-*"))
		for _, p := range slices.Backward(parts) {
			copyGrowing(t, p, filepath.Join(taken, filepath.Base(p)))
		}
		after, stop := start(taken)
		got := map[string]int{}
		for n := range 7 {
			p, err := after.Records(t.Context(), fmt.Sprintf("user:%d", n), 0, 10_000, 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range p.Records {
				if r.Seq != uint64(i+1) {
					t.Fatalf("cut %d: user:%d has record %d at place %d", cut, n, r.Seq, i+1)
				}
				got[string(r.Body)]++
			}
		}
		stop()
		for k := range want {
			if got[k] != 1 {
				t.Fatalf("cut %d: %s was acknowledged and is there %d times", cut, k, got[k])
			}
		}
	}
	stop()
	if len(acked) != 1600 {
		t.Errorf("%d of 1600 were acknowledged", len(acked))
	}
}

// copyGrowing copies a file that another goroutine appends to, from its end to its beginning: a copy with a later part
// and without an earlier one is a state that the disk never had.
func copyGrowing(t *testing.T, from, to string) {
	t.Helper()
	const chunk = 4096
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	all := make([]byte, info.Size())
	for end := len(all); end > 0; end -= min(end, chunk) {
		if _, err := f.ReadAt(all[max(0, end-chunk):end], int64(max(0, end-chunk))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(to, all, 0o600); err != nil {
		t.Fatal(err)
	}
}
