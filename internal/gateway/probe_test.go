package gateway

import (
	"testing"
	"time"
)

// TestProbe: a probed device that answers stays connected; a silent one is no longer connected long before its next
// ping, also if its link cannot be closed.
func TestProbe(t *testing.T) {
	h := open(t, Options{Ping: time.Hour})
	alive, silent := h.in("alice"), h.in("bob")
	alive.answers()
	silent.answers()
	ended := make(chan struct{})
	go func() { // answers pings
		defer close(ended)
		for {
			r, err := alive.read(true)
			if err != nil || r.Push != nil && r.Push.Pub != nil {
				return
			}
		}
	}()
	begin := time.Now()
	h.g.Probe("alice")
	h.g.Probe("bob")
	h.empty("bob")
	t.Logf("a silent device counts as connected for %v", time.Since(begin).Round(time.Millisecond))
	if n := h.g.Devices("alice")[0]; n != 1 {
		t.Errorf("%d devices of alice are connected", n)
	}
	h.send("user:alice", "")
	<-ended
	silent.ends(3012, false)
}

// answers waits for the answer to a call, so that the device is online.
func (d *device) answers() {
	d.t.Helper()
	d.send(`{"id":2,"rpc":{"method":"echo","data":{}}}`)
	if r := d.reply(); r.ID != 2 {
		d.t.Fatalf("%+v", r)
	}
}
