// Package sqlite implements the engine of SQLite: opening, the writer with its journal, checkpoints, the search index.
//
// It does not know the meaning of rows.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite" // it registers "sqlite"; see docs/adr/0002

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store/sqlite/journal"
	"github.com/beckon-im/beckon/internal/store/sqlite/pagesum"
)

//go:embed migrations/*.sql
var migrations embed.FS

// File is the name of the database in the data directory.
const File = "beckon.db"

// Options configures a database. Reads lists queries to prepare.
type Options struct {
	Dir    string
	NoSync bool // skips the fsync of each commit
	// CacheBytes limits the page caches of all connections together. Default: 64 MiB for the writer and 16 MiB for each
	// reader.
	CacheBytes int64
	Reads      []string
	Log        *slog.Logger
}

// DB is a database in a file.
type DB struct {
	write      *sql.DB
	read       *sql.DB
	lock       *lock // nil = opened for reading
	stmts      map[string]*sql.Stmt
	log        *slog.Logger
	longLog    atomic.Bool
	dir        string
	noSync     bool
	broken     *brokenDisk
	sums       *pagesum.Sums // nil = pages are not verified
	unverified bool          // Run verifies the pages
	durable    atomic.Uint64 // number of the last journal entry that the synced database has
	journal    atomic.Pointer[journal.Journal]
	rotate     atomic.Bool             // the next commit begins a new segment of the journal
	behind     atomic.Pointer[applier] // readers wait for it; nil = no journalWriter is open
}

// Open opens or creates the database of a directory and brings its schema up to date.
func Open(ctx context.Context, opt Options) (*DB, error) {
	if err := os.MkdirAll(opt.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	d := &DB{log: opt.Log, dir: opt.Dir, noSync: opt.NoSync, stmts: map[string]*sql.Stmt{}, broken: newBrokenDisk()}
	file := filepath.Join(opt.Dir, File)
	var err error
	if d.lock, err = hold(ctx, opt.Dir, time.Second); err != nil {
		return nil, err
	}
	if err = checkFiles(ctx, opt.Dir); err == nil {
		err = errors.Join(removeLeftovers(opt.Dir), create(file))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the data directory %s: %w", opt.Dir, err), d.lock.Close())
	}
	if err = d.connect(ctx, file, opt.CacheBytes); err != nil {
		return nil, errors.Join(err, d.lock.Close())
	}
	if err = d.ready(ctx, append(opt.Reads, qSearch)); err != nil {
		return nil, errors.Join(fmt.Errorf("the database in %s: %w", opt.Dir, d.explain(err)), d.Close())
	}
	return d, nil
}

// connect opens the pools of connections.
func (d *DB) connect(ctx context.Context, file string, cacheBytes int64) error {
	vfs, err := d.openSums(ctx, file)
	if err != nil {
		return err
	}
	readers := 2 + 2*runtime.GOMAXPROCS(0) // one runs checkpoints, and one is the writer's
	writeCache, readCache := caches(cacheBytes, readers)
	pragmas := []string{"synchronous(" + d.sync() + ")", "wal_autocheckpoint(0)", "secure_delete(1)",
		fmt.Sprintf("journal_size_limit(%d)", logLimit), writeCache}
	if d.size(File) == 0 { // later, it would need a new database
		pragmas = append([]string{fmt.Sprintf("auto_vacuum(%d)", incrementalVacuum)}, pragmas...)
	}
	if d.write, err = sql.Open("sqlite", dsn(file, vfs, pragmas...)); err != nil {
		return err
	}
	d.write.SetMaxOpenConns(1)
	if d.read, err = sql.Open("sqlite", dsn(file, vfs, "query_only(1)", readCache)); err != nil {
		return errors.Join(err, d.write.Close())
	}
	d.read.SetMaxOpenConns(readers)
	d.read.SetMaxIdleConns(readers - 2)
	return nil
}

// ready brings an opened database up to date.
func (d *DB) ready(ctx context.Context, reads []string) error {
	if err := d.recover(ctx); err != nil { // before migrations: the entries are for the previous schema
		return err
	}
	if err := d.verifyPages(ctx); err != nil {
		return err
	}
	if err := migrate(ctx, d.write); err != nil {
		return err
	}
	if err := d.SchemaFault(ctx); err != nil {
		return err
	}
	return d.prepare(ctx, reads)
}

// create creates an empty file: SQLite would create it readable for others.
func create(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// caches returns the settings of the page caches of the writer and of each reader, in KiB: the writer gets two fifths
// of the limit.
func caches(limit int64, readers int) (writer, reader string) {
	w, r := int64(64<<20), int64(16<<20)
	if limit > 0 {
		w, r = min(w, limit*2/5), min(r, limit*3/5/int64(readers))
	}
	return fmt.Sprintf("cache_size(-%d)", w>>10), fmt.Sprintf("cache_size(-%d)", r>>10)
}

// dsn returns the address of a database with a VFS; empty = the default one.
func dsn(file, vfs string, pragmas ...string) string {
	q := url.Values{}
	if vfs != "" {
		q.Set("vfs", vfs)
	}
	for _, p := range append(pragmas, "journal_mode(WAL)", "busy_timeout(10000)", "foreign_keys(0)",
		"temp_store(MEMORY)") {
		q.Add("_pragma", p)
	}
	return fileURL(file) + "?" + q.Encode()
}

// readOnly is the parameter of connections that other programs than the server open: they must not move SQLite's log to
// the database when the server has ended meanwhile, because they do not keep the checksums of pages.
const readOnly = "?mode=ro&_pragma=busy_timeout(10000)&_pragma=temp_store(MEMORY)"

func fileURL(file string) string {
	keepLocks()
	return "file:" + (&url.URL{Path: file}).EscapedPath()
}

// keepLocks makes SQLite's locks last when another part of the process opens and closes a database's file, as the
// verification of pages does. Where the kernel has no such locks, SQLite goes on with the others.
var keepLocks = sync.OnceFunc(func() { _, _ = driver.OFDLocking(true) })

// migrationFiles returns the directory of the migrations.
func migrationFiles() fs.FS {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the name is valid
	}
	return dir
}

func migrate(ctx context.Context, db *sql.DB) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, db, migrationFiles())
	if err != nil {
		return err
	}
	have, _, err := p.GetVersions(ctx)
	if err == nil {
		err = guard(ctx, db, have)
	}
	if err != nil {
		return err
	}
	done, err := p.Up(ctx)
	if err == nil && len(done) > 0 {
		err = noteVersion(ctx, db)
	}
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return nil
}

// prepare prepares the reads while the database is opened: preparing in a transaction needs a second connection, and
// many such transactions could exhaust the pool and block.
func (d *DB) prepare(ctx context.Context, reads []string) error {
	for _, q := range reads {
		st, err := d.read.PrepareContext(ctx, q)
		if err != nil {
			return fmt.Errorf("prepare %s: %w", q, err)
		}
		d.stmts[q] = st
	}
	return nil
}

// Writers returns 1: SQLite has one writer at a time.
func (d *DB) Writers() int { return 1 }

// Latest returns the time of the latest records.
func (d *DB) Latest(ctx context.Context) (at int64, err error) {
	err = d.Read(ctx, "SELECT coalesce(max(at), 0) FROM (SELECT at FROM record ORDER BY rowid DESC LIMIT 100)",
		func(row sqldb.Row) error { return row.Scan(&at) })
	return at, err
}

// Classify returns Permanent, since an error of a local file repeats, except while the database is behind its journal.
func (d *DB) Classify(err error) sqldb.ErrorClass {
	if errors.Is(err, errBehind) {
		return sqldb.Unavailable
	}
	return sqldb.Permanent
}

// waitApplied waits until all commits are applied.
func (d *DB) waitApplied(ctx context.Context) error {
	if a := d.behind.Load(); a != nil {
		return a.waitAll(ctx)
	}
	return nil
}

// Read runs a query that sees all commits before it.
func (d *DB) Read(ctx context.Context, query string, scan func(sqldb.Row) error, args ...any) error {
	if err := d.waitApplied(ctx); err != nil {
		return err
	}
	return d.run(ctx, nil, query, scan, args)
}

// ReadIn runs a template for any number of keys.
func (d *DB) ReadIn(ctx context.Context, template string, keys []string, scan func(sqldb.Row) error) error {
	if err := d.waitApplied(ctx); err != nil {
		return err
	}
	return d.runIn(ctx, nil, template, keys, scan)
}

func (d *DB) runIn(ctx context.Context, tx *sql.Tx, template string, keys []string, scan func(sqldb.Row) error) error {
	for page := range slices.Chunk(keys, chunk) {
		values := make([]any, len(page))
		for i, k := range page {
			values[i] = k
		}
		for len(values) > 0 {
			text, args, rest := texts{}.fill(template, 1, values)
			if err := d.run(ctx, tx, text, scan, args); err != nil {
				return err
			}
			values = rest
		}
	}
	return nil
}

// Shared returns false: one server at a time uses a file.
func (d *DB) Shared() bool { return false }

// View runs f with a reader of one snapshot.
func (d *DB) View(ctx context.Context, f func(sqldb.Reader) error) error {
	if err := d.waitApplied(ctx); err != nil {
		return err
	}
	tx, err := d.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	return f(view{d, tx})
}

// ReadAll runs queries in one snapshot.
func (d *DB) ReadAll(ctx context.Context, list []sqldb.Query) error {
	return d.View(ctx, func(r sqldb.Reader) error {
		for _, q := range list {
			if err := r.Read(ctx, q.Text, q.Scan, q.Args...); err != nil {
				return err
			}
		}
		return nil
	})
}

type view struct {
	db *DB
	tx *sql.Tx
}

func (m view) Read(ctx context.Context, query string, scan func(sqldb.Row) error, args ...any) error {
	return m.db.run(ctx, m.tx, query, scan, args)
}

func (m view) ReadIn(ctx context.Context, template string, keys []string, scan func(sqldb.Row) error) error {
	return m.db.runIn(ctx, m.tx, template, keys, scan)
}

func (d *DB) run(ctx context.Context, tx *sql.Tx, query string, scan func(sqldb.Row) error, args []any) error {
	st, prepared := d.stmts[query]
	var rows *sql.Rows
	var err error
	switch {
	case prepared && tx != nil:
		rows, err = tx.StmtContext(ctx, st).QueryContext(ctx, args...)
	case prepared:
		rows, err = st.QueryContext(ctx, args...)
	case tx != nil:
		rows, err = tx.QueryContext(ctx, query, args...)
	default:
		rows, err = d.read.QueryContext(ctx, query, args...)
	}
	if err != nil {
		return err
	}
	return drain(rows, scan)
}

// drain scans all rows, or until ErrStopScan.
func drain(rows *sql.Rows, scan func(sqldb.Row) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			if errors.Is(err, sqldb.ErrStopScan) {
				return nil
			}
			return err
		}
	}
	return rows.Err()
}

// Close releases the file.
func (d *DB) Close() error {
	if err := d.broken.err(); err != nil {
		return err // closing would run a checkpoint, and remove the log that the next start needs
	}
	err := errors.Join(d.read.Close(), d.write.Close())
	if d.sums != nil {
		err = errors.Join(err, d.sums.Close())
	}
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	return err
}
