// Package datadir repairs, copies and compacts data directories with an SQLite database.
//
// It does not change a directory that a server is using.
package datadir

import (
	"context"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/sqlite"
)

// Repair is the result of RepairJournal.
type Repair = sqlite.Repair

// AsideCommit is a commit that SQLite refused when it was applied.
type AsideCommit = sqlite.AsideCommit

// RepairJournal goes on after damage of the journal, or of SQLite's log, in a directory that no server uses. When
// commits are lost, the database gets a new epoch, so that devices load snapshots.
func RepairJournal(ctx context.Context, dir string) (*Repair, error) {
	r, err := sqlite.RepairJournal(ctx, dir)
	if err != nil || r.Lost == "" {
		return r, err
	}
	s, err := store.Open(ctx, store.Options{Dir: dir})
	if err != nil {
		return r, err
	}
	err = s.Restored(ctx)
	if closing := s.Close(); err == nil {
		err = closing
	}
	return r, err
}

// Aside lists the commits that were set aside.
func Aside(dir string) ([]AsideCommit, error) { return sqlite.Aside(dir) }

// ApplyAside tries to apply the commits that were set aside; without force only new rows. No server may be using the
// directory.
func ApplyAside(ctx context.Context, dir string, force bool) ([]AsideCommit, error) {
	return sqlite.ApplyAside(ctx, dir, force)
}

// Backup copies the database of a directory, which a server may be using, into another one.
func Backup(ctx context.Context, dir, to string) error { return sqlite.Backup(ctx, dir, to) }

// Compact rewrites the database of a directory that no server uses.
func Compact(ctx context.Context, dir string, progress func(written int64)) error {
	return sqlite.Compact(ctx, dir, progress)
}
