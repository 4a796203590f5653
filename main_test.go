package beckon_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The transport library ends these at their next tick after a shutdown, up to some seconds later.
		goleak.IgnoreAnyFunction("github.com/centrifugal/centrifuge/internal/dissolve.(*Dissolver).runWorker"),
		goleak.IgnoreTopFunction("github.com/centrifugal/centrifuge.(*Node).sendNodePing"),
		goleak.IgnoreTopFunction("github.com/centrifugal/centrifuge.(*Node).cleanNodeInfo"),
	)
}
