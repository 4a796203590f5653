package beckon

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/beckon-im/beckon/internal/chat"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/check"
	"github.com/beckon-im/beckon/internal/store/datadir"
	"github.com/beckon-im/beckon/internal/store/dump"
)

// Export writes a consistent snapshot of a database, in dataDir or at postgres, and returns the number of rows. Servers
// may be running on the database. Uploaded files and keys are not included.
func Export(ctx context.Context, dataDir, postgres string, to io.Writer) (rows int64, err error) {
	s, err := store.OpenSnapshot(ctx, store.Options{Dir: dataDir, Postgres: postgres})
	if err != nil {
		return 0, err
	}
	rows, err = dump.Export(ctx, s, to)
	return rows, errors.Join(err, s.Close())
}

// Import fills an empty database with an export and returns the number of rows. Set restored if the export is a backup
// and the cluster continued after it: devices then restart from a snapshot. Otherwise they resume at their positions.
func Import(ctx context.Context, dataDir, postgres string, restored bool, from io.Reader) (rows int64, err error) {
	s, err := store.Open(ctx, store.Options{Dir: dataDir, Postgres: postgres})
	if err != nil {
		return 0, err
	}
	rows, err = dump.Import(ctx, s, from, restored, chat.Found)
	return rows, errors.Join(err, s.Close())
}

// Restored makes devices restart from a snapshot, after a database was set back to an earlier state by other means. No
// server may be running on it.
func Restored(ctx context.Context, dataDir, postgres string) error {
	reading, err := store.OpenReading(ctx, store.Options{Dir: dataDir, Postgres: postgres}) // it must exist
	if err != nil {
		return err
	}
	if err := reading.Close(); err != nil {
		return err
	}
	s, err := store.Open(ctx, store.Options{Dir: dataDir, Postgres: postgres})
	if err != nil {
		return err
	}
	return errors.Join(s.Restored(ctx), s.Close())
}

// Report is the result of Inspect.
type Report = check.Report

// Inspect checks the consistency of a database, in dataDir or at postgres: that the file is sound, that every timeline
// is contiguous, and that every invitation agrees with its invitees. Servers may be running on it.
func Inspect(ctx context.Context, dataDir, postgres string) (*Report, error) {
	return check.Inspect(ctx, store.Options{Dir: dataDir, Postgres: postgres})
}

// Repair is the result of RepairJournal.
type Repair = datadir.Repair

// RepairJournal goes on after damage of the journal, or of SQLite's log, in a data directory that no server uses. When
// commits are lost, devices restart from a snapshot.
func RepairJournal(ctx context.Context, dataDir string) (*Repair, error) {
	return datadir.RepairJournal(ctx, dataDir)
}

// AsideCommit is a commit that SQLite refused when it was applied, a fault of the program.
type AsideCommit = datadir.AsideCommit

// Aside lists the commits of a data directory that were set aside. With apply it tries to apply them; without force
// only those that add rows, because later commits may have changed the others. No server may be using the directory
// then.
func Aside(ctx context.Context, dataDir string, apply, force bool) ([]AsideCommit, error) {
	if apply {
		return datadir.ApplyAside(ctx, dataDir, force)
	}
	return datadir.Aside(dataDir)
}

// Compact rewrites the database of a data directory without free space. No server may be using the directory. progress
// gets the bytes written so far.
func Compact(ctx context.Context, dataDir string, progress func(written int64)) error {
	return datadir.Compact(ctx, dataDir, progress)
}

// Backup copies a data directory, which a server may be using, into an empty directory: the database with all commits
// that were acknowledged before the call, the keys and the uploaded files. The copy is a data directory.
func Backup(ctx context.Context, dataDir, to string) error {
	if err := datadir.Backup(ctx, dataDir, to); err != nil {
		return err
	}
	// the database comes first: files that are uploaded later are in no message of it
	for _, name := range []string{KeysFile, filesDir} {
		if err := copyTree(ctx, filepath.Join(dataDir, name), filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return nil
}

// copyTree copies a file, or a directory with its files; one that is missing is left out.
func copyTree(ctx context.Context, from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // deleted meanwhile
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		target := to + strings.TrimPrefix(path, from)
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		return copyFile(path, target)
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
