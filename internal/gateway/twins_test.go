package gateway

import (
	"testing"

	"github.com/beckon-im/beckon/protocol"
)

// TestANewerConnectionReplacesTheOlder: of two connections with the same deviceID the one with the later link stays,
// under each policy, and other devices of the user are not affected.
func TestANewerConnectionReplacesTheOlder(t *testing.T) {
	for _, policy := range []Policy{Many, OnePerPlatform, Single} {
		t.Run(string(policy), func(t *testing.T) {
			moves := make(chan bool, 10)
			h := open(t, Options{Policy: policy, OnPresenceChange: func(_ string, edge bool) { moves <- edge }})
			connect := func(device string) *device {
				d := h.dial()
				d.send(`{"id":1,"connect":{"token":"ann","data":"` + device + `"}}`)
				if r := d.reply(); r.Connect == nil {
					t.Fatalf("not admitted: %+v", r)
				}
				<-moves
				return d
			}
			var other *device
			if policy == Many {
				other = connect("other")
			}
			old := connect("same")
			young := connect("same")
			old.ends(protocol.CloseKicked, true)
			h.send("user:ann", "")
			h.receives(young)
			want := 1
			if other != nil {
				h.receives(other)
				want = 2
			}
			if n := h.g.Devices("ann")[0]; n != want {
				t.Errorf("ann has %d devices", n)
			}
			select {
			case edge := <-moves:
				t.Errorf("closing the older connection changed presence, edge %v", edge)
			default:
			}
		})
	}
}

// receives waits for a record.
func (h *fixture) receives(d *device) {
	h.t.Helper()
	for {
		r, err := d.read(true)
		if err != nil {
			h.t.Fatalf("the remaining device was closed: %v", err)
		}
		if r.Push != nil && r.Push.Pub != nil {
			return
		}
	}
}

// TestALateAttemptIsTheOlder: a delayed connect request that its client has abandoned and repeated does not replace the
// client's current connection.
func TestALateAttemptIsTheOlder(t *testing.T) {
	h := open(t, Options{})
	held, release := make(chan struct{}), make(chan struct{})
	first := true
	h.handler.slow = func(string) {
		if first {
			first = false
			close(held)
			<-release
		}
	}
	old := h.dial()
	old.send(`{"id":1,"connect":{"token":"ann","data":"same"}}`)
	<-held
	young := h.dial()
	young.send(`{"id":1,"connect":{"token":"ann","data":"same"}}`)
	if r := young.reply(); r.Connect == nil {
		t.Fatalf("not admitted: %+v", r)
	}
	close(release)
	old.ends(protocol.CloseKicked, true)
	h.send("user:ann", "")
	h.receives(young)
}

// TestTwinsOnTwoNodes: between connections of one device on two nodes the time of the link decides, and for equal times
// the node.
func TestTwinsOnTwoNodes(t *testing.T) {
	h := open(t, Options{})
	d := h.dial()
	d.send(`{"id":1,"connect":{"token":"ann","data":"same"}}`)
	d.reply()
	here := h.g.Connected("ann")[0]
	at := func(ms int64) []protocol.Device {
		return []protocol.Device{{DeviceID: "same", ConnectedAt: here.ConnectedAt + ms},
			{DeviceID: "other", ConnectedAt: here.ConnectedAt + 1000}}
	}
	h.g.EvictReplaced("ann", at(-1), true)
	h.g.EvictReplaced("ann", at(0), false)
	if n := h.g.Devices("ann")[0]; n != 1 {
		t.Fatalf("ann has %d devices", n)
	}
	h.g.EvictReplaced("ann", at(1), false)
	if reason := d.ends(protocol.CloseKicked, true); reason != newer {
		t.Errorf("the reason is %q", reason)
	}
	again := h.dial()
	again.send(`{"id":1,"connect":{"token":"ann","data":"same"}}`)
	again.reply()
	here = h.g.Connected("ann")[0]
	h.g.EvictReplaced("ann", at(0), true)
	again.ends(protocol.CloseKicked, true)
}
