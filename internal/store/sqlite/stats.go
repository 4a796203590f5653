package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/beckon-im/beckon/internal/store/sqlite/journal"
)

// FileStats describes the files of a database that a server uses.
type FileStats struct {
	Database, Log, Journal int64         // bytes; of the journal, with the segments kept for reuse
	Behind                 time.Duration // age of the oldest commit that is not applied to the database
	Aside                  int           // commits that were set aside
	DamagedPages           int           // known ones
}

// Files describes the files.
func (d *DB) Files() (s FileStats) {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return s // a file that was just removed; the next reading has it
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue
		}
		switch name := e.Name(); {
		case name == File:
			s.Database = info.Size()
		case name == logFile:
			s.Log = info.Size()
		case strings.HasPrefix(name, journal.Prefix), strings.HasPrefix(name, journal.SparePrefix):
			s.Journal += info.Size()
		case strings.HasPrefix(name, journal.AsidePrefix):
			s.Aside++
		}
	}
	if a := d.behind.Load(); a != nil {
		s.Behind = a.age()
	}
	if d.sums != nil {
		s.DamagedPages = len(d.sums.Bad())
	}
	return s
}

// size returns the length of a file of the directory; 0 if it is not there.
func (d *DB) size(name string) int64 {
	info, err := os.Stat(filepath.Join(d.dir, name))
	if err != nil {
		return 0
	}
	return info.Size()
}
