package sqlite

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/beckon-im/beckon/internal/sqldb"
)

// A journal makes commits durable: each batch appends one entry to a file and syncs it before it is acknowledged. The
// applier writes the same rows to the database soon after; entries that the database lacks are applied when it is
// opened again.
//
// An entry has its length, the checksum of the rest, its number, and the operations. A file ends where no whole entry
// with the next number follows: files are reused, because a disk overwrites blocks in half the time of an append.
type journal struct {
	dir    string
	noSync bool
	prefix string   // of the names of its files, if not journalPrefix
	file   *os.File // nil = the next entry creates one
	size   int64
	last   uint64            // number of the last entry
	texts  map[string]uint64 // statements that the file has in full, numbered in their order
	mu     sync.Mutex
	full   []segment // files before this one; under mu
	spare  []string  // files to reuse; under mu
	buf    []byte
	broken error // after a failed sync: its effect is unknown
}

// segment is a complete file.
type segment struct {
	path string
	last uint64
}

// operation is a statement with its arguments, or, with a width, a template and the rows to write by it.
type operation struct {
	text   string
	width  int
	values []any
}

const (
	journalPrefix  = "journal-"
	sparePrefix    = "spare-"
	asidePrefix    = "aside-" // entries that the database refused
	maxSpare       = 2
	segmentSize    = 16 << 20
	entryHead      = 16
	maxEntry       = 1 << 30
	numberedDigits = 16
)

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// add makes operations durable as one entry, and returns its size.
func (j *journal) add(ops []operation) (int64, error) {
	if j.broken != nil {
		return 0, j.broken
	}
	if j.file == nil {
		if err := j.begin(); err != nil {
			return 0, fmt.Errorf("journal: %w", err)
		}
	}
	b := append(j.buf[:0], make([]byte, entryHead)...)
	b = binary.AppendUvarint(b, uint64(len(ops)))
	for i := range ops {
		var err error
		if b, err = j.encode(b, &ops[i]); err != nil {
			return 0, errors.Join(err, j.end()) // texts may have statements that are not in the file
		}
	}
	if len(b) > maxEntry {
		return 0, errors.Join(fmt.Errorf("journal: a commit of %d bytes; at most %d are possible", len(b), maxEntry), j.end())
	}
	if j.buf = b; cap(b) > 4<<20 {
		j.buf = nil
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)-entryHead))
	binary.LittleEndian.PutUint64(b[8:], j.last+1)
	binary.LittleEndian.PutUint32(b[4:], checksum(b[8:]))
	if _, err := j.file.WriteAt(b, j.size); err != nil {
		return 0, j.undo(err)
	}
	if !j.noSync {
		if err := flush(j.file); err != nil {
			j.broken = fmt.Errorf("%w: %w", sqldb.ErrBroken, err)
			return 0, j.broken
		}
	}
	j.size += int64(len(b))
	j.last++
	if j.size >= segmentSize {
		if err := j.end(); err != nil {
			j.broken = fmt.Errorf("%w: %w", sqldb.ErrBroken, err) // from the next entry on
		}
	}
	return int64(len(b)), nil
}

// undo truncates a partial entry: the disk is full, most likely.
func (j *journal) undo(cause error) error {
	if err := errors.Join(j.file.Truncate(j.size), j.end()); err != nil {
		j.broken = fmt.Errorf("%w: %w, %w", sqldb.ErrBroken, cause, err)
		return j.broken
	}
	return fmt.Errorf("journal: %w", cause)
}

// begin creates a file, named by the number of its first entry.
func (j *journal) begin() error {
	path := filepath.Join(j.dir, fmt.Sprintf("%s%0*x", cmp.Or(j.prefix, journalPrefix), numberedDigits, j.last+1))
	if spare := j.reuse(); spare != "" {
		if err := os.Rename(spare, path); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600) // an empty file of a failed entry may exist
	if err != nil {
		return err
	}
	if err := syncFile(j.dir); err != nil {
		j.broken = fmt.Errorf("%w: %w", sqldb.ErrBroken, err)
		return errors.Join(j.broken, f.Close())
	}
	j.file, j.size, j.texts = f, 0, map[string]uint64{}
	return nil
}

// end closes the file.
func (j *journal) end() error {
	if j.file == nil {
		return nil
	}
	if j.size > 0 { // an empty file is created again under the same name
		j.mu.Lock()
		j.full = append(j.full, segment{j.file.Name(), j.last})
		j.mu.Unlock()
	}
	err := j.file.Close()
	j.file = nil
	return err
}

// done takes the files with entries up to applied only.
func (j *journal) done(last uint64) []segment {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for n < len(j.full) && j.full[n].last <= last {
		n++
	}
	list := slices.Clone(j.full[:n])
	j.full = j.full[n:]
	return list
}

// back returns files that are still needed.
func (j *journal) back(list []segment) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.full = append(list, j.full...)
}

// release keeps a file for reuse, or removes it.
func (j *journal) release(s segment) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.spare) >= maxSpare {
		return os.Remove(s.path)
	}
	spare := filepath.Join(j.dir, sparePrefix+strings.TrimPrefix(filepath.Base(s.path), journalPrefix))
	if err := os.Rename(s.path, spare); err != nil {
		return err
	}
	j.spare = append(j.spare, spare)
	return nil
}

func (j *journal) reuse() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.spare) == 0 {
		return ""
	}
	spare := j.spare[0]
	j.spare = j.spare[1:]
	return spare
}

// syncFile syncs a file or directory.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// The kinds of value.
const (
	kindNil = iota
	kindInt
	kindText
	kindBytes
	kindReal
)

func (j *journal) encode(b []byte, op *operation) ([]byte, error) {
	n, known := j.texts[op.text]
	if !known {
		n = uint64(len(j.texts))
		j.texts[op.text] = n
	}
	b = binary.AppendUvarint(b, n)
	if !known {
		b = binary.AppendUvarint(b, uint64(len(op.text)))
		b = append(b, op.text...)
	}
	b = binary.AppendUvarint(b, uint64(op.width))
	b = binary.AppendUvarint(b, uint64(len(op.values)))
	for _, v := range op.values {
		switch v := v.(type) {
		case string:
			b = binary.AppendUvarint(append(b, kindText), uint64(len(v)))
			b = append(b, v...)
		case int64:
			b = binary.AppendVarint(append(b, kindInt), v)
		case int:
			b = binary.AppendVarint(append(b, kindInt), int64(v))
		case uint64:
			b = binary.AppendVarint(append(b, kindInt), int64(v))
		case []byte:
			b = binary.AppendUvarint(append(b, kindBytes), uint64(len(v)))
			b = append(b, v...)
		default:
			var err error
			if b, err = encodeOther(b, v); err != nil {
				return nil, fmt.Errorf("%w, in %.80s", err, op.text)
			}
		}
	}
	return b, nil
}

// encodeOther encodes named types, as database/sql does.
func encodeOther(b []byte, v any) ([]byte, error) {
	r := reflect.ValueOf(v)
	switch {
	case !r.IsValid():
		return append(b, kindNil), nil
	case r.CanInt():
		return binary.AppendVarint(append(b, kindInt), r.Int()), nil
	case r.CanUint():
		return binary.AppendVarint(append(b, kindInt), int64(r.Uint())), nil
	case r.CanFloat():
		return binary.LittleEndian.AppendUint64(append(b, kindReal), math.Float64bits(r.Float())), nil
	case r.Kind() == reflect.String:
		b = binary.AppendUvarint(append(b, kindText), uint64(r.Len()))
		return append(b, r.String()...), nil
	}
	return nil, fmt.Errorf("journal: a %T has no place", v)
}

// segments lists the journal files of a directory, the oldest first, and the spare files.
func segments(dir string) (list []segment, spare []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), sparePrefix) {
			spare = append(spare, path)
		}
		if digits, ok := strings.CutPrefix(e.Name(), journalPrefix); ok && len(digits) == numberedDigits {
			if n, err := strconv.ParseUint(digits, 16, 64); err == nil {
				list = append(list, segment{path: path, last: n - 1})
			}
		}
	}
	slices.SortFunc(list, func(a, b segment) int { return strings.Compare(a.path, b.path) })
	return list, spare, nil
}

// read calls f for the whole entries of a file, in order.
func (s *segment) read(each func(number uint64, ops []operation) error) error {
	b, err := os.ReadFile(s.path)
	if err != nil {
		return err
	}
	var texts []string
	for len(b) >= entryHead {
		n := int(binary.LittleEndian.Uint32(b))
		if n > maxEntry || len(b) < entryHead+n || checksum(b[8:entryHead+n]) != binary.LittleEndian.Uint32(b[4:]) {
			break // a partial entry, which was never acknowledged
		}
		number := binary.LittleEndian.Uint64(b[8:])
		if number != s.last+1 {
			break // an entry of the file's previous use
		}
		d := decoder{b: b[entryHead : entryHead+n], texts: texts}
		ops := d.operations()
		if d.bad {
			return fmt.Errorf("journal: entry %d of %s is whole and yet not understood: was it written by a newer version?",
				number, s.path)
		}
		if err := each(number, ops); err != nil {
			return err
		}
		texts, s.last = d.texts, number
		b = b[entryHead+n:]
	}
	return nil
}

// decoder reads an entry.
type decoder struct {
	b     []byte
	texts []string
	bad   bool
}

func (d *decoder) operations() []operation {
	n := d.uvarint()
	ops := make([]operation, 0, min(n, 1024))
	for ; n > 0 && !d.bad; n-- {
		var op operation
		id := d.uvarint()
		switch {
		case id < uint64(len(d.texts)):
			op.text = d.texts[id]
		case id == uint64(len(d.texts)):
			op.text = string(d.bytes())
			d.texts = append(d.texts, op.text)
		default:
			d.bad = true
		}
		op.width = int(d.uvarint())
		for range d.uvarint() {
			if op.values = append(op.values, d.value()); d.bad {
				break
			}
		}
		ops = append(ops, op)
	}
	return ops
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) value() any {
	if len(d.b) == 0 {
		d.bad = true
		return nil
	}
	kind := d.b[0]
	d.b = d.b[1:]
	switch kind {
	case kindNil:
		return nil
	case kindInt:
		v, n := binary.Varint(d.b)
		if n <= 0 {
			d.bad = true
			return nil
		}
		d.b = d.b[n:]
		return v
	case kindText:
		return string(d.bytes())
	case kindBytes:
		return slices.Clone(d.bytes())
	case kindReal:
		if len(d.b) < 8 {
			d.bad = true
			return nil
		}
		v := math.Float64frombits(binary.LittleEndian.Uint64(d.b))
		d.b = d.b[8:]
		return v
	}
	d.bad = true
	return nil
}
