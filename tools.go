package beckon

import (
	"context"
	"errors"
	"io"

	"github.com/beckon-im/beckon/internal/chat"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/check"
	"github.com/beckon-im/beckon/internal/store/dump"
)

// Export writes a consistent snapshot of a database, in dataDir or at postgres, and returns the number of rows. Servers
// may be running on the database. Uploaded files and keys are not included.
func Export(ctx context.Context, dataDir, postgres string, to io.Writer) (rows int64, err error) {
	s, err := store.OpenReading(ctx, store.Options{Dir: dataDir, Postgres: postgres})
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
