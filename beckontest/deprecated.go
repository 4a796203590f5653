package beckontest

import (
	"testing"

	"go.uber.org/goleak"
)

// House is the former name of Cluster.
//
// Deprecated: use Cluster. It will be removed in the next version.
type House = Cluster

// Tape is the former name of Recorder.
//
// Deprecated: use Recorder. It will be removed in the next version.
type Tape = Recorder

// Front is the former name of Proxy.
//
// Deprecated: use Proxy. It will be removed in the next version.
type Front = Proxy

// NewTape returns an empty recorder.
//
// Deprecated: use NewRecorder. It will be removed in the next version.
func NewTape(t testing.TB, name string) *Recorder { return NewRecorder(t, name) }

// NewFront listens on an address and forwards to nodes.
//
// Deprecated: use NewProxy. It will be removed in the next version.
func NewFront(listen string, nodes []string) (*Proxy, error) { return NewProxy(listen, nodes) }

// Lasting lists the goroutines that VerifyNoLeaks exempts.
//
// Deprecated: use Durable. It will be removed in the next version.
func Lasting() []goleak.Option { return Durable() }
