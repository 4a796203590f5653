package sqlite

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

type named int64

func entries(t testing.TB, dir string) (list [][]operation) {
	t.Helper()
	files, _, err := segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		if err := files[i].read(func(number uint64, ops []operation) error {
			if number != uint64(len(list))+1 {
				t.Fatalf("entry %d comes after %d others", number, len(list))
			}
			list = append(list, ops)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func op(n int) []operation {
	return []operation{
		{text: "INSERT INTO a (x, y) VALUES ?*", width: 2, values: []any{fmt.Sprint("k", n), int64(n), "k\x00", int64(-1)}},
		{text: "UPDATE b SET z = $1", values: []any{[]byte{0, 255}, nil, 1.5}},
		{text: fmt.Sprintf("DELETE FROM c WHERE n = %d", n)},
	}
}

func TestJournal(t *testing.T) {
	dir := t.TempDir()
	j := &journal{dir: dir}
	for n := range 5 {
		if _, err := j.add(op(n)); err != nil {
			t.Fatal(err)
		}
		if n == 2 {
			if err := j.end(); err != nil {
				t.Fatal(err)
			}
		}
	}
	list := entries(t, dir)
	if len(list) != 5 {
		t.Fatalf("%d entries", len(list))
	}
	for n, ops := range list {
		if !reflect.DeepEqual(ops, op(n)) {
			t.Errorf("entry %d is %v", n, ops)
		}
	}
	if _, err := j.add([]operation{{text: "x", values: []any{named(7), uint64(8), 9}}}); err != nil {
		t.Fatal(err)
	}
	if got := entries(t, dir)[5][0].values; !reflect.DeepEqual(got, []any{int64(7), int64(8), int64(9)}) {
		t.Errorf("numbers came back as %v", got)
	}
	if _, err := j.add([]operation{{text: "x", values: []any{struct{}{}}}}); err == nil {
		t.Error("a value that cannot be kept was taken")
	}
	if _, err := j.add(op(6)); err != nil || len(entries(t, dir)) != 7 {
		t.Errorf("after a refused entry: %v, %d entries", err, len(entries(t, dir)))
	}
}

// TestTornJournal cuts a journal off, and spoils it, at each of its bytes: what is read is what was written before
// that.
func TestTornJournal(t *testing.T) {
	dir := t.TempDir()
	j := &journal{dir: dir}
	var ends []int64
	for n := range 4 {
		if _, err := j.add(op(n)); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, j.size)
	}
	path := j.file.Name()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		want := 0
		for want < len(ends) && ends[want] <= int64(at) {
			want++
		}
		spoiled := append([]byte(nil), whole...)
		spoiled[at] ^= 0x5a
		for _, b := range [][]byte{whole[:at], spoiled} {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if got := len(entries(t, dir)); got != want {
				t.Fatalf("spoiled at byte %d of %d: %d entries, want %d", at, len(whole), got, want)
			}
		}
	}
}

// TestJournalFilesAreUsedAgain checks that nothing of what a file said before is taken for new.
func TestJournalFilesAreUsedAgain(t *testing.T) {
	dir := t.TempDir()
	j := &journal{dir: dir}
	for n := range 10 {
		if _, err := j.add(op(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.end(); err != nil {
		t.Fatal(err)
	}
	for _, s := range j.done(10) {
		if err := j.release(s); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3 {
		if _, err := j.add(op(n)); err != nil {
			t.Fatal(err)
		}
	}
	files, spare, err := segments(dir)
	if err != nil || len(files) != 1 || len(spare) != 0 {
		t.Fatalf("%v, %v, %v; want the one file used again", files, spare, err)
	}
	var numbers []uint64
	if err := files[0].read(func(number uint64,
		_ []operation) error {
		numbers = append(numbers, number)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(numbers, []uint64{11, 12, 13}) {
		t.Errorf("its entries are %v", numbers)
	}
}

// TestJournalThatCannotBeWritten checks that nothing is acknowledged once nobody knows what the disk has.
func TestJournalThatCannotBeWritten(t *testing.T) {
	j := &journal{dir: t.TempDir()}
	if _, err := j.add(op(1)); err != nil {
		t.Fatal(err)
	}
	if err := j.file.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := j.add(op(2)); err == nil {
			t.Fatal("an entry was taken by a file that is closed")
		}
	}
	if n := len(entries(t, j.dir)); n != 1 {
		t.Errorf("%d entries", n)
	}
	missing := &journal{dir: filepath.Join(t.TempDir(), "none")}
	if _, err := missing.add(op(1)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without its directory: %v", err)
	}
}

// TestJournalWithAHole checks that a journal of which a file is missing is not passed over in silence, and one that was
// just begun is.
func TestJournalWithAHole(t *testing.T) {
	dir := t.TempDir()
	open := func() error {
		d, err := Open(t.Context(), Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		return d.Close()
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	begun := filepath.Join(dir, journalPrefix+"0000000000000001")
	if err := os.WriteFile(begun, make([]byte, entryHead/2), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(); err != nil {
		t.Fatalf("a file that was just begun: %v", err)
	}
	if _, err := os.Stat(begun); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	j := &journal{dir: dir, last: 5}
	if _, err := j.add([]operation{{text: "DELETE FROM mark"}}); err != nil {
		t.Fatal(err)
	}
	if err := open(); err == nil || !strings.Contains(err.Error(), "no entry 1") {
		t.Errorf("with a hole: %v", err)
	}
}

func TestGathering(t *testing.T) {
	h := heap{op: operation{width: 3}, place: map[string]int{}}
	h.add([]any{"a", "b", 1, "ab", "", 2, "a", "b", 3}, shapeOf{key: 2})
	h.add([]any{"ab", "", 4, "a", "c", 5}, shapeOf{key: 2})
	if want := []any{"a", "b", 3, "ab", "", 4, "a", "c", 5}; !reflect.DeepEqual(h.op.values, want) {
		t.Errorf("gathered %v, want %v", h.op.values, want)
	}
	h.add([]any{"a", "b", 6, "d", "d", 7}, shapeOf{key: 2, keeps: true})
	if want := []any{"a", "b", 3, "ab", "", 4, "a", "c", 5, "d", "d", 7}; !reflect.DeepEqual(h.op.values, want) {
		t.Errorf("gathered %v, want %v", h.op.values, want)
	}
	for template, want := range map[string]shapeOf{
		"INSERT INTO receipt (topic, at) VALUES ?* ON CONFLICT (topic) DO NOTHING":       {rows: true, keeps: true, key: 1},
		"INSERT INTO record (topic, seq) VALUES ?*":                                      {rows: true},
		"INSERT INTO topic (name) VALUES ?* ON CONFLICT (name) DO UPDATE SET head = 1":   {rows: true, key: 1},
		"INSERT INTO contact (user_id, peer) VALUES ?* ON CONFLICT (user_id, peer) DO 1": {rows: true, key: 2},
		"DELETE FROM mark WHERE (invite_id, user_id) IN (VALUES ?*)":                     {},
	} {
		if got := look(template); got != want {
			t.Errorf("%s: %+v", template, got)
		}
	}
}

func FuzzJournal(f *testing.F) {
	dir := f.TempDir()
	j := &journal{dir: dir}
	for n := range 3 {
		if _, err := j.add(op(n)); err != nil {
			f.Fatal(err)
		}
	}
	b, err := os.ReadFile(j.file.Name())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[entryHead:])
	f.Fuzz(func(_ *testing.T, b []byte) {
		d := decoder{b: b}
		_ = d.operations() // it must not panic, nor take more memory than what it reads
	})
}
