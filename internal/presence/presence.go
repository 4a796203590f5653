// Package presence knows which devices of users are connected to which nodes of a cluster.
//
// It is best effort and not stored. It carries no records.
package presence

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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

// Messenger sends messages between nodes, in order. It may lose them, and reports the losses in shards.
type Messenger interface {
	// PublishMessage sends a message to the nodes that are subscribed to the shard of a topic.
	PublishMessage(topic string, data []byte)
	// SendMessage sends a message to a node, or to all other nodes if node is empty.
	SendMessage(node string, data []byte)
	// Request sends a message as SendMessage does, and returns up to n responses.
	Request(ctx context.Context, node string, data []byte, n int) [][]byte
	OnMessage(func(topic string, data []byte, reply func([]byte)))
	OnHeartbeat(func(node string))
	OnLoss(func(node string, shards []int))
	Subscribe(topic string) error
	Unsubscribe(topic string) error
	SubscribeShard(shard int) error
	UnsubscribeShard(shard int) error
}

// Keepers returns the node that keeps the directory of a shard.
type Keepers interface {
	// Keeper returns the node that keeps a shard; empty = unknown.
	Keeper(shard int) string
	// Others returns the other nodes, and whether these are all.
	Others() (nodes []string, all bool)
}

// Presence tracks the connected devices of users on all nodes. A node informs the shard of a user's topic when it
// connects or loses a device. Two kinds of nodes take note: those with a device of the same user, and the keeper of the
// shard, which answers queries. Presence is best effort and never stored: errors concern acknowledgements, pushes and
// online statuses, never the outcome of an invitation (docs/adr/0034).
//
// mu guards all fields below it. publishing is held from the reading of devices until their message is queued, so that
// the last message about a user has the last devices.
type Presence struct {
	wire     Messenger
	keepers  Keepers
	local    Sessions
	watched  func(userID string) bool
	onChange func(userID string, online bool)
	node     string

	publishing sync.Mutex
	version    atomic.Uint64 // of the messages of this node; devices that are read after it are at least as new

	tasks chan func() // that may wait: evictions

	mu       sync.Mutex
	remote   directory
	pending  map[string][]pendingDevice // devices admitted but not connected yet, by user
	rejoined bool                       // a new node appeared: its earlier messages are unknown
	asked    map[int]string             // shards of which a keeper asked for the state
	// unanswered has the shards with a query that a node did not answer, with the time of the first one.
	unanswered map[int]time.Time
	missed     map[int]int // shards in which changes of statuses may have been lost: see statusQueries
}

// pendingDevice is a device that was admitted but is not connected yet. This node is subscribed to the topic of its
// user.
type pendingDevice struct {
	protocol.Device
	until time.Time
}

const (
	tick           = time.Second
	nodeTimeout    = 5 * time.Second        // a silent node is considered dead after this
	pendingTimeout = 10 * time.Second       // an admitted device that has not connected by then has failed
	requestTimeout = 250 * time.Millisecond // timeout of a request to one node
	clockSkew      = 2000                   // assumed clock difference between nodes, in milliseconds
	// maxSingleRequests is the most users that are queried one by one; more take one request to all nodes.
	maxSingleRequests = 8
	maxCounted        = 500  // users in one request to all nodes
	maxTasks          = 4096 // that wait for Run
)

// Options configures a Presence. All fields are required.
type Options struct {
	Node    string // the name of this node
	Wire    Messenger
	Keepers Keepers
	Local   Sessions
	// Watched reports whether a session on this node is subscribed to the online status of a user.
	Watched func(userID string) bool
	// OnChange is called when a user connects or disconnects on any node; online means that the user is known to be
	// online, otherwise presence has to be queried. It must not block.
	OnChange func(userID string, online bool)
}

// New returns the presence of a cluster.
func New(opt Options) *Presence {
	p := &Presence{wire: opt.Wire, keepers: opt.Keepers, local: opt.Local, watched: opt.Watched, onChange: opt.OnChange,
		node: opt.Node, remote: newDirectory(), pending: map[string][]pendingDevice{},
		asked: map[int]string{}, tasks: make(chan func(), maxTasks),
		missed: map[int]int{}, unanswered: map[int]time.Time{}}
	p.wire.OnMessage(p.onMessage)
	p.wire.OnHeartbeat(p.onHeartbeat)
	p.wire.OnLoss(p.onLoss)
	return p
}

// publishDevices publishes the devices of a user on this node, and returns them. publishing must be held.
func (p *Presence) publishDevices(userID string) []protocol.Device {
	version := p.version.Add(1)
	list := p.localDevices(userID)
	p.publish(im.UserTopic(userID), message{Kind: messageDevices, User: userID, Devices: list, Version: version})
	return list
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
	p.publishing.Lock()
	p.publishDevices(userID)
	p.publishing.Unlock()
	nodes, complete := p.who(userID)
	list := p.noteAll(userID, nodes)
	if !complete {
		p.mu.Lock()
		p.remote.push[shardOf(userID)] = struct{}{} // an answer may have come too late
		p.mu.Unlock()
	}
	for _, o := range p.local.Allowed(list) {
		if ahead := o.ConnectedAt - d.ConnectedAt; ahead >= 0 && ahead < clockSkew {
			at = max(at, o.ConnectedAt+1)
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

// localUsers returns the users with a device on this node, including pending ones.
func (p *Presence) localUsers() []string {
	list := p.local.Users()
	p.mu.Lock()
	defer p.mu.Unlock()
	for user := range p.pending {
		list = append(list, user)
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
	online := p.publishChange(userID, edge)
	p.evictReplaced(userID)
	if edge {
		p.onChange(userID, online)
	}
}

// publishChange publishes the devices of a user on this node and, with edge, that the online status may have changed.
func (p *Presence) publishChange(userID string, edge bool) (online bool) {
	p.publishing.Lock()
	defer p.publishing.Unlock()
	if len(p.publishDevices(userID)) == 0 {
		p.mu.Lock()
		p.remote.forgetUser(userID) // this node is no longer informed, or keeps the shard
		p.mu.Unlock()
	}
	local := p.local.Connected(userID) // pending devices do not count: they may never connect
	if edge {
		p.publish(im.StatusTopic(userID), message{Kind: messageMoved, Devices: local, Version: p.version.Load()})
	}
	return len(local) > 0
}

// evictReplaced closes the sessions of a user that newer devices on other nodes replace.
func (p *Presence) evictReplaced(userID string) {
	p.mu.Lock()
	others := p.remote.of(userID)
	p.mu.Unlock()
	for _, e := range others {
		p.local.EvictReplaced(userID, e.devices, e.node > p.node)
	}
}

// view returns the user's devices on all nodes, as far as this node knows.
func (p *Presence) view(userID string) []protocol.Device {
	list := p.localDevices(userID)
	p.mu.Lock()
	var others []remoteDevices
	if len(list) > 0 || p.remote.kept[shardOf(userID)] { // otherwise this node is not informed any more
		others = p.remote.of(userID)
	}
	p.mu.Unlock()
	for _, e := range others {
		for _, d := range e.devices {
			list = withDevice(list, d)
		}
	}
	list = p.local.Allowed(list)
	slices.SortFunc(list, func(a, b protocol.Device) int { return cmp.Compare(a.DeviceID, b.DeviceID) })
	return list
}

// byNode returns the user's devices by node, as far as this node knows. A node whose last device left lately has none.
func (p *Presence) byNode(userID string) map[string]devices {
	nodes := map[string]devices{}
	version := p.version.Load()
	if list := p.localDevices(userID); len(list) > 0 {
		nodes[p.node] = devices{list, version}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.remote.all(userID) {
		nodes[e.node] = devices{e.devices, e.version}
	}
	return nodes
}

// noteAll returns the devices of a user on other nodes, and stores them if the user has a device on this node.
func (p *Presence) noteAll(userID string, nodes map[string]devices) []protocol.Device {
	present := len(p.localDevices(userID)) > 0
	list := []protocol.Device{}
	for node, e := range nodes {
		e, ok := p.latest(userID, node, e)
		if !ok || node == p.node {
			continue
		}
		for _, d := range e.Devices {
			list = withDevice(list, d)
		}
		if present {
			p.note(userID, node, e)
		}
	}
	return list
}

func (p *Presence) latest(userID, node string, e devices) (devices, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.remote.latest(userID, node, e)
}

func (p *Presence) note(userID, node string, e devices) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remote.note(userID, remoteDevices{node, e.Devices, e.Version, time.Now()})
}

// request sends a request to a node, or to all others if node is empty.
func (p *Presence) request(node string, w message, timeout time.Duration, n int) [][]byte {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	w.Node = p.node
	return p.wire.Request(ctx, node, encodeMessage(w), n)
}

// Nodes returns the number of known nodes, including this one.
func (p *Presence) Nodes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 1
	for _, o := range p.remote.nodes {
		if o.leaving.IsZero() {
			n++
		}
	}
	return n
}

// Known returns the devices of a user that are connected to any node, as far as this node knows, without a query.
func (p *Presence) Known(userID string) []protocol.Device { return p.view(userID) }

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
