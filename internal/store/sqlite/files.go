package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/beckon-im/beckon/internal/store/sqlite/journal"
)

// identityFile is the file of a data directory that names its cluster. A database of another cluster, or none, in its
// place is not used.
const identityFile = "cluster"

// logFile is SQLite's write-ahead log.
const logFile = File + "-wal"

// checkFiles refuses a directory with files of different databases: a lost or exchanged database, or a damaged log.
// The directory is locked.
func checkFiles(ctx context.Context, dir string) error {
	want, err := os.ReadFile(filepath.Join(dir, identityFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	cluster := string(bytes.TrimSpace(want))
	state, err := checkLog(ctx, dir)
	if err != nil || cluster == "" || state.Cluster == cluster {
		return err
	}
	have := "belongs to cluster " + state.Cluster
	if state.Cluster == "" {
		have = "is missing or empty"
	}
	return fmt.Errorf("the database %s, and the directory was used by cluster %s (file %s): put the database back, or "+
		"restore a backup; to use the directory without it, remove %s", have, cluster, identityFile, identityFile)
}

// checkLog compares the database with and without its log, and returns the state with it. A log with an older state
// than the database is damaged, or not its own: SQLite ends it silently at the first damaged frame.
func checkLog(ctx context.Context, dir string) (with journal.State, err error) {
	path := filepath.Join(dir, File)
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return with, err
	}
	without, err := stateOf(ctx, path, "immutable=1")
	if err != nil {
		without = journal.State{} // its pages may be in the log
	}
	if info, err := os.Stat(filepath.Join(dir, logFile)); err != nil || info.Size() == 0 {
		return without, nil
	}
	with, err = stateOf(ctx, path, "mode=ro") // closing it leaves the log as it is
	fault := &LogFault{Path: filepath.Join(dir, logFile), Applied: without.Applied}
	switch {
	case err != nil:
		fault.Reason = err.Error()
	case without.Cluster != "" && with.Cluster != without.Cluster:
		fault.Reason = "it belongs to another database"
	case with.Applied < without.Applied:
		fault.Reason = fmt.Sprintf("it ends with commit %d, before what the database has", with.Applied)
	default:
		return with, nil
	}
	return with, fault
}

// LogFault is a write-ahead log of SQLite that is damaged, or of another database.
type LogFault struct {
	Path    string
	Applied uint64 // number of the last commit that the database has without it
	Reason  string
}

func (f *LogFault) Error() string {
	return fmt.Sprintf("%s is damaged: %s. Restore the file or a backup, or run beckon doctor --repair, which keeps "+
		"the log as %s%s and takes the commits after %d from the journal",
		f.Path, f.Reason, journal.DamagedPrefix, logFile, f.Applied)
}

func stateOf(ctx context.Context, path, mode string) (s journal.State, err error) {
	db, err := sql.Open("sqlite", fileURL(path)+"?"+mode)
	if err != nil {
		return s, err
	}
	s, err = journalState(ctx, db)
	return s, errors.Join(err, db.Close())
}

// writeIdentity writes the cluster's ID into the directory of its database.
func writeIdentity(dir, cluster string) error {
	path := filepath.Join(dir, identityFile)
	if have, err := os.ReadFile(path); cluster == "" || err == nil && string(bytes.TrimSpace(have)) == cluster {
		return nil
	}
	if err := os.WriteFile(path+".new", []byte(cluster+"\n"), 0o600); err != nil {
		return err
	}
	if err := journal.SyncFile(path + ".new"); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return journal.SyncFile(dir)
}
