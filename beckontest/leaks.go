package beckontest

import (
	"testing"

	"go.uber.org/goleak"
)

// VerifyNoLeaks runs the tests and fails when they leave a goroutine behind. Use it in TestMain.
func VerifyNoLeaks(m *testing.M) { goleak.VerifyTestMain(m, Durable()...) }

// Durable are the goroutines that may be left: the reply timeout of a call that was under way in the transport's client
// ends by itself some seconds after a shutdown.
func Durable() []goleak.Option {
	return []goleak.Option{goleak.IgnoreTopFunction("github.com/centrifugal/centrifuge-go.(*Client).sendAsync.func1")}
}
