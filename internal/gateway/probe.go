package gateway

import (
	"context"
	"time"

	"github.com/beckon-im/beckon/internal/delay"
	"github.com/beckon-im/beckon/internal/gateway/link"
)

// probeTime is the time within which a probed device must send something. A network that takes longer costs its device
// a reconnect.
const probeTime = 900 * time.Millisecond

// maxProbes bounds the pending probes. The sessions above it are checked by the next ping of the wheel.
const maxProbes = 10_000

// probe is a ping outside of the ping wheel.
type probe struct {
	client *client
	heard  uint32 // frames of the device before the ping
	at     time.Time
}

// Probe pings the sessions of a user on this node. A device that sends nothing within probeTime is no longer connected.
// It does not block.
func (g *Gateway) Probe(userID string) {
	for _, c := range g.sessions.of(userID) {
		if !c.is(stateOnline) { // it has just connected
			continue
		}
		select {
		case g.probes <- probe{c, c.heard.Load(), time.Now().Add(probeTime)}:
			c.link.Ping()
		default:
		}
	}
}

// runProbes closes the sessions of devices that do not answer a probe, until ctx ends.
func (g *Gateway) runProbes(ctx context.Context) {
	delay.Run(ctx, g.probes, func(p probe) time.Time { return p.at }, probe.check)
}

// check closes the link of a device that was silent since the probe, and removes its session at once: closing a dead
// link takes a second.
func (p probe) check() {
	c := p.client
	if c.heard.Load() != p.heard || c.working.Load() || c.is(stateClosed) {
		return
	}
	c.link.Close(link.NoPong)
	c.remove()
}
