package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Nodes stay in the list for attending after they attended; entries are removed an hour later.
const (
	attending = "10000" // milliseconds
	removed   = "3600000"
)

// nodeTime is the time of an entry in the list of nodes.
const nodeTime = "CASE WHEN name LIKE 'node:%' THEN value::bigint END"

// Attend enters a node into the list of nodes, and returns all nodes that attended lately. The entry is not worth the
// wait for a disk.
func (d *DB) Attend(ctx context.Context, node string) (list []string, err error) {
	err = d.members.use(ctx, d.config, func(c *pgx.Conn) error {
		list = nil
		var b pgx.Batch
		b.Queue("SELECT set_config('synchronous_commit', 'off', true)")
		b.Queue("INSERT INTO meta (name, value) VALUES ('node:' || $1, "+rawClock+"::text) "+
			"ON CONFLICT (name) DO UPDATE SET value = excluded.value", node)
		b.Queue("SELECT substr(name, 6) FROM meta WHERE " + nodeTime + " > " + rawClock + " - " + attending).
			Query(func(rows pgx.Rows) error {
				list, err = pgx.CollectRows(rows, pgx.RowTo[string])
				return err
			})
		return c.SendBatch(ctx, &b).Close()
	})
	return list, err
}

// Leave removes a node from the list of nodes, and those that died long ago.
func (d *DB) Leave(ctx context.Context, node string) error {
	return d.members.use(ctx, d.config, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, "DELETE FROM meta WHERE name = 'node:' || $1 OR "+nodeTime+" < "+rawClock+" - "+removed, node)
		return err
	})
}
