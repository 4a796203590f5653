// Package database prepares databases for measurements.
package database

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/storetest/pgtest"
)

// Database is a database of its own for a measurement.
type Database struct {
	Options  store.Options  // for store.Open
	Postgres *pgtest.Server // nil on SQLite
}

// New returns an empty database on an engine: sqlite or postgres.
func New(ctx context.Context, engine string) (*Database, error) {
	if engine != "sqlite" && engine != "postgres" {
		return nil, fmt.Errorf("the engine %q must be sqlite or postgres", engine)
	}
	dir, err := os.MkdirTemp("", "beckon-database-")
	if err != nil {
		return nil, err
	}
	d := &Database{Options: store.Options{Dir: dir}}
	if engine == "postgres" {
		if d.Postgres, err = pgtest.Start(ctx, true); err != nil {
			return nil, errors.Join(err, d.Close())
		}
		d.Options.Postgres = d.Postgres.URL("postgres")
	}
	return d, nil
}

// Close removes the database.
func (d *Database) Close() (err error) {
	if d.Postgres != nil {
		err = d.Postgres.Close()
	}
	return errors.Join(err, os.RemoveAll(d.Options.Dir))
}

// Run runs a store. stop ends and closes it.
func Run(ctx context.Context, s *store.Store) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() error {
		cancel()
		return errors.Join(<-done, s.Close())
	}
}
