package sqlite

import (
	"database/sql"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pressly/goose/v3"
)

// TestMigrationOfHolders: the files of messages that were sent before the migration are held by them.
func TestMigrationOfHolders(t *testing.T) {
	ctx := t.Context()
	db, err := sql.Open("sqlite", dsn(filepath.Join(t.TempDir(), File), ""))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir)
	if err == nil {
		_, err = p.UpTo(ctx, 10)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range [][3]any{
		{`{"image":{"fileID":"f-1","thumbID":"t-1"},"customData":"\u0000"}`, "m1", 0},
		{`{"video":{"fileID":"f-2"}}`, "m2", 0},
		{`{"revoked":true}`, "m3", 1},
		{`{"text":"\"fileID\":\"f-3\""}`, "m4", 0},
		{`{"file":{"fileID":"f-4"}}`, "", 0},
	} {
		if _, err := db.ExecContext(ctx, "INSERT INTO record (topic, seq, at, device, listen, body, msg, flags) VALUES "+
			"('user:a', ?, 1, '', '', ?, ?, ?)", i+1, r[0], r[1], r[2]); err != nil {
			t.Fatal(err)
		}
	}
	if err := migrate(ctx, db); err != nil {
		t.Fatal(err)
	}
	rows, err := db.QueryContext(ctx, "SELECT file_id || ' ' || topic || ' ' || msg || ' ' || until FROM file_holder "+
		"ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		got = append(got, s)
	}
	if want := []string{"f-1 user:a m1 0", "f-2 user:a m2 0", "t-1 user:a m1 0"}; !slices.Equal(got, want) ||
		rows.Err() != nil {
		t.Errorf("%q are held, %v", got, rows.Err())
	}
}
