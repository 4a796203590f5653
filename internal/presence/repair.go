package presence

import (
	"hash/crc64"
	"slices"
	"strconv"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/delivery"
	"github.com/beckon-im/beckon/protocol"
)

// Nodes repair their directories:
//
//   - A keeper asks a node for the state of a shard (messageSync) when it begins to keep it, when the node appears, and
//     after a loss. The state (messageState) is all devices of the node's users in the shard.
//   - A node that may have missed something in a shard of another keeper sends its state without being asked.
//   - The keeper answers each state with the devices of these users on other nodes (messageShared), and informs other
//     nodes whose users are concerned.
//   - Once a minute a node sends its keepers digests of its entries in each shard, against unnoticed losses. The
//     keeper asks for the states of shards that differ.

const (
	maxSync     = 128 // shards that are asked for, or sent, in one heartbeat and for each node
	askAgain    = 3 * time.Second
	digestEvery = time.Minute
)

// askStates asks for the states that this node needs as a keeper.
func (p *Presence) askStates(now time.Time) {
	p.mu.Lock()
	ask := map[string][]int{}
	for name, n := range p.remote.nodes {
		for shard, r := range n.stale {
			if now.Sub(r.asked) > askAgain && len(ask[name]) < maxSync {
				r.asked = now
				ask[name] = append(ask[name], shard)
			}
		}
	}
	p.mu.Unlock()
	for node, shards := range ask {
		p.wire.SendMessage(node, encodeMessage(message{Node: p.node, Kind: messageSync, Shards: shards}))
	}
}

// onSync notes that a keeper asks for the states of shards. Run sends them: it takes long.
func (p *Presence) onSync(w message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, shard := range w.Shards {
		if shard >= 0 && shard < delivery.Shards {
			p.asked[shard] = w.Node
		}
	}
}

// sendStates sends the states that keepers asked for, and those of shards in which this node may lack messages.
func (p *Presence) sendStates() {
	states := map[int]*message{} // by shard
	to := map[int]string{}
	p.mu.Lock()
	for shard, keeper := range p.asked {
		if len(states) == maxSync {
			break
		}
		delete(p.asked, shard)
		states[shard], to[shard] = &message{}, keeper
	}
	for shard := range p.remote.push {
		keeper := p.remote.keepers[shard]
		if len(states) == maxSync {
			break
		}
		if keeper == "" {
			continue // not known yet
		}
		if delete(p.remote.push, shard); keeper != p.node && states[shard] == nil {
			states[shard], to[shard] = &message{}, keeper
		}
	}
	p.mu.Unlock()
	if len(states) == 0 {
		return
	}
	version := p.version.Add(1) // a device that connects from now on has a later one
	for shard, m := range states {
		m.Node, m.Kind, m.Shards, m.Version = p.node, messageState, []int{shard}, version
		m.State = map[string][]protocol.Device{}
	}
	for _, user := range p.localUsers() { // some twice
		if m := states[shardOf(user)]; m != nil {
			m.State[user] = p.localDevices(user)
		}
	}
	for shard, m := range states {
		p.wire.SendMessage(to[shard], encodeMessage(*m))
	}
}

// onState takes the devices of all users of a shard on another node.
func (p *Presence) onState(w message) {
	if len(w.Shards) != 1 || w.Shards[0] < 0 || w.Shards[0] >= delivery.Shards {
		return
	}
	shard := w.Shards[0]
	others, all := p.keepers.Others()
	p.mu.Lock()
	if !p.remote.kept[shard] {
		p.mu.Unlock()
		return
	}
	concerned, repaired := p.remote.replace(shard, w.Node, w.State, w.Version)
	complete := all && p.remote.complete(shard, others)
	p.mu.Unlock()
	if len(repaired) > 0 { // this node may have answered queries wrongly
		repair := message{Node: p.node, Kind: messageRepaired, Users: repaired}
		p.publish(im.StatusTopic(repaired[0]), repair)
		p.onRepaired(repair)
	}
	byNode := map[string]map[string]map[string]devices{w.Node: {}}
	for _, user := range concerned {
		nodes := p.byNode(user)
		if len(nodes) < 2 {
			continue
		}
		for node, e := range nodes {
			switch {
			case node == p.node:
				p.later(func() { p.evictReplaced(user) })
			case len(e.Devices) == 0 && node != w.Node: // it has left
			case byNode[node] == nil:
				byNode[node] = map[string]map[string]devices{user: nodes}
			default:
				byNode[node][user] = nodes
			}
		}
	}
	for node, shared := range byNode {
		m := message{Node: p.node, Kind: messageShared, Shared: shared, Complete: complete}
		if node == w.Node {
			m.Shards = w.Shards // all users of the shard that the node shares
		}
		p.wire.SendMessage(node, encodeMessage(m))
	}
}

// onShared takes the devices of users on other nodes, as their keeper knows them: of some users or, with a shard, of
// all that this node has.
func (p *Presence) onShared(w message) {
	now := time.Now()
	for user, nodes := range w.Shared {
		if w.Complete {
			p.mu.Lock()
			p.remote.confirm(user, nodes, now)
			p.mu.Unlock()
		}
		if len(p.noteAll(user, nodes)) > 0 {
			p.later(func() { p.evictReplaced(user) })
		}
	}
	if !w.Complete {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, shard := range w.Shards {
		if shard < 0 || shard >= delivery.Shards || p.remote.kept[shard] {
			continue
		}
		for user := range p.remote.users[shard] {
			if w.Shared[user] == nil {
				p.remote.confirm(user, nil, now)
			}
		}
	}
}

// onRepaired queries the statuses of users about whom the keeper lacked messages.
func (p *Presence) onRepaired(w message) {
	for _, user := range w.Users {
		if p.watched(user) {
			p.onChange(user, false)
		}
	}
}

// digest is two sums of a shard: of the devices that a node has, and of those that it knows of the same users on other
// nodes.
type digest [2]uint64

var polynomial = crc64.MakeTable(crc64.ECMA)

// sum is of the devices of a user on a node. Sums of different users and nodes are combined by exclusive or.
func sum(user, node string, list []protocol.Device) (total uint64) {
	for _, d := range list {
		total ^= crc64.Checksum([]byte(user+"\x00"+node+"\x00"+d.DeviceID+"\x00"+strconv.FormatInt(d.ConnectedAt, 36)),
			polynomial)
	}
	return total
}

// sendDigests sends the digests of all shards to their keepers, and removes entries about which this node is no longer
// informed.
func (p *Presence) sendDigests() {
	var digests [delivery.Shards]digest
	users := p.localUsers()
	slices.Sort(users)
	users = slices.Compact(users)
	p.mu.Lock()
	p.remote.tidy(users, time.Now())
	p.mu.Unlock()
	for _, user := range users {
		d := &digests[shardOf(user)]
		d[0] ^= sum(user, p.node, p.localDevices(user))
		p.mu.Lock()
		for _, e := range p.remote.of(user) {
			d[1] ^= sum(user, e.node, e.devices)
		}
		p.mu.Unlock()
	}
	byKeeper := map[string]map[int]digest{}
	p.mu.Lock()
	for shard, keeper := range p.remote.keepers {
		if keeper != "" && keeper != p.node {
			if byKeeper[keeper] == nil {
				byKeeper[keeper] = map[int]digest{}
			}
			byKeeper[keeper][shard] = digests[shard]
		}
	}
	p.mu.Unlock()
	for keeper, m := range byKeeper {
		p.wire.SendMessage(keeper, encodeMessage(message{Node: p.node, Kind: messageDigest, Digests: m}))
	}
}

// onDigest compares the digests of a node with the directory of this node, the keeper.
func (p *Presence) onDigest(w message) {
	for shard, theirs := range w.Digests {
		if shard < 0 || shard >= delivery.Shards {
			continue
		}
		var ours digest
		p.mu.Lock()
		users := p.remote.users[shard]
		shared := map[string][]remoteDevices{}
		for user, list := range users {
			for _, e := range list {
				if e.node == w.Node && len(e.devices) > 0 {
					shared[user] = list
				}
			}
		}
		p.mu.Unlock()
		for user, list := range shared {
			for _, e := range list {
				if e.node == w.Node {
					ours[0] ^= sum(user, e.node, e.devices)
				} else {
					ours[1] ^= sum(user, e.node, e.devices)
				}
			}
			ours[1] ^= sum(user, p.node, p.localDevices(user))
		}
		p.mu.Lock()
		if n := p.remote.nodes[w.Node]; n != nil && ours != theirs && p.remote.kept[shard] && n.stale[shard] == nil {
			n.stale[shard] = &repair{lost: ours[0] != theirs[0]}
		}
		p.mu.Unlock()
	}
}
