package store_test

import (
	"database/sql"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/check"
	"github.com/beckon-im/beckon/internal/store/postgres"
	"github.com/beckon-im/beckon/internal/store/sqlite"
	"github.com/beckon-im/beckon/internal/store/sqlite/pagesum"
)

var describe = flag.Bool("describe", false, "write the descriptions of the schemas (schema.txt)")

// TestSchemaDescriptions compares the descriptions, to which a database is compared when it is opened, with freshly
// migrated ones. After a new migration, run it with -describe.
func TestSchemaDescriptions(t *testing.T) {
	same := func(engine string, lines []string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		file, text := filepath.Join(engine, "schema.txt"), strings.Join(lines, "\n")+"\n"
		if *describe {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := os.ReadFile(file); err != nil || string(b) != text {
			t.Errorf("%s is not the schema of the migrations: run go test ./internal/store -run Descriptions -describe", file)
		}
	}
	db, err := sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil && !*describe {
		t.Fatal(err)
	}
	lines, err := db.Objects(t.Context())
	same("sqlite", lines, err)
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	_, url := onPostgres(t)
	far, err := postgres.OpenExisting(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	lines, err = far.Objects(t.Context())
	same("postgres", lines, err)
	if err := far.Close(); err != nil {
		t.Error(err)
	}
}

// onPostgres returns a migrated database.
func onPostgres(t *testing.T) (db *pgx.Conn, url string) {
	t.Helper()
	_, url = newDatabase(t)
	opt := store.Options{Postgres: url, Log: slog.New(slog.DiscardHandler)}
	s, err := store.Open(t.Context(), opt)
	if err == nil {
		err = s.Close()
	}
	if err != nil && !*describe {
		t.Fatal(err)
	}
	if db, err = pgx.Connect(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(t.Context()) })
	return db, url
}

// TestSchemaGuard: a database of a newer version, or with another schema, is refused with the fault and a remedy. A
// database of a newer version that permits this program is opened.
func TestSchemaGuard(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	onSQLite := func(sqlText string) {
		t.Helper()
		db, err := sql.Open("sqlite", filepath.Join(dir, sqlite.File))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.ExecContext(t.Context(), sqlText); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(dir, sqlite.File+pagesum.Suffix)); err != nil { // another program wrote pages
			t.Fatal(err)
		}
	}
	far, url := onPostgres(t)
	onPG := func(sqlText string) {
		t.Helper()
		if _, err := far.Exec(t.Context(), sqlText); err != nil {
			t.Fatal(err)
		}
	}
	engines := []struct {
		name, applied string
		run           func(string)
		opt           store.Options
	}{
		{"SQLite", "1", onSQLite, store.Options{Dir: dir}},
		{"PostgreSQL", "true", onPG, store.Options{Postgres: url}},
	}
	for _, e := range engines {
		e.opt.Log = slog.New(slog.DiscardHandler)
		opens := func(want string) {
			t.Helper()
			s, err := store.Open(t.Context(), e.opt)
			if err == nil {
				err = s.Close()
			}
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v; expected %q", e.name, err, want)
			}
		}
		e.run("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, " + e.applied + ")")
		e.run("UPDATE meta SET value = '98' WHERE name = 'oldest_program'")
		opens("run the version that migrated it, or a newer one")
		e.run("UPDATE meta SET value = '12' WHERE name = 'oldest_program'")
		e.run("DROP INDEX member_admins") // a newer version may have dropped it
		opens("")
		e.run("DELETE FROM goose_db_version WHERE version_id = 99")
		opens("member_admins")
		r, err := check.Inspect(t.Context(), e.opt)
		if err != nil || len(r.Faults) != 1 || !strings.Contains(r.Faults[0], "member_admins") {
			t.Errorf("%s: the check finds %+v, %v", e.name, r, err)
		}
	}
}
