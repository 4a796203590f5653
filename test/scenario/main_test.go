package scenario

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/internal/store/storetest/pgtest"
)

// nodes makes the scenes run against several nodes behind a TCP proxy: go test -nodes 3. Tests that move the clock or
// kill the server have houses of one node.
var nodes = flag.Int("nodes", 1, "nodes of each house")

// With several nodes.
var (
	pooled  = flag.Bool("pgbouncer", false, "connect to PostgreSQL through PgBouncer")
	standby = flag.Bool("standby", false, "read from a standby what one may serve")
)

// ground is the PostgreSQL of all houses of several nodes, each with a database of its own.
var ground struct {
	*pgtest.Server
	standby *pgtest.Server // nil = none
	pooler  *pgtest.Pooler // nil = none
	houses  atomic.Int64
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := 0
	if *nodes == 1 {
		beckontest.VerifyNoLeaks(m)
		return
	}
	if err := startGround(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code = m.Run()
	if err := closeGround(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err := goleak.Find(beckontest.Durable()...); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func startGround(ctx context.Context) (err error) {
	if ground.Server, err = pgtest.Start(ctx, false); err == nil && *standby {
		if ground.standby, err = ground.Standby(ctx); err == nil {
			err = ground.Set(ctx, "synchronous_standby_names", "")
		}
	}
	if err == nil && *pooled {
		ground.pooler, err = ground.Pooler(ctx)
	}
	return err
}

func closeGround() (err error) {
	if ground.pooler != nil {
		err = ground.pooler.Close()
	}
	if ground.standby != nil {
		err = errors.Join(err, ground.standby.Close())
	}
	return errors.Join(err, ground.Close())
}

// onGround says where a house of as many nodes as were asked for has its database; nothing for one in its own
// directory.
func onGround(t *testing.T) string {
	t.Helper()
	if *nodes == 1 {
		return ""
	}
	name := fmt.Sprintf("house%d", ground.houses.Add(1))
	address, err := ground.Database(t.Context(), name)
	if err == nil && ground.pooler != nil {
		address, err = ground.pooler.Through(address)
	}
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// readFrom is the standby of a database; empty = none.
func readFrom(t *testing.T, postgres string) string {
	t.Helper()
	if ground.standby == nil || postgres == "" {
		return ""
	}
	u, err := url.Parse(postgres)
	if err != nil {
		t.Fatal(err)
	}
	return ground.standby.URL(strings.TrimPrefix(u.Path, "/"))
}

// newHouse starts a house of as many nodes as were asked for.
func newHouse(t *testing.T, cfg beckon.Config) *beckontest.Cluster {
	t.Helper()
	if cfg.Postgres == "" {
		cfg.Postgres = onGround(t)
		cfg.PostgresRead = readFrom(t, cfg.Postgres)
	}
	return beckontest.StartNodes(t, *nodes, cfg)
}
