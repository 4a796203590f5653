package beckontest

import (
	"testing"

	"go.uber.org/goleak"
)

// VerifyNoLeaks runs the tests and fails when they leave a goroutine behind. Use it in TestMain.
//
// Four goroutines of the transport libraries end by themselves some seconds after a shutdown, and are let be: two tickers
// and the unsubscribe workers of the server's, and the reply timeout of a call that was under way in the client's.
func VerifyNoLeaks(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/centrifugal/centrifuge.(*Node).sendNodePing"),
		goleak.IgnoreTopFunction("github.com/centrifugal/centrifuge.(*Node).cleanNodeInfo"),
		goleak.IgnoreAnyFunction("github.com/centrifugal/centrifuge/internal/dissolve.(*Dissolver).runWorker"),
		goleak.IgnoreTopFunction("github.com/centrifugal/centrifuge-go.(*Client).sendAsync.func1"),
	)
}
