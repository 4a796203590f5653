package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/beckon-im/beckon/internal/sqldb"
)

const (
	mergePages = 500    // of the search index that one commit rewrites
	maxMerges  = 20_000 // 40 GB
	purgeTries = 60     // to truncate the log, which an export or a backup may be reading
	purgeAgain = time.Second
)

// qMerge rewrites pages of the search index without deleted words; a negative number restarts the merge.
const qMerge = "INSERT INTO phrase_text (phrase_text, rank) VALUES ('merge', $1)"

// Purge removes content that was deleted from rows before from all files of the database: its search index, SQLite's
// log and the journal. exec runs a statement in a commit of the server.
func (d *DB) Purge(ctx context.Context, exec func(context.Context, sqldb.Statement) error) error {
	if err := d.purgeWords(ctx, exec); err != nil {
		return err
	}
	j := d.journal.Load()
	if j == nil {
		return nil
	}
	j.Reuse(false) // retired segments have the content
	defer j.Reuse(true)
	d.rotate.Store(true)
	if err := exec(ctx, sqldb.Statement{Text: "UPDATE meta SET value = value WHERE name = 'journal_in_use'"}); err != nil {
		return err
	}
	if err := d.truncateLog(ctx); err != nil {
		return err
	}
	return errors.Join(j.Retire(d.durable.Load()), j.RemoveSpare())
}

// purgeWords merges the search index step by step, which removes deleted words.
func (d *DB) purgeWords(ctx context.Context, exec func(context.Context, sqldb.Statement) error) error {
	structure := func() (s string, err error) {
		err = d.Read(ctx, "SELECT hex(block) FROM phrase_text_data WHERE id = 10",
			func(row sqldb.Row) error { return row.Scan(&s) })
		return s, err
	}
	before, err := structure()
	for step := 0; err == nil && step < maxMerges; step++ {
		pages := mergePages
		if step == 0 {
			pages = -mergePages
		}
		if err := exec(ctx, sqldb.Statement{Text: qMerge, Args: []any{pages}}); err != nil {
			return err
		}
		after, err := structure()
		if err != nil || after == before {
			return err
		}
		before = after
	}
	return err
}

// truncateLog moves SQLite's log to the database, and empties it.
func (d *DB) truncateLog(ctx context.Context) error {
	if err := d.waitApplied(ctx); err != nil {
		return err
	}
	conn, err := d.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "PRAGMA query_only = 0; PRAGMA busy_timeout = 100"); err != nil {
		return err
	}
	defer func() { // the pool gets the connection back
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA query_only = 1; PRAGMA busy_timeout = 10000")
	}()
	for range purgeTries {
		done, err := d.checkpoint(ctx, conn, "TRUNCATE")
		if err != nil || done {
			return err
		}
		select {
		case <-time.After(purgeAgain):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("SQLite's log still has deleted content: another program has been reading the database for %v; "+
		"repeat the erasure after it", purgeTries*purgeAgain)
}
