package beckontest

import (
	"testing"

	"go.uber.org/goleak"
)

// VerifyNoLeaks runs the tests and fails if they leak a goroutine. Use it in TestMain.
func VerifyNoLeaks(m *testing.M) { goleak.VerifyTestMain(m, Durable()...) }

// Durable lists the goroutines that are exempt: the reply timeout of a pending call in the transport's client ends by
// itself some seconds after a shutdown.
func Durable() []goleak.Option {
	return []goleak.Option{goleak.IgnoreTopFunction("github.com/centrifugal/centrifuge-go.(*Client).sendAsync.func1")}
}
