package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

type named int64

const (
	cluster     = "c1"
	segmentSize = 4096
)

func read(t testing.TB, dir string, db State) (list [][]Operation, found *Found, err error) {
	t.Helper()
	db.Cluster = cluster
	found, err = Read(dir, db, func(number uint64, ops []Operation) error {
		if number != db.Applied+uint64(len(list))+1 {
			t.Fatalf("entry %d comes after %d others", number, len(list))
		}
		list = append(list, ops)
		return nil
	})
	return list, found, err
}

func entries(t testing.TB, dir string) [][]Operation {
	t.Helper()
	list, _, err := read(t, dir, State{})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func op(n int) []Operation {
	return []Operation{
		{Text: "INSERT INTO a (x, y) VALUES ?*", Width: 2, Values: []any{fmt.Sprint("k", n), int64(n), "k\x00", int64(-1)}},
		{Text: "UPDATE b SET z = $1", Values: []any{[]byte{0, 255}, nil, 1.5}},
		{Text: fmt.Sprintf("DELETE FROM c WHERE n = %d", n)},
	}
}

func newJournal(dir string, last uint64) *Journal {
	return New(Options{Dir: dir, Cluster: cluster, Last: last, Segment: segmentSize})
}

func add(t testing.TB, j *Journal, count int) {
	t.Helper()
	for range count {
		if _, err := j.Add(op(int(j.Last()))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestJournal(t *testing.T) {
	dir := t.TempDir()
	j := newJournal(dir, 0)
	add(t, j, 3)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	add(t, j, 2)
	list := entries(t, dir)
	if len(list) != 5 {
		t.Fatalf("%d entries", len(list))
	}
	for n, ops := range list {
		if !reflect.DeepEqual(ops, op(n)) {
			t.Errorf("entry %d is %v", n, ops)
		}
	}
	if _, err := j.Add([]Operation{{Text: "x", Values: []any{named(7), uint64(8), 9}}}); err != nil {
		t.Fatal(err)
	}
	if got := entries(t, dir)[5][0].Values; !reflect.DeepEqual(got, []any{int64(7), int64(8), int64(9)}) {
		t.Errorf("numbers came back as %v", got)
	}
	if _, err := j.Add([]Operation{{Text: "x", Values: []any{struct{}{}}}}); err == nil {
		t.Error("a value that cannot be kept was taken")
	}
	if _, err := j.Add(op(6)); err != nil || len(entries(t, dir)) != 7 {
		t.Errorf("after a refused entry: %v, %d entries", err, len(entries(t, dir)))
	}
}

// TestDamage cuts a journal off, and flips a bit or a byte, at each place of its entries: either the damage is
// reported, or only an entry is missing that looks like the torn write of the last one, which is reported too.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	j := newJournal(dir, 0)
	const count = 4
	ends := []int64{headerSize(cluster)}
	for range count {
		add(t, j, 1)
		ends = append(ends, j.size)
	}
	path := filepath.Join(dir, Prefix+"0000000000000001")
	whole, err := os.ReadFile(path)
	if err != nil || len(whole) != segmentSize {
		t.Fatalf("%d bytes, %v", len(whole), err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at := range ends[count] {
		for _, flip := range []byte{1, 0x80, 0x5a} {
			if _, err := f.WriteAt([]byte{whole[at] ^ flip}, at); err != nil {
				t.Fatal(err)
			}
			list, found, err := read(t, dir, State{InUse: true})
			var fault *Fault
			switch told := errors.As(err, &fault); {
			case err != nil && !told:
				t.Fatalf("byte %d, %#x: %v", at, flip, err)
			case told && fault.First != uint64(len(list)+1) && at >= ends[0]:
				t.Fatalf("byte %d, %#x: %d entries were read, and the fault is %v", at, flip, len(list), err)
			case !told && (flip != 0x5a || at < ends[count-1] || len(list) != count-1 ||
				found.Torn == "" && at < ends[count-1]+8):
				t.Fatalf("byte %d, %#x: not reported, %d entries, torn %q", at, flip, len(list), found.Torn)
			}
			if _, err := f.WriteAt(whole[at:at+1], at); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, size := range []int64{0, 5, ends[0] - 1, ends[0], ends[2], ends[2] + 3, ends[count], segmentSize - 1} {
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		var fault *Fault
		if _, _, err := read(t, dir, State{InUse: true}); !errors.As(err, &fault) {
			t.Errorf("cut off at byte %d of %d: %v", size, segmentSize, err)
		}
		if _, err := f.WriteAt(whole, 0); err != nil {
			t.Fatal(err)
		}
	}
	if list, found, err := read(t, dir, State{InUse: true}); len(list) != count || found.Torn != "" || err != nil {
		t.Errorf("mended: %d entries, %q, %v", len(list), found.Torn, err)
	}
}

// TestTornEnd leaves every beginning of an entry at the end of a segment, as a power cut does: the ones before it are
// read.
func TestTornEnd(t *testing.T) {
	dir := t.TempDir()
	j := newJournal(dir, 0)
	add(t, j, 2)
	before := j.size
	add(t, j, 1)
	path := filepath.Join(dir, Prefix+"0000000000000001")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, j.size-before), before); err != nil {
		t.Fatal(err)
	}
	for at := before; len(bytes.Trim(whole[at:j.size], "\x00")) > 0; at++ {
		if _, err := f.WriteAt(whole[before:at], before); err != nil {
			t.Fatal(err)
		}
		list, found, err := read(t, dir, State{InUse: true})
		if len(list) != 2 || err != nil || found.Torn == "" && at >= before+entryHead {
			t.Fatalf("%d of %d bytes: %d entries, torn %q, %v", at-before, j.size-before, len(list), found.Torn, err)
		}
	}
}

// segments writes three full segments of two entries, and begins the next one.
func segments(t *testing.T) (dir string, paths []string) {
	t.Helper()
	dir = t.TempDir()
	j := newJournal(dir, 0)
	for range 3 {
		add(t, j, 2)
		if err := j.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	paths, err := names(dir, Prefix)
	if err != nil || len(paths) != 4 {
		t.Fatal(paths, err)
	}
	return dir, paths
}

// TestMissingSegments removes each segment of three, and all.
func TestMissingSegments(t *testing.T) {
	for missing := range 5 {
		dir, paths := segments(t)
		for i, path := range paths {
			if i == missing || missing == 4 {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
		}
		list, _, err := read(t, dir, State{InUse: true})
		var fault *Fault
		if !errors.As(err, &fault) || len(list) != 2*missing%8 {
			t.Errorf("without segment %d: %d entries, %v", missing, len(list), err)
		}
	}
	dir, paths := segments(t)
	if err := os.Remove(paths[0]); err != nil {
		t.Fatal(err)
	}
	if list, _, err := read(t, dir, State{InUse: true, Applied: 2}); err != nil || len(list) != 4 {
		t.Errorf("without a segment that the database has: %d entries, %v", len(list), err)
	}
}

func TestOtherDatabase(t *testing.T) {
	dir := t.TempDir()
	j := New(Options{Dir: dir, Cluster: "other"})
	add(t, j, 1)
	list, _, err := read(t, dir, State{})
	if len(list) > 0 || err == nil || !strings.Contains(err.Error(), "another database") {
		t.Errorf("%d entries, %v", len(list), err)
	}
}

// TestFirstFormat reads segments of earlier versions, which have no header and their own length.
func TestFirstFormat(t *testing.T) {
	dir := t.TempDir()
	j := newJournal(dir, 0)
	add(t, j, 3)
	path := filepath.Join(dir, Prefix+"0000000000000001")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	old := b[headerSize(cluster):j.size]
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	if n := len(entries(t, dir)); n != 3 {
		t.Errorf("%d of 3 entries", n)
	}
	if err := os.WriteFile(path, old[:len(old)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if list, found, err := read(t, dir, State{}); len(list) != 2 || found.Torn == "" || err != nil {
		t.Errorf("torn: %d of 2 entries, %q, %v", len(list), found.Torn, err)
	}
	old[entryHead]++
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	var fault *Fault
	if _, _, err := read(t, dir, State{}); !errors.As(err, &fault) {
		t.Errorf("damaged: %v", err)
	}
}

// TestReuse checks that entries of a file's previous use are not read.
func TestReuse(t *testing.T) {
	dir := t.TempDir()
	j := newJournal(dir, 0)
	add(t, j, 10)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Retire(10); err != nil {
		t.Fatal(err)
	}
	add(t, j, 3)
	paths, err := os.ReadDir(dir)
	if err != nil || len(paths) != 1 {
		t.Fatalf("%v, %v; want the one file", paths, err)
	}
	list, found, err := read(t, dir, State{Applied: 10, InUse: true})
	if len(list) != 3 || found.Torn != "" || err != nil {
		t.Errorf("%d of 3 entries, %q, %v", len(list), found.Torn, err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Begin(); err != nil { // a segment without entries
		t.Fatal(err)
	}
	for range 2 {
		if err := errors.Join(j.Close(), j.Begin()); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(j.Close(), j.Retire(j.Last()), j.RemoveSpare()); err != nil {
		t.Fatal(err)
	}
	if paths, err := os.ReadDir(dir); err != nil || len(paths) != 0 {
		t.Errorf("%v, %v are left", paths, err)
	}
}

// TestRotateWithoutEntries rotates a segment that has none: no later entry is lost.
func TestRotateWithoutEntries(t *testing.T) {
	dir := t.TempDir()
	j := newJournal(dir, 0)
	add(t, j, 2)
	for range 3 {
		if err := j.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Retire(j.Last()); err != nil {
		t.Fatal(err)
	}
	add(t, j, 2)
	if err := errors.Join(j.Retire(2), j.RemoveSpare()); err != nil {
		t.Fatal(err)
	}
	if list, _, err := read(t, dir, State{Applied: 2, InUse: true}); len(list) != 2 || err != nil {
		t.Errorf("%d of 2 entries, %v", len(list), err)
	}
}

// TestDamageOfWhatTheDatabaseHas damages an entry that the database has, with all that follow, or without them.
func TestDamageOfWhatTheDatabaseHas(t *testing.T) {
	dir := t.TempDir()
	j := newJournal(dir, 0)
	add(t, j, 1)
	at := j.size + entryHead
	add(t, j, 4)
	f, err := os.OpenFile(filepath.Join(dir, Prefix+"0000000000000001"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("??"), at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, found, err := read(t, dir, State{Applied: 5, InUse: true}); err != nil || found.Last != 5 {
		t.Errorf("entries up to %d, %v", found.Last, err)
	}
	var fault *Fault
	if _, _, err := read(t, dir, State{Applied: 3, InUse: true}); !errors.As(err, &fault) ||
		!strings.Contains(fault.Lost(), "4 to 5") {
		t.Errorf("%v", err)
	}
}

// TestFullDisk checks that the entry of a failed write is not read, and that the journal continues.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	j := newJournal(dir, 0)
	add(t, j, 1)
	partial := make([]byte, 40)
	binary.LittleEndian.PutUint64(partial[8:], 2)
	if _, err := j.file.WriteAt(partial, j.size); err != nil {
		t.Fatal(err)
	}
	if err := j.undo(errors.New("no space")); err == nil || j.broken != nil {
		t.Fatal(err, j.broken)
	}
	add(t, j, 2)
	if list, found, err := read(t, dir, State{InUse: true}); len(list) != 3 || found.Torn != "" || err != nil {
		t.Errorf("%d of 3 entries, %q, %v", len(list), found.Torn, err)
	}
}

// TestFailedWrites checks that nothing is acknowledged once the content of the disk is unknown.
func TestFailedWrites(t *testing.T) {
	dir := t.TempDir()
	j := newJournal(dir, 0)
	add(t, j, 1)
	if err := j.file.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := j.Add(op(2)); err == nil {
			t.Fatal("an entry was taken by a file that is closed")
		}
	}
	if n := len(entries(t, dir)); n != 1 {
		t.Errorf("%d entries", n)
	}
	missing := newJournal(filepath.Join(t.TempDir(), "none"), 0)
	if _, err := missing.Add(op(1)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without its directory: %v", err)
	}
}

func TestPutAside(t *testing.T) {
	dir, paths := segments(t)
	b, err := os.ReadFile(paths[1])
	if err != nil {
		t.Fatal(err)
	}
	b[headerSize(cluster)+entryHead]++
	if err := os.WriteFile(paths[1], b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err = read(t, dir, State{InUse: true})
	var fault *Fault
	if !errors.As(err, &fault) || fault.Path != paths[1] || fault.First != 3 || fault.Last != 4 {
		t.Fatalf("%+v, %v", fault, err)
	}
	moved, err := PutAside(dir, fault)
	if err != nil || len(moved) != 3 {
		t.Fatal(moved, err)
	}
	if again, err := os.ReadFile(moved[0]); err != nil || !bytes.Equal(again, b) {
		t.Error("the damaged segment was changed", err)
	}
	if list, _, err := read(t, dir, State{}); len(list) != 2 || err == nil { // the successor is missing now
		t.Errorf("%d entries, %v", len(list), err)
	}
	if _, _, err := read(t, dir, State{Applied: 2}); err == nil {
		t.Error("a segment whose successor is missing was taken for whole")
	}
}

func FuzzJournal(f *testing.F) {
	dir := f.TempDir()
	j := newJournal(dir, 0)
	add(f, j, 3)
	b, err := os.ReadFile(filepath.Join(dir, Prefix+"0000000000000001"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[headerSize(cluster):j.size])
	f.Add(b[headerSize(cluster)+entryHead : j.size])
	f.Fuzz(func(_ *testing.T, b []byte) {
		d := decoder{b: b}
		_ = d.operations() // it must not panic, nor take more memory than its input
	})
}
