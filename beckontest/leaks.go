package beckontest

import (
	"testing"

	"go.uber.org/goleak"
)

// VerifyNoLeaks runs the tests and fails when they leave a goroutine behind. Use it in TestMain.
func VerifyNoLeaks(m *testing.M) { goleak.VerifyTestMain(m, Lasting()...) }

// Lasting are the goroutines that may be left: four of the transport libraries end by themselves some seconds after a
// shutdown, two tickers and the unsubscribe workers of the server's, and the reply timeout of a call that was under way in the
// client's. NATS' server keeps a ticker of its own.
func Lasting() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreTopFunction("github.com/centrifugal/centrifuge.(*Node).sendNodePing"),
		goleak.IgnoreTopFunction("github.com/centrifugal/centrifuge.(*Node).cleanNodeInfo"),
		goleak.IgnoreAnyFunction("github.com/centrifugal/centrifuge/internal/dissolve.(*Dissolver).runWorker"),
		goleak.IgnoreTopFunction("github.com/centrifugal/centrifuge-go.(*Client).sendAsync.func1"),
	}
}
