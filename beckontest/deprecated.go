package beckontest

import (
	"testing"

	"go.uber.org/goleak"
)

// House is the former name of Cluster.
//
// Deprecated: use Cluster.
type House = Cluster

// Tape is the former name of Recorder.
//
// Deprecated: use Recorder.
type Tape = Recorder

// Front is the former name of Proxy.
//
// Deprecated: use Proxy.
type Front = Proxy

// NewTape returns an empty recorder.
//
// Deprecated: use NewRecorder.
func NewTape(t testing.TB, name string) *Recorder { return NewRecorder(t, name) }

// NewFront listens on an address and forwards to nodes.
//
// Deprecated: use NewProxy.
func NewFront(listen string, nodes []string) (*Proxy, error) { return NewProxy(listen, nodes) }

// Lasting lists the goroutines that VerifyNoLeaks exempts.
//
// Deprecated: use Durable.
func Lasting() []goleak.Option { return Durable() }
