// Package journal makes commits durable before a database has them: entries of operations in files, the segments, each
// synced before its commit is acknowledged.
//
// It does not know databases: whoever reads the entries applies them.
package journal

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/beckon-im/beckon/internal/sqldb"
)

// Operation is a statement with its arguments, or, with a width, a template and the rows to write by it.
type Operation struct {
	Text   string
	Width  int
	Values []any
}

// Options configures a journal.
type Options struct {
	Dir     string
	Cluster string // identity of the database, which each segment names
	Last    uint64 // number of the last entry that the database has
	NoSync  bool   // skips all syncs
	Prefix  string // of the names of its files. Default: Prefix. With another one there is one segment only
	Segment int64  // length of a full segment, and of the file of a new one. Default: 16 MiB
}

// Journal appends entries to segments. One goroutine calls Add and Close; the other methods may be called by others.
type Journal struct {
	opt    Options
	file   *os.File // nil = the next entry creates one
	path   string
	size   int64
	last   uint64            // number of the last entry
	texts  map[string]uint64 // statements that the segment has in full, numbered in their order
	buf    []byte
	broken error // after a failed sync: its effect is unknown

	mu      sync.Mutex
	full    []segment // segments before this one
	spare   []string  // files to reuse: a disk overwrites blocks in half the time of an append
	noReuse bool
}

// segment is a complete file.
type segment struct {
	path string
	last uint64
}

const (
	// Prefix begins the names of segments; the number of their first entry follows.
	Prefix = "journal-"
	// AsidePrefix begins the names of entries that the database refused, each in a file of its own.
	AsidePrefix = "aside-"
	// DamagedPrefix begins the names of segments that a repair has put out of use.
	DamagedPrefix = "damaged-"

	// SparePrefix begins the names of files that are kept for reuse.
	SparePrefix = "spare-"

	maxSpare = 2
	maxEntry = 1 << 30
)

// New returns a journal that continues after Options.Last. The first entry, or Begin, creates its first segment.
func New(opt Options) *Journal {
	opt.Prefix, opt.Segment = cmp.Or(opt.Prefix, Prefix), cmp.Or(opt.Segment, 16<<20)
	return &Journal{opt: opt, last: opt.Last}
}

// Last returns the number of the last entry.
func (j *Journal) Last() uint64 { return j.last }

// Add makes operations durable as one entry, and returns its size.
func (j *Journal) Add(ops []Operation) (int64, error) {
	if j.broken != nil {
		return 0, j.broken
	}
	if j.file == nil {
		if err := j.Begin(); err != nil {
			return 0, err
		}
	}
	size, err := j.write(ops)
	if err == nil {
		err = j.sync(j.file)
	}
	if err != nil {
		return 0, err
	}
	j.last++
	if j.size >= j.opt.Segment && j.opt.Prefix == Prefix {
		_ = j.Rotate() // without space for a new segment, the next entry begins it
	}
	return size, nil
}

// write appends an entry, without a sync.
func (j *Journal) write(ops []Operation) (size int64, err error) {
	b := append(j.buf[:0], make([]byte, entryHead)...)
	b = binary.AppendUvarint(b, uint64(len(ops)))
	for i := range ops {
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
	j.size += int64(len(b))
	return int64(len(b)), nil
}

// sync makes written entries durable. After an error nothing can be acknowledged any more.
func (j *Journal) sync(f *os.File) error {
	if j.opt.NoSync {
		return nil
	}
	if err := flush(f); err != nil {
		j.broken = fmt.Errorf("%w: %w", sqldb.ErrBroken, err)
		return j.broken
	}
	return nil
}

// undo removes a partial entry: the disk is full, most likely.
func (j *Journal) undo(cause error) error {
	size := j.size
	err := j.file.Truncate(size)
	if err == nil {
		err = j.file.Truncate(max(size, j.opt.Segment)) // without blocks
	}
	if err = errors.Join(err, j.end()); err != nil {
		j.broken = fmt.Errorf("%w: %w, %w", sqldb.ErrBroken, cause, err)
		return j.broken
	}
	return fmt.Errorf("journal: %w", cause)
}

// Begin creates a segment. Its header is durable before the file has its name: a file with the name of a segment and
// without a header is damaged.
func (j *Journal) Begin() error {
	f, path, err := j.create()
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.use(f, path)
	return nil
}

// use makes a created segment the one under way.
func (j *Journal) use(f *os.File, path string) {
	j.file, j.path, j.size, j.texts = f, path, headerSize(j.opt.Cluster), map[string]uint64{}
}

func (j *Journal) create() (f *os.File, path string, err error) {
	name := fmt.Sprintf("%0*x", numberedDigits, j.last+1)
	path = filepath.Join(j.opt.Dir, j.opt.Prefix+name)
	spare := cmp.Or(j.reuse(), filepath.Join(j.opt.Dir, SparePrefix+name))
	if f, err = os.OpenFile(spare, os.O_WRONLY|os.O_CREATE, 0o600); err != nil {
		return nil, "", err
	}
	if _, err = f.WriteAt(header(j.opt.Cluster, j.last+1, j.opt.Segment), 0); err == nil {
		err = j.extend(f)
	}
	if err == nil {
		err = j.sync(f)
	}
	if err == nil {
		j.mu.Lock()
		j.full = slices.DeleteFunc(j.full, func(s segment) bool { return s.path == path }) // one without entries
		j.mu.Unlock()
		err = os.Rename(spare, path)
	}
	if err == nil && !j.opt.NoSync {
		if err = SyncFile(j.opt.Dir); err != nil {
			j.broken = fmt.Errorf("%w: %w", sqldb.ErrBroken, err)
			err = j.broken
		}
	}
	if err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	return f, path, nil
}

// extend gives a new file its length, without blocks. A shorter file is damaged.
func (j *Journal) extend(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Size() >= j.opt.Segment {
		return err
	}
	return f.Truncate(j.opt.Segment)
}

// Rotate continues in a new segment. The last entry of a full segment is empty: the mark of a successor. It is written
// after the successor was created. After an error the next entry begins a segment.
func (j *Journal) Rotate() error {
	if j.broken != nil || j.file == nil {
		return j.broken
	}
	f, path, err := j.create()
	if err == nil && path == j.path { // this one has no entries, and its file is replaced
		old := j.file
		j.use(f, path)
		return old.Close()
	}
	if err == nil {
		if _, err = j.write(nil); err == nil {
			err = j.sync(j.file)
		}
		if err != nil {
			_ = f.Close() // it has no entries
		}
	}
	if failed := j.end(); failed != nil && j.broken == nil {
		j.broken = fmt.Errorf("%w: %w", sqldb.ErrBroken, failed)
	}
	if err == nil && j.broken == nil {
		j.use(f, path)
	}
	return cmp.Or(j.broken, err)
}

// end closes the segment.
func (j *Journal) end() error {
	if j.file == nil {
		return nil
	}
	j.mu.Lock()
	j.full = append(j.full, segment{j.path, j.last})
	j.mu.Unlock()
	err := j.file.Close()
	j.file = nil
	return err
}

// Close closes the segment under way. The files stay.
func (j *Journal) Close() error { return j.end() }

// Retire keeps the full segments without entries after last for reuse, or removes them.
func (j *Journal) Retire(last uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.full) > 0 && j.full[0].last <= last {
		if err := j.release(j.full[0]); err != nil {
			return err
		}
		j.full = j.full[1:]
	}
	return nil
}

func (j *Journal) release(s segment) error {
	if len(j.spare) >= maxSpare || j.noReuse {
		return os.Remove(s.path)
	}
	spare := filepath.Join(j.opt.Dir, SparePrefix+strings.TrimPrefix(filepath.Base(s.path), j.opt.Prefix))
	if err := os.Rename(s.path, spare); err != nil {
		return err
	}
	j.spare = append(j.spare, spare)
	return nil
}

func (j *Journal) reuse() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.spare) == 0 {
		return ""
	}
	spare := j.spare[0]
	j.spare = j.spare[1:]
	return spare
}

// Reuse allows or forbids to keep files for reuse, with their content.
func (j *Journal) Reuse(allowed bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.noReuse = !allowed
}

// RemoveSpare removes the files that are kept for reuse.
func (j *Journal) RemoveSpare() (err error) {
	for spare := j.reuse(); spare != ""; spare = j.reuse() {
		err = errors.Join(err, os.Remove(spare))
	}
	return err
}

// SyncFile syncs a file or directory.
func SyncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
