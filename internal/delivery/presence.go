package delivery

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
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
	// Allowed returns those devices of a user that may be connected beside each other.
	Allowed([]protocol.Device) []protocol.Device
	// EvictReplaced sends those devices of a user away that newer ones elsewhere replace; wins decides between connections
	// of the same device and moment.
	EvictReplaced(userID string, others []protocol.Device, wins bool)
	// List lists devices here, by person and device, and says how many there are.
	List(prefix, afterUser, afterDevice string, limit int) ([]protocol.Connection, int)
	// Users lists who has a device here.
	Users() []string
}

// Messenger carries words between the nodes that follow a topic. It may lose them.
type Messenger interface {
	PublishMessage(topic string, data []byte)
	Request(ctx context.Context, topic string, data []byte, n int) [][]byte
	OnMessage(func(topic string, data []byte, reply func([]byte)))
	Subscribe(topic string) error
	Unsubscribe(topic string) error
}

// Presence knows the connected devices of people on all nodes. Nodes that hold devices of the same person follow that
// person's topic and tell each other; another node asks them, and any of them can answer for all. It is a courtesy and
// is never stored: what it does not know makes an acknowledgement less informed, and nothing wrong.
type Presence struct {
	wire  Messenger
	here  Sessions
	moved func(userID string, online bool)
	node  string

	mu     sync.Mutex
	remote map[string]map[string]elsewhere // by user and node
	soon   map[string][]coming             // devices that are let in and not here yet, by user
	nodes  map[string]time.Time            // the other nodes, and when they were last heard
	back   bool                            // one was heard that was not known: what it said before is not known either
}

// coming is a device that was let in. From then on this node follows its person's topic.
type coming struct {
	protocol.Device
	until time.Time
}

// elsewhere is what another node said of a user.
type elsewhere struct {
	devices []protocol.Device
	at      time.Time
}

const (
	aliveEvery = time.Second
	aliveFor   = 5 * time.Second // a node that is silent for so long is gone
	// seconds in which every person here is told of anew, should a word have been lost
	republishAll   = 60
	comingFor      = 10 * time.Second       // a device that was let in and is not here after this has gone again
	clockSkew      = 2000                   // milliseconds by which the clocks of nodes may differ
	forgetAfter    = 3 * time.Minute        // what was not told anew is forgotten
	requestTimeout = 250 * time.Millisecond // that an answer of another node is waited for
	requestSingly  = 8                      // people about whom their nodes are asked; about more, all nodes
)

// message is what nodes tell each other.
type message struct {
	Node    string            `json:"node"`
	Kind    string            `json:"kind"`
	Devices []protocol.Device `json:"devices,omitempty"`
	Device  string            `json:"device,omitempty"`
	But     string            `json:"but,omitempty"`
	Users   []string          `json:"users,omitempty"`

	Nodes map[string][]protocol.Device `json:"nodes,omitempty"` // which devices of a person are connected where
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

// NewPresence makes the presence of a house of several nodes. moved is told who came or went, here or elsewhere; online
// says that it is known that they are, else it is to be asked. It must not block.
func NewPresence(wire Messenger, here Sessions, moved func(userID string, online bool)) *Presence {
	p := &Presence{wire: wire, here: here, moved: moved, node: uuid.NewString()[:8],
		remote: map[string]map[string]elsewhere{}, soon: map[string][]coming{}, nodes: map[string]time.Time{}}
	wire.OnMessage(p.onMessage)
	return p
}

func (p *Presence) publish(topic string, w message) {
	w.Node = p.node
	p.wire.PublishMessage(topic, encodeMessage(w))
}

func encodeMessage(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types of strings and numbers always encode
	}
	return b
}

// BeforeOnline tells the other nodes of a device before it hears that it is let in, so that whoever asks after that is
// told of it. What they have of the person, this node knows then too. It returns when the device came, after those that
// were there before it, however the clocks of the nodes differ.
func (p *Presence) BeforeOnline(userID string, d protocol.Device) (at int64) {
	topic := im.UserTopic(userID)
	if p.wire.Subscribe(topic) != nil {
		return d.ConnectedAt
	}
	p.mu.Lock()
	p.soon[userID] = append(p.soon[userID], coming{d, time.Now().Add(comingFor)})
	p.mu.Unlock()
	at = d.ConnectedAt
	for _, answer := range p.request(topic, message{Kind: wordDevices, Devices: p.mine(userID)}, requestTimeout, 1) {
		for _, o := range p.merge(userID, answer) {
			if late := o.ConnectedAt - d.ConnectedAt; late >= 0 && late < clockSkew {
				at = max(at, o.ConnectedAt+1)
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, c := range p.soon[userID] {
		if c.Device == d {
			p.soon[userID][i].ConnectedAt = at
		}
	}
	return at
}

// arrived forgets what was coming of a person and is here now, or is late.
func (p *Presence) arrived(userID string, here []protocol.Device, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := len(p.soon[userID])
	rest := slices.DeleteFunc(p.soon[userID], func(c coming) bool {
		return now.After(c.until) || slices.ContainsFunc(here,
			func(d protocol.Device) bool { return d.DeviceID == c.DeviceID })
	})
	if p.soon[userID] = rest; len(rest) == 0 {
		delete(p.soon, userID)
	}
	for range before - len(rest) {
		_ = p.wire.Unsubscribe(im.UserTopic(userID)) // the sessions that are here follow it
	}
}

// mine lists the devices that a person has on this node, and those that are coming.
func (p *Presence) mine(userID string) []protocol.Device {
	list := p.here.Connected(userID)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.soon[userID] {
		list = withDevice(list, c.Device)
	}
	return list
}

func withDevice(list []protocol.Device, d protocol.Device) []protocol.Device {
	if slices.ContainsFunc(list, func(o protocol.Device) bool { return o.DeviceID == d.DeviceID }) {
		return list
	}
	return append(list, d)
}

// Changed tells the other nodes that a device of a user came to or went from this one; edge says that it was the first
// or last.
func (p *Presence) Changed(userID string, edge bool) {
	p.arrived(userID, p.here.Connected(userID), time.Now())
	devices := p.mine(userID)
	p.publish(im.UserTopic(userID), message{Kind: wordDevices, Devices: devices})
	if len(devices) == 0 {
		p.mu.Lock()
		delete(p.remote, userID) // nobody tells it any more
		p.mu.Unlock()
	}
	p.evictReplaced(userID)
	if edge {
		here := p.here.Connected(userID) // what is only coming may never come
		p.publish(im.StatusTopic(userID), message{Kind: wordMoved, Devices: here})
		p.moved(userID, len(here) > 0)
	}
}

// evictReplaced sends those devices of a person away that newer ones elsewhere replace.
func (p *Presence) evictReplaced(userID string) {
	p.mu.Lock()
	others := maps.Clone(p.remote[userID])
	p.mu.Unlock()
	for node, e := range others {
		p.here.EvictReplaced(userID, e.devices, node > p.node)
	}
}

// view is what this node knows of a person's devices on all nodes.
func (p *Presence) view(userID string) []protocol.Device {
	list := p.mine(userID)
	p.mu.Lock()
	for _, e := range p.remote[userID] {
		for _, d := range e.devices {
			list = withDevice(list, d)
		}
	}
	p.mu.Unlock()
	list = p.here.Allowed(list)
	slices.SortFunc(list, func(a, b protocol.Device) int { return cmp.Compare(a.DeviceID, b.DeviceID) })
	return list
}

// where says which devices of a person are connected where, as this node knows it.
func (p *Presence) where(userID string) map[string][]protocol.Device {
	nodes := map[string][]protocol.Device{}
	if mine := p.mine(userID); len(mine) > 0 {
		nodes[p.node] = mine
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for node, e := range p.remote[userID] {
		nodes[node] = e.devices
	}
	return nodes
}

// merge takes another node's answer, and returns the devices in it.
func (p *Presence) merge(userID string, answer []byte) []protocol.Device {
	var w message
	if json.Unmarshal(answer, &w) != nil {
		return nil
	}
	holds := len(p.mine(userID)) > 0
	list := []protocol.Device{}
	for node, devices := range w.Nodes {
		if node == p.node {
			continue
		}
		for _, d := range devices {
			list = withDevice(list, d)
		}
		if holds {
			p.note(userID, node, devices)
		}
	}
	return p.here.Allowed(list)
}

// note remembers what a person has on another node.
func (p *Presence) note(userID, node string, devices []protocol.Device) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(devices) == 0 {
		if delete(p.remote[userID], node); len(p.remote[userID]) == 0 {
			delete(p.remote, userID)
		}
		return
	}
	if p.remote[userID] == nil {
		p.remote[userID] = map[string]elsewhere{}
	}
	p.remote[userID][node] = elsewhere{devices, time.Now()}
}

func (p *Presence) request(topic string, w message, patience time.Duration, n int) [][]byte {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w.Node = p.node
	return p.wire.Request(ctx, topic, encodeMessage(w), n)
}

// Nodes is how many nodes there are, as far as this one knows.
func (p *Presence) Nodes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return 1 + len(p.nodes)
}

// Connected lists the devices of a user that are connected to any node.
func (p *Presence) Connected(userID string) []protocol.Device {
	if list := p.view(userID); len(list) > 0 {
		return list
	}
	for _, answer := range p.request(im.UserTopic(userID), message{Kind: wordWho}, requestTimeout, 1) {
		return p.merge(userID, answer)
	}
	return []protocol.Device{}
}

// Devices counts the devices of people that are connected to any node. It may ask the others, so it is not for a unit
// of work.
func (p *Presence) Devices(userIDs ...string) []int {
	counts := make([]int, len(userIDs))
	var ask []int
	for i, u := range userIDs {
		if counts[i] = len(p.view(u)); counts[i] == 0 {
			ask = append(ask, i)
		}
	}
	if len(ask) > requestSingly {
		p.requestAll(userIDs, ask, counts)
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

// requestAll asks all nodes about many people.
func (p *Presence) requestAll(userIDs []string, which, counts []int) {
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
	for _, answer := range p.request(nodesTopic, message{Kind: wordHowMany, Users: users}, 2*requestTimeout, others) {
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
	p.publish(im.UserTopic(userID), message{Kind: wordKick, Device: deviceID, But: but})
	for _, d := range all {
		if (d.DeviceID == deviceID || deviceID == "" && d.DeviceID != but) && !slices.Contains(list, d.DeviceID) {
			list = append(list, d.DeviceID)
		}
	}
	slices.Sort(list)
	return list
}

// onMessage takes a word of another node.
func (p *Presence) onMessage(topic string, data []byte, reply func([]byte)) {
	var w message
	if json.Unmarshal(data, &w) != nil || w.Node == p.node {
		return
	}
	user := im.TopicUser(topic)
	switch w.Kind {
	case wordDevices:
		p.onDevices(user, w, reply)
	case wordKick:
		p.here.Kick(user, w.Device, w.But)
	case wordWho:
		if nodes := p.where(user); len(nodes) > 0 {
			reply(encodeMessage(message{Node: p.node, Nodes: nodes}))
		}
	case wordMoved:
		p.moved(im.TopicStatus(topic), len(w.Devices) > 0)
	case wordHowMany:
		counts := make([]int, len(w.Users))
		for i, u := range w.Users {
			counts[i] = len(p.mine(u))
		}
		reply(encodeMessage(counts))
	case wordList:
		p.listed(w, reply)
	case wordAlive:
		p.mu.Lock()
		defer p.mu.Unlock()
		if _, known := p.nodes[w.Node]; !known {
			p.back = true
		}
		p.nodes[w.Node] = time.Now()
	case wordBye:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.nodes[w.Node] = time.Time{} // the next look finds it gone
	}
}

// onDevices notes the devices that a person has on another node.
func (p *Presence) onDevices(user string, w message, reply func([]byte)) {
	if len(p.mine(user)) == 0 {
		return
	}
	p.note(user, w.Node, w.Devices)
	reply(encodeMessage(message{Node: p.node, Nodes: p.where(user)}))
	p.here.EvictReplaced(user, w.Devices, w.Node > p.node)
}

// Run says that this node is there, notices when others are not, and tells anew what may have been lost, until ctx
// ends. statuses lists the people whose presence somebody here watches; lost is told that another node went.
func (p *Presence) Run(ctx context.Context, statuses func() []string, lost func()) error {
	t := time.NewTicker(aliveEvery)
	defer t.Stop()
	var retell []string
	step := 0
	for {
		p.publish(nodesTopic, message{Kind: wordAlive})
		p.expireComing(time.Now())
		if p.expireNodes(time.Now()) {
			for _, u := range statuses() {
				p.moved(u, false)
			}
			lost()
		}
		if len(retell) == 0 {
			retell = p.here.Users()
			step = 1 + len(retell)/republishAll
		}
		n := min(len(retell), step)
		for _, u := range retell[:n] {
			p.publish(im.UserTopic(u), message{Kind: wordDevices, Devices: p.mine(u)})
		}
		retell = retell[n:]
		select {
		case <-ctx.Done():
			p.publish(nodesTopic, message{Kind: wordBye})
			return nil
		case <-t.C:
		}
	}
}

// expireComing forgets the devices that were coming and did not come.
func (p *Presence) expireComing(now time.Time) {
	p.mu.Lock()
	var late []string
	for user, list := range p.soon {
		if slices.ContainsFunc(list, func(c coming) bool { return now.After(c.until) }) {
			late = append(late, user)
		}
	}
	p.mu.Unlock()
	for _, user := range late {
		p.Changed(user, len(p.here.Connected(user)) == 0)
	}
}

// expireNodes forgets the nodes that are silent, and what they had. It reports whether one went or came.
func (p *Presence) expireNodes(now time.Time) (changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed, p.back = p.back, false
	for node, at := range p.nodes {
		if now.Sub(at) > aliveFor {
			delete(p.nodes, node)
			changed = true
		}
	}
	for user, nodes := range p.remote {
		for node, e := range nodes {
			if _, alive := p.nodes[node]; !alive && now.Sub(e.at) > aliveFor || now.Sub(e.at) > forgetAfter {
				delete(nodes, node)
			}
		}
		if len(nodes) == 0 {
			delete(p.remote, user)
		}
	}
	return changed
}
