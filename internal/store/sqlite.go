package store

import (
	"context"
	"database/sql"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/uuid"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"; docs/adr/0002 says why this one

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/world"
)

// Everything that is SQLite's alone stands in this file.

//go:embed migrations/*.sql
var migrations embed.FS

// DatabaseFile is the name of the SQLite database in the data directory.
const DatabaseFile = "beckon.db"

func (s *Store) openSQLite(ctx context.Context) error {
	if err := os.MkdirAll(s.opt.Dir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	s.dialect = world.Dialect{Begin: "BEGIN IMMEDIATE", Index: indexPhrase}
	sync := "FULL"
	if s.opt.NoSync {
		sync = "OFF"
	}
	file := filepath.Join(s.opt.Dir, DatabaseFile)
	var err error
	if s.write, err = sql.Open("sqlite", dsn(file, "synchronous("+sync+")", "wal_autocheckpoint(0)", "cache_size(-65536)")); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", dsn(file, "query_only(1)", "cache_size(-16384)")); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(1 + 2*runtime.GOMAXPROCS(0)) // one of them checkpoints
	s.read.SetMaxIdleConns(2 * runtime.GOMAXPROCS(0))
	if err := migrate(ctx, s.write); err != nil {
		return err
	}
	s.reads, err = prepareReads(ctx, s.read)
	return err
}

func dsn(file string, pragmas ...string) string {
	q := url.Values{}
	for _, p := range append([]string{"journal_mode(WAL)", "busy_timeout(10000)", "foreign_keys(0)", "temp_store(MEMORY)"}, pragmas...) {
		q.Add("_pragma", p)
	}
	return "file:" + (&url.URL{Path: file}).EscapedPath() + "?" + q.Encode()
}

func migrate(ctx context.Context, db *sql.DB) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, db, sub(migrations))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return nil
}

// loadEpoch reads the id of this database, or gives it one.
func (s *Store) loadEpoch(ctx context.Context) error {
	if _, err := s.write.ExecContext(ctx, "INSERT INTO meta (name, value) VALUES ('epoch', ?) ON CONFLICT (name) DO NOTHING", uuid.NewString()[:8]); err != nil {
		return err
	}
	return s.write.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = 'epoch'").Scan(&s.epoch)
}

func sub(fsys embed.FS) fs.FS {
	dir, err := fs.Sub(fsys, "migrations")
	if err != nil {
		panic(err) // the directory is embedded at build time
	}
	return dir
}

// indexPhrase keeps the full-text index: FTS5 finds a message by the words in it and by who may find it, each a word of its own.
func indexPhrase(p world.Phrase) []world.Statement {
	if p.Words == "" {
		return []world.Statement{
			{Text: "DELETE FROM phrase_text WHERE rowid = (SELECT id FROM phrase WHERE topic = $1 AND msg = $2)", Args: []any{p.Topic, p.Message}},
			{Text: "DELETE FROM phrase WHERE topic = $1 AND msg = $2", Args: []any{p.Topic, p.Message}},
		}
	}
	who := make([]string, len(p.Finders))
	for i, f := range p.Finders {
		who[i] = finder(f)
	}
	return []world.Statement{
		{Text: "INSERT INTO phrase (topic, msg) VALUES ($1, $2) ON CONFLICT (topic, msg) DO NOTHING", Args: []any{p.Topic, p.Message}},
		{Text: "INSERT OR REPLACE INTO phrase_text (rowid, text, who) SELECT id, $1, $2 FROM phrase WHERE topic = $3 AND msg = $4",
			Args: []any{im.SearchText(p.Words), strings.Join(who, " "), p.Topic, p.Message}},
	}
}

// finder makes one word of a topic.
func finder(topic string) string { return "x" + hex.EncodeToString([]byte(topic)) }

// qSearch finds messages by words, the newest first.
const qSearch = "SELECT id, topic, msg FROM phrase WHERE id IN (SELECT rowid FROM phrase_text WHERE phrase_text MATCH $1) AND id < $2 ORDER BY id DESC LIMIT $3"

// match is the full-text query for all words, in what one of the topics finds.
func match(words []string, topics []string) string {
	var b strings.Builder
	b.WriteString("{text} : (")
	for i, word := range words {
		if i > 0 {
			b.WriteString(" AND ")
		}
		b.WriteString(`"` + strings.ReplaceAll(strings.TrimSpace(im.SearchText(word)), `"`, `""`) + `"`)
		if len(word) > 1 { // the beginnings of a single letter are half of all words
			b.WriteByte('*')
		}
	}
	b.WriteString(") AND {who} : (")
	for i, t := range topics {
		if i > 0 {
			b.WriteString(" OR ")
		}
		b.WriteString(finder(t))
	}
	b.WriteString(")")
	return b.String()
}
