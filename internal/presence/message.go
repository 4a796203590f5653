package presence

import (
	"encoding/json"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// message is the JSON message between nodes.
type message struct {
	Node    string            `json:"node"`
	Kind    string            `json:"kind"`
	Version uint64            `json:"version,omitempty"` // of the sender's devices
	User    string            `json:"user,omitempty"`
	Devices []protocol.Device `json:"devices,omitempty"`
	Device  string            `json:"device,omitempty"`
	Except  string            `json:"but,omitempty"`
	Users   []string          `json:"users,omitempty"`

	Digests  map[int]digest                `json:"digests,omitempty"`  // by shard
	Complete bool                          `json:"complete,omitempty"` // the keeper knows the devices on all nodes
	Shards   []int                         `json:"shards,omitempty"`
	State    map[string][]protocol.Device  `json:"state,omitempty"`  // the sender's devices of the users of a shard
	Shared   map[string]map[string]devices `json:"shared,omitempty"` // devices by user and node
}

// devices are the devices of a user on one node.
type devices struct {
	Devices []protocol.Device `json:"devices"`
	Version uint64            `json:"version"`
}

// answer is the response to messageWho and messageAsk.
type answer struct {
	Complete bool               `json:"complete"` // the sender keeps the shard, and knows all nodes' devices
	Nodes    map[string]devices `json:"nodes"`    // devices of the user
}

// Message kinds.
const (
	messageDevices = "devices" // the sender's devices of a user
	messageKick    = "kick"    // kick these devices
	messageProbe   = "probe"   // ping the devices of this user
	messageMoved   = "moved"   // the online status of a user may have changed
	// messageRepaired is sent by the keeper of a shard: it may not have known all devices of these users for a moment.
	messageRepaired = "repaired"
	messageBye      = "bye"     // shutdown
	messageWho      = "who"     // request to the keeper: a user's devices on all nodes
	messageAsk      = "ask"     // request to all nodes: their devices of a user
	messageCount    = "howmany" // request to all nodes: the number of devices of each of these users
	messageSync     = "sync"    // the keeper asks for the state of shards
	messageState    = "state"   // the sender's devices of all users of a shard, to its keeper
	messageDigest   = "digest"  // sums of shards, to their keepers
	messageShared   = "shared"  // the devices of users with devices on several nodes, from the keeper
)

func encodeMessage(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types always encode
	}
	return b
}

// publish sends a message to the nodes that are subscribed to the shard of a topic.
func (p *Presence) publish(topic string, w message) {
	w.Node = p.node
	p.wire.PublishMessage(topic, encodeMessage(w))
}

// onMessage handles a message from another node.
func (p *Presence) onMessage(topic string, data []byte, reply func([]byte)) {
	user := im.TopicUser(topic)
	if user != "" && !p.concerns(user) {
		return // most messages about users are for other nodes
	}
	var w message
	if json.Unmarshal(data, &w) != nil || w.Node == p.node {
		return
	}
	switch w.Kind {
	case messageDevices:
		p.onDevices(w)
	case messageKick:
		p.later(func() { p.local.Kick(user, w.Device, w.Except) })
	case messageProbe:
		p.local.Probe(user)
	case messageMoved:
		if user := im.TopicStatus(topic); p.watched(user) {
			if len(w.Devices) == 0 { // the keeper may be informed later than this node
				p.note(user, w.Node, devices{Version: w.Version})
			}
			p.onChange(user, len(w.Devices) > 0)
		}
	case messageRepaired:
		p.onRepaired(w)
	case messageWho:
		complete := p.complete(w.User)
		reply(encodeMessage(answer{complete, p.byNode(w.User)}))
	case messageAsk:
		nodes := p.byNode(w.User)
		for node := range nodes {
			if node != p.node { // the other nodes answer themselves
				delete(nodes, node)
			}
		}
		reply(encodeMessage(answer{Nodes: nodes}))
	case messageCount:
		counts := make([]int, len(w.Users))
		for i, u := range w.Users {
			counts[i] = len(p.localDevices(u))
		}
		reply(encodeMessage(counts))
	case messageList:
		p.listed(w, reply)
	case messageSync:
		p.onSync(w)
	case messageState:
		p.onState(w)
	case messageShared:
		p.onShared(w)
	case messageDigest:
		p.later(func() { p.onDigest(w) })
	case messageBye:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.remote.leaving(w.Node, time.Now())
	}
}

// concerns reports whether this node has a device of a user, or keeps the shard.
func (p *Presence) concerns(user string) bool {
	p.mu.Lock()
	kept := p.remote.kept[shardOf(user)]
	p.mu.Unlock()
	return kept || len(p.localDevices(user)) > 0
}

// onDevices stores the devices of a user on another node.
func (p *Presence) onDevices(w message) {
	p.note(w.User, w.Node, devices{w.Devices, w.Version})
	if len(p.localDevices(w.User)) > 0 {
		p.later(func() { p.local.EvictReplaced(w.User, w.Devices, w.Node > p.node) })
	}
}
