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

// Sessions are the connected devices on this node.
type Sessions interface {
	Connected(userID string) []protocol.Device
	// Kick closes the connections of one device of a user or, if deviceID is empty, of all devices except one. It returns
	// the device IDs.
	Kick(userID, deviceID, except string) []string
	// Allowed returns the devices of a user that the device policy permits at the same time.
	Allowed([]protocol.Device) []protocol.Device
	// EvictReplaced closes the sessions of a user that newer devices on another node replace; wins breaks ties between
	// connections of one device with the same connect time.
	EvictReplaced(userID string, others []protocol.Device, wins bool)
	// List returns connections on this node, sorted by user and device, and their total number.
	List(prefix, afterUser, afterDevice string, limit int) ([]protocol.Connection, int)
	// Users returns the users with a device on this node.
	Users() []string
	// Probe pings the sessions of a user; a device that does not answer is no longer connected. It must not block.
	Probe(userID string)
}

// Messenger sends messages between the nodes that subscribe to a topic. It may lose them.
type Messenger interface {
	PublishMessage(topic string, data []byte)
	Request(ctx context.Context, topic string, data []byte, n int) [][]byte
	OnMessage(func(topic string, data []byte, reply func([]byte)))
	Subscribe(topic string) error
	Unsubscribe(topic string) error
}

// Presence tracks the connected devices of users on all nodes. Nodes that hold devices of the same user subscribe to
// that user's topic and inform each other, so any of them can answer a query for all. Presence is best effort and never
// stored: missing data makes an acknowledgement less informed, never wrong.
//
// mu guards all fields below it.
type Presence struct {
	wire     Messenger
	local    Sessions
	onChange func(userID string, online bool)
	node     string

	mu       sync.Mutex
	remote   map[string]map[string]remoteDevices // by user and node
	pending  map[string][]pendingDevice          // devices admitted but not connected yet, by user
	nodes    map[string]time.Time                // last message of each other node
	rejoined bool                                // an unknown node appeared: its earlier messages are unknown too
}

// pendingDevice is a device that was admitted but is not connected yet. This node is subscribed to the topic of its
// user.
type pendingDevice struct {
	protocol.Device
	until time.Time
}

// remoteDevices are the devices of a user on another node.
type remoteDevices struct {
	devices []protocol.Device
	at      time.Time
}

const (
	heartbeatInterval = time.Second
	nodeTimeout       = 5 * time.Second        // a silent node is considered dead after this
	pendingTimeout    = 10 * time.Second       // an admitted device that has not connected by then has failed
	remoteTTL         = 3 * time.Minute        // remote devices that were not republished are dropped
	requestTimeout    = 250 * time.Millisecond // timeout of a request to one node
	clockSkew         = 2000                   // assumed clock difference between nodes, in milliseconds
	// republishPeriod is the number of heartbeats in which the devices of all local users are republished, in case
	// messages were lost.
	republishPeriod = 60
	// maxSingleRequests is the most users that are queried on their own topics; more take one request to all nodes.
	maxSingleRequests = 8
)

// message is the JSON message between nodes.
type message struct {
	Node    string            `json:"node"`
	Kind    string            `json:"kind"`
	Devices []protocol.Device `json:"devices,omitempty"`
	Device  string            `json:"device,omitempty"`
	Except  string            `json:"but,omitempty"`
	Users   []string          `json:"users,omitempty"`

	Nodes map[string][]protocol.Device `json:"nodes,omitempty"` // devices of a user by node
}

// Message kinds.
const (
	messageDevices = "devices" // the sender's devices of this user
	messageKick    = "kick"    // kick these devices
	messageProbe   = "probe"   // ping the devices of this user
	messageWho     = "who"     // request for the user's devices on all nodes
	messageMoved   = "moved"   // the online status of a user may have changed
	messageAlive   = "alive"   // heartbeat
	messageBye     = "bye"     // shutdown
	messageCount   = "howmany" // request for the number of devices of each of these users
)

// NewPresence returns the presence of a cluster. onChange is called when a user connects or disconnects on any node;
// online means that the user is known to be online, otherwise presence has to be queried. It must not block.
func NewPresence(wire Messenger, local Sessions, onChange func(userID string, online bool)) *Presence {
	p := &Presence{wire: wire, local: local, onChange: onChange, node: uuid.NewString()[:8],
		remote: map[string]map[string]remoteDevices{}, pending: map[string][]pendingDevice{}, nodes: map[string]time.Time{}}
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
		panic(err) // our own types always encode
	}
	return b
}

// BeforeOnline publishes a device to the other nodes before the device receives its connect reply, so that later
// queries include it, and learns the user's devices on other nodes. It returns the connect time, later than those of
// the devices that were connected before, even if the clocks of the nodes differ.
func (p *Presence) BeforeOnline(userID string, d protocol.Device) (at int64) {
	topic := im.UserTopic(userID)
	if p.wire.Subscribe(topic) != nil {
		return d.ConnectedAt
	}
	p.mu.Lock()
	p.pending[userID] = append(p.pending[userID], pendingDevice{d, time.Now().Add(pendingTimeout)})
	p.mu.Unlock()
	at = d.ConnectedAt
	req := message{Kind: messageDevices, Devices: p.localDevices(userID)}
	for _, answer := range p.request(topic, req, requestTimeout, 1) {
		for _, o := range p.merge(userID, answer) {
			if ahead := o.ConnectedAt - d.ConnectedAt; ahead >= 0 && ahead < clockSkew {
				at = max(at, o.ConnectedAt+1)
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, c := range p.pending[userID] {
		if c.Device == d {
			p.pending[userID][i].ConnectedAt = at
		}
	}
	return at
}

// arrived removes pending devices that have connected or expired.
func (p *Presence) arrived(userID string, local []protocol.Device, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := len(p.pending[userID])
	rest := slices.DeleteFunc(p.pending[userID], func(c pendingDevice) bool {
		return now.After(c.until) || slices.ContainsFunc(local,
			func(d protocol.Device) bool { return d.DeviceID == c.DeviceID })
	})
	if p.pending[userID] = rest; len(rest) == 0 {
		delete(p.pending, userID)
	}
	for range before - len(rest) {
		_ = p.wire.Unsubscribe(im.UserTopic(userID)) // the connected sessions are subscribed themselves
	}
}

// localDevices returns the devices of a user on this node, including pending ones.
func (p *Presence) localDevices(userID string) []protocol.Device {
	list := p.local.Connected(userID)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.pending[userID] {
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

// Changed publishes that a device of a user has connected to or disconnected from this node; edge marks the first or
// last device.
func (p *Presence) Changed(userID string, edge bool) {
	p.arrived(userID, p.local.Connected(userID), time.Now())
	devices := p.localDevices(userID)
	p.publish(im.UserTopic(userID), message{Kind: messageDevices, Devices: devices})
	if len(devices) == 0 {
		p.mu.Lock()
		delete(p.remote, userID) // this node is no longer informed
		p.mu.Unlock()
	}
	p.evictReplaced(userID)
	if edge {
		local := p.local.Connected(userID) // pending devices do not count: they may never connect
		p.publish(im.StatusTopic(userID), message{Kind: messageMoved, Devices: local})
		p.onChange(userID, len(local) > 0)
	}
}

// evictReplaced closes the sessions of a user that newer devices on other nodes replace.
func (p *Presence) evictReplaced(userID string) {
	p.mu.Lock()
	others := maps.Clone(p.remote[userID])
	p.mu.Unlock()
	for node, e := range others {
		p.local.EvictReplaced(userID, e.devices, node > p.node)
	}
}

// view returns the user's devices on all nodes, as far as this node knows.
func (p *Presence) view(userID string) []protocol.Device {
	list := p.localDevices(userID)
	p.mu.Lock()
	for _, e := range p.remote[userID] {
		for _, d := range e.devices {
			list = withDevice(list, d)
		}
	}
	p.mu.Unlock()
	list = p.local.Allowed(list)
	slices.SortFunc(list, func(a, b protocol.Device) int { return cmp.Compare(a.DeviceID, b.DeviceID) })
	return list
}

// byNode returns the user's devices by node, as far as this node knows.
func (p *Presence) byNode(userID string) map[string][]protocol.Device {
	nodes := map[string][]protocol.Device{}
	if localDevices := p.localDevices(userID); len(localDevices) > 0 {
		nodes[p.node] = localDevices
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for node, e := range p.remote[userID] {
		nodes[node] = e.devices
	}
	return nodes
}

// merge returns the devices in the response of another node, and stores them if the user has a device on this node.
func (p *Presence) merge(userID string, answer []byte) []protocol.Device {
	var w message
	if json.Unmarshal(answer, &w) != nil {
		return nil
	}
	present := len(p.localDevices(userID)) > 0
	list := []protocol.Device{}
	for node, devices := range w.Nodes {
		if node == p.node {
			continue
		}
		for _, d := range devices {
			list = withDevice(list, d)
		}
		if present {
			p.note(userID, node, devices)
		}
	}
	return p.local.Allowed(list)
}

// note stores the devices of a user on another node.
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
		p.remote[userID] = map[string]remoteDevices{}
	}
	p.remote[userID][node] = remoteDevices{devices, time.Now()}
}

func (p *Presence) request(topic string, w message, timeout time.Duration, n int) [][]byte {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	w.Node = p.node
	return p.wire.Request(ctx, topic, encodeMessage(w), n)
}

// Nodes returns the number of known nodes, including this one.
func (p *Presence) Nodes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return 1 + len(p.nodes)
}

// Connected returns the devices of a user that are connected to any node.
func (p *Presence) Connected(userID string) []protocol.Device {
	if list := p.view(userID); len(list) > 0 {
		return list
	}
	for _, answer := range p.request(im.UserTopic(userID), message{Kind: messageWho}, requestTimeout, 1) {
		return p.merge(userID, answer)
	}
	return []protocol.Device{}
}

// Known returns the devices of a user that are connected to any node, as far as this node knows, without a query.
func (p *Presence) Known(userID string) []protocol.Device { return p.view(userID) }

// Devices returns the number of devices of each user that are connected to any node. It may query other nodes, so it
// must not be called within a transaction.
func (p *Presence) Devices(userIDs ...string) []int {
	counts := make([]int, len(userIDs))
	var unknown []int
	for i, u := range userIDs {
		if counts[i] = len(p.view(u)); counts[i] == 0 {
			unknown = append(unknown, i)
		}
	}
	if len(unknown) > maxSingleRequests {
		p.requestAll(userIDs, unknown, counts)
		return counts
	}
	var g errgroup.Group
	for _, i := range unknown {
		g.Go(func() error {
			counts[i] = len(p.Connected(userIDs[i]))
			return nil
		})
	}
	_ = g.Wait() // never fails
	return counts
}

// requestAll queries all nodes for the users at the given indexes and adds to their counts.
func (p *Presence) requestAll(userIDs []string, indexes, counts []int) {
	users := make([]string, len(indexes))
	for i, k := range indexes {
		users[i] = userIDs[k]
	}
	p.mu.Lock()
	others := len(p.nodes)
	p.mu.Unlock()
	if others == 0 {
		return
	}
	for _, answer := range p.request(nodesTopic, message{Kind: messageCount, Users: users}, 2*requestTimeout, others) {
		var response []int
		if json.Unmarshal(answer, &response) != nil || len(response) != len(indexes) {
			continue
		}
		for i, k := range indexes {
			counts[k] += response[i]
		}
	}
}

// Kick closes the connections of one device of a user on all nodes or, if deviceID is empty, of all devices except one.
// It returns the device IDs.
func (p *Presence) Kick(userID, deviceID, except string) []string {
	all := p.Connected(userID)
	list := p.local.Kick(userID, deviceID, except)
	p.publish(im.UserTopic(userID), message{Kind: messageKick, Device: deviceID, Except: except})
	for _, d := range all {
		if (d.DeviceID == deviceID || deviceID == "" && d.DeviceID != except) && !slices.Contains(list, d.DeviceID) {
			list = append(list, d.DeviceID)
		}
	}
	slices.Sort(list)
	return list
}

// Probe pings the devices of a user on all nodes. A device that does not answer within a second is no longer connected.
func (p *Presence) Probe(userID string) {
	p.local.Probe(userID)
	p.publish(im.UserTopic(userID), message{Kind: messageProbe})
}

// onMessage handles a message from another node.
func (p *Presence) onMessage(topic string, data []byte, reply func([]byte)) {
	var w message
	if json.Unmarshal(data, &w) != nil || w.Node == p.node {
		return
	}
	user := im.TopicUser(topic)
	switch w.Kind {
	case messageDevices:
		p.onDevices(user, w, reply)
	case messageKick:
		p.local.Kick(user, w.Device, w.Except)
	case messageProbe:
		p.local.Probe(user)
	case messageWho:
		if nodes := p.byNode(user); len(nodes) > 0 {
			reply(encodeMessage(message{Node: p.node, Nodes: nodes}))
		}
	case messageMoved:
		p.onChange(im.TopicStatus(topic), len(w.Devices) > 0)
	case messageCount:
		counts := make([]int, len(w.Users))
		for i, u := range w.Users {
			counts[i] = len(p.localDevices(u))
		}
		reply(encodeMessage(counts))
	case messageList:
		p.listed(w, reply)
	case messageAlive:
		p.mu.Lock()
		defer p.mu.Unlock()
		if _, known := p.nodes[w.Node]; !known {
			p.rejoined = true
		}
		p.nodes[w.Node] = time.Now()
	case messageBye:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.nodes[w.Node] = time.Time{} // the next check removes it
	}
}

// onDevices stores the devices of a user on another node, and responds with those known here.
func (p *Presence) onDevices(user string, w message, reply func([]byte)) {
	if len(p.localDevices(user)) == 0 {
		return
	}
	p.note(user, w.Node, w.Devices)
	reply(encodeMessage(message{Node: p.node, Nodes: p.byNode(user)}))
	p.local.EvictReplaced(user, w.Devices, w.Node > p.node)
}
