package delivery

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// Sessions are the connected devices of this node.
type Sessions interface {
	Connected(userID string) []protocol.Device
	// Kick ends the connections of a device of a user, or, without one, of all but another, and returns which.
	Kick(userID, deviceID, but string) []string
	// MakeRoom sends those devices of a user away that may not be connected beside newer ones elsewhere.
	MakeRoom(userID string, others []protocol.Device)
	// Users lists who has a device here.
	Users() []string
}

// Wire carries words between the nodes that follow a topic. It may lose them.
type Wire interface {
	Say(topic string, data []byte)
	Ask(ctx context.Context, topic string, data []byte, n int) [][]byte
	Hear(func(topic string, data []byte, reply func([]byte)))
}

// Presence knows the connected devices of people on all nodes. Nodes that hold devices of the same person follow that person's
// topic and tell each other; another node asks them, and any of them can answer for all. It is a courtesy and is never stored:
// what it does not know makes an acknowledgement less informed, and nothing wrong.
type Presence struct {
	wire  Wire
	here  Sessions
	moved func(userID string, online bool)
	node  string

	mu    sync.Mutex
	away  map[string]map[string]elsewhere // by user and node
	nodes map[string]time.Time            // the other nodes, and when they were last heard
}

// elsewhere is what another node said of a user.
type elsewhere struct {
	devices []protocol.Device
	at      time.Time
}

const (
	aliveEvery  = time.Second
	aliveFor    = 5 * time.Second        // a node that is silent for so long is gone
	retellAll   = 60                     // seconds in which every person here is told of anew, should a word have been lost
	forgetAfter = 3 * time.Minute        // what was not told anew is forgotten
	askTime     = 250 * time.Millisecond // that an answer of another node is waited for
	askOneByOne = 8                      // people about whom their nodes are asked; about more, all nodes
)

// word is what nodes tell each other.
type word struct {
	Node    string            `json:"node"`
	Kind    string            `json:"kind"`
	Devices []protocol.Device `json:"devices,omitempty"`
	Hello   bool              `json:"hello,omitempty"` // tell me what you have
	Device  string            `json:"device,omitempty"`
	But     string            `json:"but,omitempty"`
	Users   []string          `json:"users,omitempty"`
}

// The kinds of words.
const (
	wordDevices = "devices" // these of this person are connected to me
	wordKick    = "kick"    // send these away
	wordWho     = "who"     // which are connected anywhere?
	wordMoved   = "moved"   // somebody came or went
	wordAlive   = "alive"   // I am here
	wordBye     = "bye"     // I am going
	wordHowMany = "howmany" // of these people, how many devices have you each?
)

// NewPresence makes the presence of a house of several nodes. moved is told who came or went, here or elsewhere; online says
// that it is known that they are, else it is to be asked. It must not block.
func NewPresence(wire Wire, here Sessions, moved func(userID string, online bool)) *Presence {
	p := &Presence{wire: wire, here: here, moved: moved, node: uuid.NewString()[:8], away: map[string]map[string]elsewhere{}, nodes: map[string]time.Time{}}
	wire.Hear(p.hear)
	return p
}

func (p *Presence) say(topic string, w word) {
	w.Node = p.node
	p.wire.Say(topic, encodeWord(w))
}

func encodeWord(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types of strings and numbers always encode
	}
	return b
}

// Changed tells the other nodes that a device of a user came to or went from this one; edge says that it was the first or last.
func (p *Presence) Changed(userID string, edge bool) {
	devices := p.here.Connected(userID)
	p.say(im.UserTopic(userID), word{Kind: wordDevices, Devices: devices, Hello: len(devices) > 0})
	if len(devices) == 0 {
		p.mu.Lock()
		delete(p.away, userID) // nobody tells it any more
		p.mu.Unlock()
	}
	if edge {
		p.say(im.StatusTopic(userID), word{Kind: wordMoved, Devices: devices})
		p.moved(userID, len(devices) > 0)
	}
}

// view is what this node knows of a person's devices on all nodes.
func (p *Presence) view(userID string) []protocol.Device {
	list := p.here.Connected(userID)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.away[userID] {
		for _, d := range e.devices {
			if !slices.ContainsFunc(list, func(o protocol.Device) bool { return o.DeviceID == d.DeviceID }) {
				list = append(list, d)
			}
		}
	}
	slices.SortFunc(list, func(a, b protocol.Device) int { return cmp.Compare(a.DeviceID, b.DeviceID) })
	return list
}

// Connected lists the devices of a user that are connected to any node.
func (p *Presence) Connected(userID string) []protocol.Device {
	if list := p.view(userID); len(list) > 0 {
		return list
	}
	list := []protocol.Device{}
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	for _, answer := range p.wire.Ask(ctx, im.UserTopic(userID), encodeWord(word{Node: p.node, Kind: wordWho}), 1) {
		_ = json.Unmarshal(answer, &list) // garbled is as good as none
	}
	return list
}

// Devices counts the devices of people that are connected to any node. It may ask the others, so it is not for a unit of work.
func (p *Presence) Devices(userIDs ...string) []int {
	counts := make([]int, len(userIDs))
	var ask []int
	for i, u := range userIDs {
		if counts[i] = len(p.view(u)); counts[i] == 0 {
			ask = append(ask, i)
		}
	}
	if len(ask) > askOneByOne {
		p.askAll(userIDs, ask, counts)
		return counts
	}
	var g errgroup.Group
	for _, i := range ask {
		g.Go(func() error {
			counts[i] = len(p.Connected(userIDs[i]))
			return nil
		})
	}
	_ = g.Wait() // none fails
	return counts
}

// askAll asks all nodes about many people.
func (p *Presence) askAll(userIDs []string, which, counts []int) {
	users := make([]string, len(which))
	for i, k := range which {
		users[i] = userIDs[k]
	}
	p.mu.Lock()
	others := len(p.nodes)
	p.mu.Unlock()
	if others == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*askTime)
	defer cancel()
	for _, answer := range p.wire.Ask(ctx, im.NodesTopic, encodeWord(word{Node: p.node, Kind: wordHowMany, Users: users}), others) {
		var theirs []int
		if json.Unmarshal(answer, &theirs) != nil || len(theirs) != len(which) {
			continue
		}
		for i, k := range which {
			counts[k] += theirs[i]
		}
	}
}

// Kick ends the connections of a device of a user on all nodes, or, without one, of all but another, and returns which.
func (p *Presence) Kick(userID, deviceID, but string) []string {
	all := p.Connected(userID)
	list := p.here.Kick(userID, deviceID, but)
	p.say(im.UserTopic(userID), word{Kind: wordKick, Device: deviceID, But: but})
	for _, d := range all {
		if (d.DeviceID == deviceID || deviceID == "" && d.DeviceID != but) && !slices.Contains(list, d.DeviceID) {
			list = append(list, d.DeviceID)
		}
	}
	slices.Sort(list)
	return list
}

// hear takes a word of another node.
func (p *Presence) hear(topic string, data []byte, reply func([]byte)) {
	var w word
	if json.Unmarshal(data, &w) != nil || w.Node == p.node {
		return
	}
	user := im.TopicUser(topic)
	switch w.Kind {
	case wordDevices:
		p.learn(user, w)
	case wordKick:
		p.here.Kick(user, w.Device, w.But)
	case wordWho:
		if list := p.view(user); len(list) > 0 {
			reply(encodeWord(list))
		}
	case wordMoved:
		p.moved(im.TopicStatus(topic), len(w.Devices) > 0)
	case wordHowMany:
		counts := make([]int, len(w.Users))
		for i, u := range w.Users {
			counts[i] = len(p.here.Connected(u))
		}
		reply(encodeWord(counts))
	case wordAlive:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.nodes[w.Node] = time.Now()
	case wordBye:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.nodes[w.Node] = time.Time{} // the next look finds it gone
	}
}

// learn notes the devices that a person has on another node.
func (p *Presence) learn(user string, w word) {
	mine := p.here.Connected(user)
	if len(mine) == 0 {
		return
	}
	p.mu.Lock()
	if p.away[user] == nil {
		p.away[user] = map[string]elsewhere{}
	}
	if p.away[user][w.Node] = (elsewhere{w.Devices, time.Now()}); len(w.Devices) == 0 {
		if delete(p.away[user], w.Node); len(p.away[user]) == 0 {
			delete(p.away, user)
		}
	}
	p.mu.Unlock()
	p.here.MakeRoom(user, w.Devices)
	if w.Hello {
		p.say(im.UserTopic(user), word{Kind: wordDevices, Devices: mine})
	}
}

// Run says that this node is there, notices when others are not, and tells anew what may have been lost, until ctx ends.
// statuses lists the people whose presence somebody here watches.
func (p *Presence) Run(ctx context.Context, statuses func() []string) error {
	t := time.NewTicker(aliveEvery)
	defer t.Stop()
	var retell []string
	for {
		p.say(im.NodesTopic, word{Kind: wordAlive})
		if p.bury(time.Now()) {
			for _, u := range statuses() {
				p.moved(u, false)
			}
		}
		if len(retell) == 0 {
			retell = p.here.Users()
		}
		n := min(len(retell), 1+len(retell)/retellAll)
		for _, u := range retell[:n] {
			p.say(im.UserTopic(u), word{Kind: wordDevices, Devices: p.here.Connected(u)})
		}
		retell = retell[n:]
		select {
		case <-ctx.Done():
			p.say(im.NodesTopic, word{Kind: wordBye})
			return nil
		case <-t.C:
		}
	}
}

// bury forgets the nodes that are silent, and what they had. It reports whether there was one.
func (p *Presence) bury(now time.Time) (gone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for node, at := range p.nodes {
		if now.Sub(at) > aliveFor {
			delete(p.nodes, node)
			gone = true
		}
	}
	for user, nodes := range p.away {
		for node, e := range nodes {
			if _, alive := p.nodes[node]; !alive && now.Sub(e.at) > aliveFor || now.Sub(e.at) > forgetAfter {
				delete(nodes, node)
			}
		}
		if len(nodes) == 0 {
			delete(p.away, user)
		}
	}
	return gone
}
