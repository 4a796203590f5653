package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
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

// connectTime limits the opening of a connection.
const connectTime = 3 * time.Second

// CheckURLs reports whether the addresses of a database and of its standby are valid; empty = there is none.
func CheckURLs(primary, standby string) (err error) {
	if primary != "" {
		_, _, err = parsePrimary(primary, false)
	}
	if err == nil && standby != "" {
		_, err = parseStandby(standby)
	}
	return err
}

// parsePrimary parses the URL of the database, as parse does.
func parsePrimary(url string, noSync bool) (cfg *pgxpool.Config, local string, err error) {
	if cfg, local, err = parse(url, noSync); err != nil {
		err = fmt.Errorf("the URL of PostgreSQL: %w", err)
	}
	return cfg, local, err
}

// parseStandby parses the URL of a standby.
func parseStandby(url string) (*pgxpool.Config, error) {
	cfg, local, err := parse(url, false)
	if err == nil && local != "" {
		err = errPooledStandby
	}
	if err != nil {
		err = fmt.Errorf("the URL of the standby: %w", err)
	}
	return cfg, err
}

// parse returns the configuration of connections, and the statement that applies the settings to a transaction, as
// takePooled does.
func parse(url string, noSync bool) (cfg *pgxpool.Config, local string, err error) {
	if cfg, err = pgxpool.ParseConfig(url); err != nil {
		return nil, "", err
	}
	c := cfg.ConnConfig
	c.ConnectTimeout, c.StatementCacheCapacity = connectTime, 1024
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "beckon"
	}
	cfg.MaxConns = max(cfg.MaxConns, 8)
	local, err = takePooled(c, noSync)
	return cfg, local, err
}

// apply returns the function that applies the settings to a new connection. A database that does not know one of them
// ignores it.
func apply(noSync bool) func(context.Context, *pgx.Conn) error {
	list := slices.Concat(forStatements, forConnections)
	if noSync {
		list = append(list, noWaitForDisk)
	}
	return func(ctx context.Context, c *pgx.Conn) error {
		for _, s := range list {
			if _, err := c.Exec(ctx, "SET "+s.name+" = '"+s.value+"'"); err != nil && c.IsClosed() {
				return err
			}
		}
		return nil
	}
}
