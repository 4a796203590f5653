package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon/internal/store/sqlite/journal"
)

// TestShrink deletes most rows of a database: its file gets short, while the server runs.
func TestShrink(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	w := newWriter(t, d)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	write := func(ops ...journal.Operation) {
		t.Helper()
		w.ops = ops
		if err := w.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	const rows = 2500
	for n := range rows {
		write(journal.Operation{Text: insertTombstone, Width: 4, Values: []any{n, strings.Repeat("x", 8000), "t", 1}})
	}
	if err := d.truncateLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, File))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	full := size()
	write(journal.Operation{Text: "DELETE FROM mark"})
	for limit := time.Now().Add(time.Minute); size() > full/2; <-time.After(100 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("after a minute the file has %d of %d bytes", size(), full)
		}
	}
	stop()
	if err := errors.Join(<-ended, w.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	if err := open(t, dir).Close(); err != nil { // it verifies the checksums of all pages
		t.Error(err)
	}
}
