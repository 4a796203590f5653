package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// pooled is the parameter of the URL that says that connections go through PgBouncer in transaction mode.
const pooled = "pgbouncer"

// takePooled removes the parameter, and returns the statement that applies the settings to a transaction; empty = the
// connection is of its own, and has the settings.
//
// PgBouncer gives each transaction another connection to the database, so that neither prepared statements nor settings
// of a session may be used.
func takePooled(c *pgx.ConnConfig, noSync bool) (local string, err error) {
	value := c.RuntimeParams[pooled]
	delete(c.RuntimeParams, pooled)
	switch value {
	case "", "false":
		return "", nil
	case "true":
	default:
		return "", fmt.Errorf("pgbouncer=%s: it must be true or false", value)
	}
	if c.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		c.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	c.StatementCacheCapacity, c.DescriptionCacheCapacity = 0, 0
	list := slices.Clone(forStatements)
	if noSync {
		list = append(list, noWaitForDisk)
	}
	calls := make([]string, len(list))
	for i, s := range list {
		calls[i] = fmt.Sprintf("set_config('%s', '%s', true)", s.name, s.value)
	}
	return "SELECT " + strings.Join(calls, ", "), nil
}
