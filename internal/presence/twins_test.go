package presence

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/beckon-im/beckon/protocol"
)

// answering is a messenger with another node that responds to requests.
type answering struct {
	Messenger
	answer answer
}

func (*answering) PublishMessage(string, []byte) {}
func (a *answering) Request(context.Context, string, []byte, int) [][]byte {
	b, err := json.Marshal(a.answer)
	if err != nil {
		panic(err)
	}
	return [][]byte{b}
}
func (*answering) OnMessage(func(string, []byte, func([]byte))) {}
func (*answering) OnHeartbeat(func(string))                     {}
func (*answering) OnLoss(func(string, []int))                   {}
func (*answering) Subscribe(string) error                       { return nil }
func (*answering) Unsubscribe(string) error                     { return nil }

// keptBy is the node that keeps all shards.
type keptBy string

func (k keptBy) Keeper(int) string        { return string(k) }
func (k keptBy) Others() ([]string, bool) { return []string{string(k)}, true }

// lone has no devices, and records which remote devices replace them.
type lone struct{ madeRoom [][]protocol.Device }

func (*lone) Connected(string) []protocol.Device                            { return nil }
func (*lone) Kick(string, string, string) []string                          { return nil }
func (*lone) Allowed(list []protocol.Device) []protocol.Device              { return list }
func (*lone) List(string, string, string, int) ([]protocol.Connection, int) { return nil, 0 }
func (*lone) Users() []string                                               { return nil }
func (*lone) Probe(string)                                                  {}
func (l *lone) EvictReplaced(_ string, others []protocol.Device, _ bool) {
	l.madeRoom = append(l.madeRoom, others)
}

// TestComingAfterThoseThere: a connecting device gets a later connect time than devices on other nodes, even if their
// clocks are ahead; one with a far older link does not.
func TestComingAfterThoseThere(t *testing.T) {
	for there, want := range map[int64]int64{900: 1000, 1000: 1001, 1500: 1501, 2999: 3000, 3000: 1000, 60_000: 1000} {
		here := &lone{}
		p := New(Options{Node: "a", Keepers: keptBy("b"), Local: here,
			Wire: &answering{answer: answer{Complete: true,
				Nodes: map[string]devices{"b": {Devices: []protocol.Device{{DeviceID: "same", ConnectedAt: there}}}}}},
			Watched: func(string) bool { return false }, OnChange: func(string, bool) {}})
		if at := p.BeforeOnline("ann", protocol.Device{DeviceID: "same", ConnectedAt: 1000}); at != want {
			t.Errorf("with a device of %d the connect time is %d, not %d", there, at, want)
		}
		if mine := p.localDevices("ann"); len(mine) != 1 || mine[0].ConnectedAt != want {
			t.Errorf("other nodes receive %+v, not %d", mine, want)
		}
		p.evictReplaced("ann")
		if len(here.madeRoom) != 1 || here.madeRoom[0][0].ConnectedAt != there {
			t.Errorf("it was replaced by %+v", here.madeRoom)
		}
	}
}
