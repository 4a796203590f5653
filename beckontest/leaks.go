package beckontest

import (
	"testing"

	"go.uber.org/goleak"
)

// VerifyNoLeaks runs the tests and fails if they leak a goroutine. Use it in TestMain.
func VerifyNoLeaks(m *testing.M) { goleak.VerifyTestMain(m, Durable()...) }

// Durable lists the goroutines that are exempt. Both are of the transport's client: the reply timeout of a pending call
// ends by itself some seconds after a shutdown, and a call whose link breaks while it is being sent is left behind,
// because its error is reported twice. The caller of this SDK has its error by then.
func Durable() []goleak.Option {
	const transport = "github.com/centrifugal/centrifuge-go.(*Client)."
	return []goleak.Option{goleak.IgnoreTopFunction(transport + "sendAsync.func1"),
		goleak.IgnoreTopFunction(transport + "RPC.func1")}
}
