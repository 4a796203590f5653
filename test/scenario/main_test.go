package scenario

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
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

// ground is the PostgreSQL of all houses of several nodes, each with a database of its own.
var ground struct {
	*pgtest.Server
	houses atomic.Int64
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := 0
	if *nodes == 1 {
		beckontest.VerifyNoLeaks(m)
		return
	}
	var err error
	if ground.Server, err = pgtest.Start(context.Background(), false); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code = m.Run()
	if err := ground.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err := goleak.Find(beckontest.Durable()...); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// onGround says where a house of as many nodes as were asked for has its database; nothing for one in its own
// directory.
func onGround(t *testing.T) string {
	t.Helper()
	if *nodes == 1 {
		return ""
	}
	url, err := ground.Database(t.Context(), fmt.Sprintf("house%d", ground.houses.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// newHouse starts a house of as many nodes as were asked for.
func newHouse(t *testing.T, cfg beckon.Config) *beckontest.Cluster {
	t.Helper()
	cfg.Postgres = cmp.Or(cfg.Postgres, onGround(t))
	return beckontest.StartNodes(t, *nodes, cfg)
}
