package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/storetest/pgtest"
)

//go:embed sqlite.sql
var sqliteFigures string

//go:embed postgres.sql
var postgresFigures string

//go:embed tables.sql
var postgresTables string

// engine is the database of a simulation.
type engine interface {
	options() store.Options
	setTime(now int64) error
	measure(ctx context.Context, s *store.Store, p *point) error
	report(ctx context.Context, s *store.Store) error
	close() error
}

func newEngine(ctx context.Context, o *options, dir string, now int64) (engine, error) {
	switch o.engine {
	case "sqlite":
		return sqlite{dir}, nil
	case "postgres":
		return newPostgres(ctx, o, dir, now)
	}
	return nil, fmt.Errorf("there is no engine %q", o.engine)
}

// one reads the only row of a query, which may take minutes.
func one(ctx context.Context, s *store.Store, text string, into ...any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	return s.View(ctx, func(r sqldb.Reader) error {
		return r.Read(ctx, text, func(row sqldb.Row) error { return row.Scan(into...) })
	})
}

// sqlite is a database in a directory.
type sqlite struct{ dir string }

func (e sqlite) options() store.Options                   { return store.Options{Dir: e.dir} }
func (sqlite) setTime(int64) error                        { return nil }
func (sqlite) report(context.Context, *store.Store) error { return nil }
func (sqlite) close() error                               { return nil }
func (sqlite) measure(ctx context.Context, s *store.Store, p *point) error {
	files, _ := s.Files()
	p.Database, p.Log, p.Journal = files.Database, files.Log, files.Journal
	return one(ctx, s, sqliteFigures, &p.Records, &p.Invitations, &p.Used)
}

// postgres is a server of its own. Its clock is a file; its autovacuum runs in real time.
type postgres struct {
	*pgtest.Server
	url   string
	clock *os.File
}

const databaseName = "retention"

func newPostgres(ctx context.Context, o *options, dir string, now int64) (e *postgres, err error) {
	e = &postgres{}
	if err := os.Chmod(dir, 0o755); err != nil { // the server is another user
		return nil, err
	}
	if e.clock, err = os.OpenFile(filepath.Join(dir, "clock"), os.O_CREATE|os.O_WRONLY, 0o644); err != nil {
		return nil, err
	}
	if err = e.setTime(now); err == nil {
		e.Server, err = pgtest.Start(ctx, true)
	}
	if err != nil {
		return nil, errors.Join(err, e.clock.Close())
	}
	if err := e.prepare(ctx, o.naptime); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

// prepare makes the database, with a function of the clock that is found before that of pg_catalog.
func (e *postgres) prepare(ctx context.Context, naptime string) (err error) {
	if e.url, err = e.Database(ctx, databaseName); err != nil {
		return err
	}
	if naptime != "" {
		if err := e.Set(ctx, "autovacuum_naptime", naptime); err != nil {
			return err
		}
	}
	return e.SQL(ctx, databaseName, fmt.Sprintf("CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql "+
		"VOLATILE AS $$ SELECT to_timestamp(pg_read_file('%s')::bigint / 1000.0) $$; ALTER DATABASE %s SET search_path = "+
		"public, pg_catalog", e.clock.Name(), databaseName))
}

func (e *postgres) options() store.Options { return store.Options{Postgres: e.url} }

// setTime overwrites the 13 digits of the time.
func (e *postgres) setTime(now int64) error {
	_, err := e.clock.WriteAt(fmt.Appendf(nil, "%013d", now), 0)
	return err
}

func (e *postgres) measure(ctx context.Context, s *store.Store, p *point) (err error) {
	if p.ServerCPU, err = e.CPU(); err != nil {
		return err
	}
	return one(ctx, s, postgresFigures, &p.Records, &p.Invitations, &p.Database, &p.Log, &p.Written, &p.Dead, &p.Vacuums)
}

// report prints the largest tables.
func (e *postgres) report(ctx context.Context, s *store.Store) error {
	fmt.Print("\n| table | size | indexes | live rows | dead rows | autovacuums |\n|---|---|---|---|---|---|\n")
	return s.View(ctx, func(r sqldb.Reader) error {
		return r.Read(ctx, postgresTables, func(row sqldb.Row) error {
			var name string
			var table, indexes, live, dead, vacuums int64
			err := row.Scan(&name, &table, &indexes, &live, &dead, &vacuums)
			fmt.Printf("| `%s` | %d MB | %d MB | %d | %d | %d |\n", name, table/1e6, indexes/1e6, live, dead, vacuums)
			return err
		})
	})
}

func (e *postgres) close() error { return errors.Join(e.Server.Close(), e.clock.Close()) }
