package store

import (
	"context"
	"errors"
	"os"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store/postgres"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/store/sqlite"
)

// epochName is the name of the epoch in the table of the identity.
const epochName = "epoch"

func newEpoch() string { return uuid.NewString()[:8] }

// OpenReading opens an existing database for reading; servers may be using it.
func OpenReading(ctx context.Context, opt Options) (*Store, error) {
	opt.fill()
	s := &Store{opt: opt}
	var err error
	if opt.Postgres == "" {
		s.db, err = sqlite.OpenExisting(ctx, opt.Dir)
	} else {
		s.db, err = postgres.OpenExisting(ctx, opt.Postgres)
	}
	if err != nil {
		return nil, err
	}
	err = s.db.Read(ctx, queries.Text("Meta"), func(row sqldb.Row) error { return row.Scan(&s.epoch) }, epochName)
	if err == nil && s.epoch == "" {
		err = errors.New("the database was not created by Beckon")
	}
	if err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

// OpenSnapshot opens a database for a long reading. While a server uses an SQLite database, it reads a copy beside it:
// a long reading of the database itself would make its log grow.
func OpenSnapshot(ctx context.Context, opt Options) (*Store, error) {
	if opt.Postgres != "" || !sqlite.InUse(ctx, opt.Dir) {
		return OpenReading(ctx, opt)
	}
	dir, err := os.MkdirTemp(opt.Dir, sqlite.ExportPrefix)
	if err != nil {
		return nil, err
	}
	err = sqlite.Backup(ctx, opt.Dir, dir)
	var s *Store
	if err == nil {
		opt.Dir = dir
		s, err = OpenReading(ctx, opt)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s.temporary = dir
	return s, nil
}

// Remember returns the value of a name in the database: the first value that was given.
func (s *Store) Remember(ctx context.Context, name, value string) (string, error) {
	err := s.Once(ctx, func(sess *sqldb.Session) error {
		if err := sess.Exec(ctx, queries.Text("MetaPut"), name, value); err != nil {
			return err
		}
		return sess.Query(ctx, queries.Text("Meta"), []any{name}, func(row sqldb.Row) error { return row.Scan(&value) })
	})
	return value, err
}

// Restored gives the database a new epoch, after it was restored to an earlier state: the positions of devices are not
// valid in it, and they load snapshots. No server may be running on it.
func (s *Store) Restored(ctx context.Context) error {
	return s.Once(ctx, func(sess *sqldb.Session) error {
		s.epoch = newEpoch()
		return SetEpoch(ctx, sess, s.epoch)
	})
}

// Once runs f in a transaction of its own. Run must not be running on SQLite, which has one writer.
func (s *Store) Once(ctx context.Context, f func(*sqldb.Session) error) error {
	w, err := s.db.OfflineWriter(ctx)
	if err != nil {
		return err
	}
	sess, err := w.Begin(ctx)
	if err == nil {
		if err = f(sess); err == nil {
			err = w.Commit(ctx)
		} else {
			err = errors.Join(err, w.Rollback(ctx))
		}
	}
	return errors.Join(err, w.Close())
}

// OfflineWriter opens a connection that commits while Run is not running.
func (s *Store) OfflineWriter(ctx context.Context) (sqldb.Writer, error) {
	return s.db.OfflineWriter(ctx)
}

// Damage lists the damage of the database itself.
func (s *Store) Damage(ctx context.Context) ([]string, error) { return s.db.Damage(ctx) }

// SchemaFault describes how the schema differs from that of this program.
func (s *Store) SchemaFault(ctx context.Context) error { return s.db.SchemaFault(ctx) }

// MaintainOffline maintains a database on which Run is not running, until ctx ends.
func (s *Store) MaintainOffline(ctx context.Context) error { return s.db.Run(ctx) }

// SetEpoch makes an epoch the identity of the database.
func SetEpoch(ctx context.Context, sess *sqldb.Session, epoch string) error {
	return sess.Exec(ctx, queries.Text("MetaSet"), epoch, epochName)
}

// ErrIncomplete is the error of a database with an interrupted import.
var ErrIncomplete = errors.New("an import into this database was interrupted: create a new database and import again")

// Importing is the name of the value that the database keeps during an import.
const Importing = "importing"

// Incomplete reports whether an import into this database was interrupted.
func (s *Store) Incomplete(ctx context.Context) (found bool, err error) {
	err = s.db.Read(ctx, queries.Text("Meta"), func(sqldb.Row) error { found = true; return nil }, Importing)
	return found, err
}

// checkComplete returns an error for a database with an interrupted import.
func (s *Store) checkComplete(ctx context.Context) error {
	found, err := s.Incomplete(ctx)
	if err == nil && found {
		err = ErrIncomplete
	}
	return err
}
