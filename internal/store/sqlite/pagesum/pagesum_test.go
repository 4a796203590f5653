package pagesum_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/beckon-im/beckon/internal/store/sqlite/pagesum"
)

func pause(context.Context) error { return nil }

func open(t *testing.T, path string) (*sql.DB, *pagesum.Sums) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	sums, err := pagesum.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	vfs, err := pagesum.VFS()
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path+"?vfs="+vfs+"&_pragma=journal_mode(WAL)&_pragma=cache_size(10)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db, sums
}

// linked returns a directory by a symbolic link to it, which SQLite resolves.
func linked(t *testing.T) string {
	t.Helper()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	return link
}

// TestBitFlips writes a database, flips a bit at random places of it, and reads: each flip is found by Verify, and by
// the query that reads the page.
func TestBitFlips(t *testing.T) {
	path := filepath.Join(linked(t), "x.db")
	db, sums := open(t, path)
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE TABLE a (k INTEGER PRIMARY KEY, v TEXT)")
	exec("CREATE INDEX a_v ON a (v)")
	for n := range 3000 {
		exec("INSERT INTO a VALUES ($1, $2)", n, strings.Repeat(fmt.Sprint(n), 1+n%90))
	}
	exec("DELETE FROM a WHERE k % 7 = 0")
	exec("PRAGMA wal_checkpoint(TRUNCATE)")
	if !sums.Watched() {
		t.Fatal("SQLite has opened the database by another path")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := sums.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	scan := func() error {
		db, sums := open(t, path)
		defer func() { _ = db.Close(); _ = sums.Close() }()
		var n int
		return db.QueryRowContext(t.Context(), "SELECT sum(length(v)) FROM a NOT INDEXED").Scan(&n)
	}
	if err := scan(); err != nil {
		t.Fatal(err)
	}
	read := 0
	for range 200 {
		at := rand.IntN(len(whole))
		changed := append([]byte(nil), whole...)
		changed[at] ^= 1 << rand.IntN(8)
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if scan() != nil {
			read++
		}
		sums, err := pagesum.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := sums.Verify(t.Context(), pause); err != nil {
			t.Fatal(err)
		}
		if bad := sums.Bad(); len(bad) != 1 || bad[0] != int64(at/pagesum.PageSize) {
			t.Fatalf("byte %d of page %d was changed, and Verify found %v", at, at/pagesum.PageSize, bad)
		}
		if err := sums.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if read < 20 {
		t.Errorf("queries noticed %d of 200 changes; the table has more than a tenth of the pages", read)
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := scan(); err != nil {
		t.Errorf("mended: %v", err)
	}
}

// TestUnknownSums adds checksums to a database that has none, and goes on writing.
func TestUnknownSums(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE a (k INTEGER PRIMARY KEY, v TEXT)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, sums := open(t, path)
	if err := sums.Verify(t.Context(), pause); err != nil {
		t.Fatal(err)
	}
	for n := range 2000 {
		if _, err := db.ExecContext(t.Context(), "INSERT INTO a VALUES ($1, $2)", n, strings.Repeat("x", n%700)); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := sums.Verify(t.Context(), pause); err != nil || len(sums.Bad()) > 0 {
		t.Error(err, sums.Bad())
	}
	if err := sums.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+pagesum.Suffix, []byte("something else, of some length"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pagesum.Open(path); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a file that is not one of checksums: %v", err)
	}
}
