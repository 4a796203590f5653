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

// Export writes everything that a database has, as it is at one moment: the one in a data directory, or the one at
// postgres. A server may be running on it. Files that people uploaded and the keys are not in it. It returns how many
// rows that were.
func Export(ctx context.Context, dataDir, postgres string, to io.Writer) (rows int64, err error) {
	s, err := store.OpenReading(ctx, store.Options{Dir: dataDir, Postgres: postgres})
	if err != nil {
		return 0, err
	}
	rows, err = dump.Export(ctx, s, to)
	return rows, errors.Join(err, s.Close())
}

// Import fills an empty database with an export. With restored, devices begin anew with it: say so when the export is a
// backup and the house went on after it. Without, they go on where they stood. It returns how many rows that were.
func Import(ctx context.Context, dataDir, postgres string, restored bool, from io.Reader) (rows int64, err error) {
	s, err := store.Open(ctx, store.Options{Dir: dataDir, Postgres: postgres})
	if err != nil {
		return 0, err
	}
	rows, err = dump.Import(ctx, s, from, restored, chat.Found)
	return rows, errors.Join(err, s.Close())
}

// Restored tells a database that it was set back to an earlier state by other means: devices begin anew with it. No
// server may be running on it.
func Restored(ctx context.Context, dataDir, postgres string) error {
	reading, err := store.OpenReading(ctx, store.Options{Dir: dataDir, Postgres: postgres}) // it must be there
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

// Report is what Inspect found.
type Report = check.Report

// Inspect checks the database of a data directory, or the one at postgres, which servers may be using: that a file is
// sound, that every timeline is contiguous, and that every invitation agrees with its invitees.
func Inspect(ctx context.Context, dataDir, postgres string) (*Report, error) {
	return check.Inspect(ctx, store.Options{Dir: dataDir, Postgres: postgres})
}
