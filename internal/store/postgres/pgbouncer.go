package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// setting is a setting of PostgreSQL.
type setting struct{ name, value string }

// forStatements are the settings for plans and locks.
var forStatements = []setting{
	{"jit", "off"}, // statements are too short for it
	// plans use keys also before the tables are analysed
	{"enable_seqscan", "off"}, {"enable_hashjoin", "off"}, {"enable_mergejoin", "off"},
	// TestQueries checks these plans; without it, statements with arrays are planned at each execution
	{"plan_cache_mode", "force_generic_plan"},
	// an idle node must not keep its locks
	{"idle_in_transaction_session_timeout", "5s"},
}

// forConnections are the settings that end a connection to a dead node. PgBouncer has its own.
var forConnections = []setting{
	{"tcp_keepalives_idle", "3"}, {"tcp_keepalives_interval", "2"}, {"tcp_keepalives_count", "3"},
	{"tcp_user_timeout", "10000"},
}

var noWaitForDisk = setting{"synchronous_commit", "off"}

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
		return "", fmt.Errorf("the URL of PostgreSQL has pgbouncer=%s; it must be true or false", value)
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

// CheckURLs reports whether the addresses of a database and of its standby are valid; empty = there is none.
func CheckURLs(primary, standby string) (err error) {
	if primary != "" {
		_, _, err = parse(primary, false)
	}
	if err == nil && standby != "" {
		_, err = parseStandby(standby)
	}
	return err
}
