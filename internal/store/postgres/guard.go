package postgres

import (
	"context"
	_ "embed"
	"errors"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/beckon-im/beckon/internal/sqldb"
)

// schema describes the columns and indexes after the last migration. TestSchemaDescriptions writes and compares it.
//
//go:embed schema.txt
var schema string

const (
	firstSchema   = 3  // migrations of older versions were joined into the first one
	oldestProgram = 12 // the schema of the oldest program that may use a database of this version
)

// guard refuses databases of versions that this program may not use.
func (d *DB) guard(ctx context.Context, have int64) error {
	v := sqldb.SchemaVersions{Have: have, Want: sqldb.NewestMigration(migrationFiles()), First: firstSchema}
	if v.Have > v.Want {
		var text string
		if err := d.pool.QueryRow(ctx, "SELECT value FROM meta WHERE name = 'oldest_program'").Scan(&text); err != nil &&
			!errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		v.Oldest, _ = strconv.ParseInt(text, 10, 64) // an unknown one is 0
	}
	return v.Check()
}

// noteVersion stores oldestProgram.
func (d *DB) noteVersion(ctx context.Context) error {
	_, err := d.pool.Exec(ctx, "INSERT INTO meta (name, value) VALUES ('oldest_program', $1) ON CONFLICT (name) DO "+
		"UPDATE SET value = excluded.value", strconv.Itoa(oldestProgram))
	return err
}

// Objects describes the columns and indexes, one in each line.
func (d *DB) Objects(ctx context.Context) ([]string, error) {
	rows, err := d.pool.Query(ctx, `SELECT table_name || '.' || column_name || ' ' || data_type
		FROM information_schema.columns WHERE table_schema = current_schema() AND table_name NOT LIKE 'goose_%'
		UNION ALL SELECT 'index ' || tablename || '.' || indexname
		FROM pg_indexes WHERE schemaname = current_schema() AND tablename NOT LIKE 'goose_%'
		ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// SchemaFault describes how the schema differs from that of this program. Schemas of other versions are not compared.
func (d *DB) SchemaFault(ctx context.Context) error {
	var version int64
	if err := d.pool.QueryRow(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&version); err != nil {
		return err
	}
	if version != sqldb.NewestMigration(migrationFiles()) {
		return d.guard(ctx, version)
	}
	have, err := d.Objects(ctx)
	if err != nil {
		return err
	}
	return sqldb.SchemaFault(sqldb.MissingObjects(schema, have))
}
