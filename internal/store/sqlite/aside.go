package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store/sqlite/journal"
)

// AsideCommit is a commit that the database refused when it was applied.
type AsideCommit struct {
	Name       string   // of its file
	Operations []string // statements with their arguments
	Refused    error    // of ApplyAside; nil = the database has it now
}

// Aside lists the commits of a directory that were set aside.
func Aside(dir string) (list []AsideCommit, err error) {
	paths, err := journal.Aside(dir)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		ops, err := journal.ReadAside(path)
		if err != nil {
			return nil, err
		}
		c := AsideCommit{Name: filepath.Base(path)}
		for _, op := range ops {
			c.Operations = append(c.Operations, fmt.Sprintf("%s %q", op.Text, op.Values))
		}
		list = append(list, c)
	}
	return list, nil
}

// ApplyAside tries to apply the commits that were set aside, and removes the files of those that the database takes.
// Without force it applies only new rows: later commits may have changed the others. No server may be using the
// directory.
func ApplyAside(ctx context.Context, dir string, force bool) (list []AsideCommit, err error) {
	if list, err = Aside(dir); err != nil || len(list) == 0 {
		return list, err
	}
	d, err := openOffline(ctx, dir)
	if err != nil {
		return nil, err
	}
	raw, err := d.write.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	c := newConn(d, raw)
	defer func() { err = errors.Join(err, c.close(), d.Close()) }()
	for i := range list {
		path := filepath.Join(dir, list[i].Name)
		ops, err := journal.ReadAside(path)
		if err != nil {
			return nil, err
		}
		if list[i].Refused = c.applyOnly(ctx, ops, force); list[i].Refused != nil {
			continue
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	return list, journal.SyncFile(dir)
}

// applyOnly applies operations, without the number of an entry.
func (c *conn) applyOnly(ctx context.Context, ops []journal.Operation, force bool) (err error) {
	if err := c.query(ctx, "BEGIN IMMEDIATE", nil, nil); err != nil {
		return err
	}
	for i := range ops {
		if !force {
			err = c.onlyNew(ctx, &ops[i])
		}
		if err == nil {
			err = c.do(ctx, &ops[i])
		}
		if err != nil {
			return errors.Join(err, c.query(ctx, "ROLLBACK", nil, nil))
		}
	}
	return c.query(ctx, "COMMIT", nil, nil)
}

// onlyNew returns an error for an operation that changes rows, which later commits may have changed too.
func (c *conn) onlyNew(ctx context.Context, op *journal.Operation) error {
	shape := look(op.Text)
	if !shape.rows || op.Width == 0 {
		return fmt.Errorf("%.60s may set back what later commits have changed", op.Text)
	}
	if shape.keeps || shape.key == 0 {
		return nil
	}
	head, _, _ := strings.Cut(strings.TrimPrefix(op.Text, "INSERT INTO "), ")")
	table, columns, _ := strings.Cut(head, " (")
	where := strings.Split(columns, ",")[:shape.key]
	for i := range where {
		where[i] = strings.TrimSpace(where[i]) + " = ?"
	}
	query := "SELECT 1 FROM " + table + " WHERE " + strings.Join(where, " AND ")
	for row := range slices.Chunk(op.Values, op.Width) {
		exists := false
		if err := c.query(ctx, query, row[:shape.key], func(sqldb.Row) error { exists = true; return nil }); err != nil {
			return err
		}
		if exists {
			return fmt.Errorf("the row %q of %s exists, and later commits may have changed it", row[:shape.key], table)
		}
	}
	return nil
}
