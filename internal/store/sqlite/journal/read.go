package journal

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// State describes the journal of a database.
type State struct {
	Cluster string
	Applied uint64 // number of the last entry that it has
	InUse   bool   // the server before was not stopped: there must be a journal of this format
}

// Found is the result of Read.
type Found struct {
	Segments []string // paths, the oldest first
	Last     uint64   // number of the last entry, at least State.Applied
	Torn     string   // describes the unacknowledged entry at the end that was dropped; empty = none
}

// Fault is a journal that cannot be read to its end: acknowledged commits may be lost.
type Fault struct {
	Path    string // segment; the directory if it has none
	First   uint64 // the first entry that cannot be read
	Last    uint64 // the last one that needs it; 0 = unknown
	Applied uint64 // the last one that the database has
	Reason  string
}

func (f *Fault) Error() string {
	return fmt.Sprintf("the journal is damaged: %s: %s. %s. Restore the file or a backup, or run beckon doctor --repair, "+
		"which continues with the commits before %d and keeps the rest of the journal in %s* files",
		f.Path, f.Reason, f.Lost(), f.First, DamagedPrefix)
}

// Lost describes the commits that are lost with the unreadable entries.
func (f *Fault) Lost() string {
	first := max(f.First, f.Applied+1)
	if f.Last < first {
		return fmt.Sprintf("Commits from %d on are lost, if there were any", first)
	}
	return fmt.Sprintf("Commits %d to %d are lost, and those of later files", first, f.Last)
}

// Read calls each for the entries that a database lacks, in order. The error is a *Fault if the journal is damaged,
// missing, or of another database; each has been called for the entries before that.
func Read(dir string, db State, each func(number uint64, ops []Operation) error) (*Found, error) {
	paths, err := names(dir, Prefix)
	if err != nil {
		return nil, err
	}
	found := &Found{Segments: paths, Last: db.Applied}
	if len(paths) == 0 && db.InUse {
		return found, &Fault{Path: dir, First: db.Applied + 1, Applied: db.Applied, Reason: "its files (" + Prefix +
			"*) are missing, and the server before did not stop cleanly"}
	}
	next := uint64(0) // number of the first entry of the segment; 0 = the database has those before it
	for i, path := range paths {
		c, reason, err := load(path)
		if err != nil {
			return found, err
		}
		if reason = cmp.Or(reason, c.belongs(db, next)); reason != "" {
			return found, &Fault{Path: path, First: max(next, db.Applied+1), Applied: db.Applied,
				Reason: reason}
		}
		if err := c.entries(db, found, each); err != nil {
			return found, err
		}
		if c.closed && i == len(paths)-1 {
			return found, &Fault{Path: path, First: c.last + 1, Applied: db.Applied,
				Reason: "it says that another file follows, which is missing"}
		}
		next = c.last + 1
		if i == len(paths)-1 {
			found.Torn = c.torn()
		}
	}
	return found, nil
}

// belongs returns why a segment is not the next one of a database; empty = it is.
func (c *content) belongs(db State, next uint64) string {
	first := number(c.path)
	switch {
	case c.versioned && c.cluster != db.Cluster:
		return fmt.Sprintf("it belongs to another database (%s; this one is %s)", c.cluster, db.Cluster)
	case !c.versioned && db.InUse:
		return "it has no header"
	case next == 0 && first > db.Applied+1:
		return fmt.Sprintf("it begins with entry %d, and the database has entries up to %d: a file before it is missing",
			first, db.Applied)
	case next != 0 && first != next:
		return fmt.Sprintf("it begins with entry %d, and the file before it ends with entry %d", first, next-1)
	}
	return ""
}

// entries reads the entries of a segment.
func (c *content) entries(db State, found *Found, each func(number uint64, ops []Operation) error) error {
	for {
		number, ops, ok, err := c.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if number <= db.Applied {
			continue
		}
		if err := each(number, ops); err != nil {
			return err
		}
		found.Last = number
	}
	fault := &Fault{Path: c.path, First: c.last + 1, Applied: db.Applied}
	if next, last, closed := c.later(); next > 0 && !c.closed {
		if last <= db.Applied { // the database has them all
			c.last, c.closed, c.b = last, closed, nil
			return nil
		}
		fault.Last = last
		fault.Reason = fmt.Sprintf("entry %d at byte %d cannot be read, and entry %d follows it", c.last+1, c.at, next)
		return fault
	}
	if c.last+1 > db.Applied && c.flipped() {
		fault.Last = c.last + 1
		fault.Reason = fmt.Sprintf("one bit of entry %d at byte %d is wrong", c.last+1, c.at)
		return fault
	}
	return nil
}

// PutAside renames the segments from a fault on, so that they are out of use, and returns their new paths.
func PutAside(dir string, fault *Fault) (moved []string, err error) {
	paths, err := names(dir, Prefix)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		if path < fault.Path {
			continue
		}
		to := FreeName(filepath.Join(dir, DamagedPrefix+filepath.Base(path)))
		if err := os.Rename(path, to); err != nil {
			return moved, err
		}
		moved = append(moved, to)
	}
	return moved, SyncFile(dir)
}

// FreeName returns a path, with a number if there is a file already.
func FreeName(path string) string {
	free := path
	for n := 2; ; n++ {
		if _, err := os.Lstat(free); errors.Is(err, os.ErrNotExist) {
			return free
		}
		free = fmt.Sprintf("%s-%d", path, n)
	}
}

// RemoveSpares removes the files that an earlier journal kept for reuse.
func RemoveSpares(dir string) error {
	paths, err := names(dir, SparePrefix)
	for _, path := range paths {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// Newest returns the number of the last entry of a directory, to which a server may be adding; 0 = it has none.
func Newest(dir string) (uint64, error) {
	paths, err := names(dir, Prefix)
	if err != nil || len(paths) == 0 {
		return 0, err
	}
	c, reason, err := load(paths[len(paths)-1])
	if errors.Is(err, os.ErrNotExist) {
		return Newest(dir) // the server has just removed it
	}
	if err != nil || reason != "" {
		return 0, errors.Join(err, errors.New(reason))
	}
	for ok := true; ok; {
		if _, _, ok, err = c.next(); err != nil {
			return 0, err
		}
	}
	return c.last, nil
}
