package beckontest

import (
	"testing"

	"go.uber.org/goleak"
)

// VerifyNoLeaks runs the tests and fails if they leak a goroutine. Use it in TestMain.
func VerifyNoLeaks(m *testing.M) { goleak.VerifyTestMain(m, Durable()...) }

// Durable lists the exempt goroutines, all of the transport's client. The reply timeout of a pending call, and that of
// a call which a close overtakes, end by themselves some seconds after a shutdown. A call on a closing connection
// reports its error twice and blocks on the second report; the caller of this SDK has its error by then.
func Durable() []goleak.Option {
	const transport = "github.com/centrifugal/centrifuge-go.(*Client)."
	return []goleak.Option{goleak.IgnoreTopFunction(transport + "sendAsync.func1"),
		goleak.IgnoreTopFunction(transport + "onConnect.func1"),
		goleak.IgnoreTopFunction(transport + "RPC.func1")}
}
