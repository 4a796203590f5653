package sqlite

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"strconv"
	"strings"

	"github.com/beckon-im/beckon/internal/sqldb"
)

// schema describes the columns and indexes after the last migration. TestSchemaDescriptions writes and compares it.
//
//go:embed schema.txt
var schema string

// oldestProgram is the schema of the oldest program that may use a database of this version. Programs before 14 do not
// keep the checksums of pages, and do not read this version's journal.
const oldestProgram = 14

// guard refuses databases of versions that this program may not use.
func guard(ctx context.Context, db *sql.DB, have int64) error {
	v := sqldb.SchemaVersions{Have: have, Want: sqldb.NewestMigration(migrationFiles())}
	if v.Have <= v.Want {
		return nil
	}
	var text string
	if err := db.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = 'oldest_program'").Scan(&text); err != nil &&
		!errors.Is(err, sql.ErrNoRows) {
		return err
	}
	v.Oldest, _ = strconv.ParseInt(text, 10, 64) // an unknown one is 0
	return v.Check()
}

// noteVersion stores oldestProgram.
func noteVersion(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, "INSERT INTO meta (name, value) VALUES ('oldest_program', $1) ON CONFLICT (name) DO "+
		"UPDATE SET value = excluded.value", strconv.Itoa(oldestProgram))
	return err
}

// Objects describes the columns and indexes, one in each line.
func (d *DB) Objects(ctx context.Context) (lines []string, err error) {
	err = d.run(ctx, nil, `SELECT m.name || '.' || c.name || ' ' || c.type ||
		CASE c.pk WHEN 0 THEN '' ELSE ' key ' || c.pk END
		FROM sqlite_master m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE 'goose_%' AND m.name NOT LIKE 'phrase%'
		UNION ALL SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL
		ORDER BY 1`,
		func(row sqldb.Row) error {
			var line string
			err := row.Scan(&line)
			lines = append(lines, strings.Join(strings.Fields(line), " "))
			return err
		}, nil)
	return lines, err
}

// SchemaFault describes how the schema differs from that of this program. Schemas of other versions are not compared.
func (d *DB) SchemaFault(ctx context.Context) error {
	var version int64
	if err := d.run(ctx, nil, "SELECT max(version_id) FROM goose_db_version",
		func(row sqldb.Row) error { return row.Scan(&version) }, nil); err != nil {
		return err
	}
	if version != sqldb.NewestMigration(migrationFiles()) {
		return guard(ctx, d.read, version)
	}
	have, err := d.Objects(ctx)
	if err != nil {
		return err
	}
	return sqldb.SchemaFault(sqldb.MissingObjects(schema, have))
}
