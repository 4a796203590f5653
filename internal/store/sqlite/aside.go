package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

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

// ApplyAside tries to apply the commits that were set aside, and removes the files of those that the database takes. No
// server may be using the directory.
func ApplyAside(ctx context.Context, dir string) (list []AsideCommit, err error) {
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
		if list[i].Refused = c.applyOnly(ctx, ops); list[i].Refused != nil {
			continue
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	return list, journal.SyncFile(dir)
}

// applyOnly applies operations, without the number of an entry.
func (c *conn) applyOnly(ctx context.Context, ops []journal.Operation) (err error) {
	if err := c.query(ctx, "BEGIN IMMEDIATE", nil, nil); err != nil {
		return err
	}
	for i := range ops {
		if err := c.do(ctx, &ops[i]); err != nil {
			return errors.Join(err, c.query(ctx, "ROLLBACK", nil, nil))
		}
	}
	return c.query(ctx, "COMMIT", nil, nil)
}
