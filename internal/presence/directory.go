package presence

import (
	"maps"
	"slices"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/delivery"
	"github.com/beckon-im/beckon/protocol"
)

// directory has the devices on other nodes: those of all users in the shards that this node keeps, and those of users
// that have a device on this node too. The mutex of its Presence guards it.
type directory struct {
	users   [delivery.Shards]map[string][]remoteDevices
	kept    [delivery.Shards]bool
	keepers [delivery.Shards]string // as this node knew them last
	nodes   map[string]*otherNode
	// silent has the nodes with entries but no heartbeat, with the time of the first entry. They are dropped as late as
	// nodes whose heartbeats end.
	silent map[string]time.Time
	push   map[int]struct{}     // shards whose keepers are to be informed, and to inform this node
	gone   map[string]time.Time // users with an entry without devices
	left   map[string]time.Time // recently dropped nodes: other nodes may still have them
}

// otherNode is another node whose heartbeats arrive.
type otherNode struct {
	at      time.Time       // of the last heartbeat
	leaving time.Time       // when it announced it; it does not return
	stale   map[int]*repair // shards of which the state on the node is to be asked for
}

// repair is the state of a shard on another node that this node has to ask for.
type repair struct {
	lost  bool // messages were lost: this node may have answered queries wrongly
	asked time.Time
}

// remoteDevices are the devices of a user on one other node.
type remoteDevices struct {
	node    string
	devices []protocol.Device // none: the last one has left, a moment ago
	version uint64            // of the other node: it grows with each message
	at      time.Time
}

func newDirectory() directory {
	return directory{nodes: map[string]*otherNode{}, silent: map[string]time.Time{}, push: map[int]struct{}{},
		gone: map[string]time.Time{}, left: map[string]time.Time{}}
}

func shardOf(user string) int { return delivery.Shard(im.UserTopic(user)) }

// all returns the entries of a user.
func (d *directory) all(user string) []remoteDevices { return d.users[shardOf(user)][user] }

// of returns the entries of a user with devices.
func (d *directory) of(user string) []remoteDevices {
	all := d.all(user)
	if !slices.ContainsFunc(all, func(e remoteDevices) bool { return len(e.devices) == 0 }) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(e remoteDevices) bool { return len(e.devices) == 0 })
}

// note stores the devices of a user on another node, unless something later is known.
func (d *directory) note(user string, e remoteDevices) {
	shard := shardOf(user)
	list := d.users[shard][user]
	at := slices.IndexFunc(list, func(o remoteDevices) bool { return o.node == e.node })
	switch {
	case at < 0:
		if d.users[shard] == nil {
			d.users[shard] = map[string][]remoteDevices{}
		}
		d.users[shard][user] = append(slices.Clip(list), e) // readers may hold the old list
	case list[at].version < e.version:
		list = slices.Clone(list)
		list[at] = e
		d.users[shard][user] = list
	default:
		return
	}
	if len(e.devices) == 0 {
		d.gone[user] = e.at
	}
	if _, seen := d.silent[e.node]; !seen && d.nodes[e.node] == nil {
		d.silent[e.node] = e.at
	}
}

// latest returns an answer about the devices of a user on a node, or the entry with a later version. ok is false if the
// node was dropped.
func (d *directory) latest(user, node string, e devices) (latest devices, ok bool) {
	if _, left := d.left[node]; left {
		return devices{}, false
	}
	for _, known := range d.all(user) {
		if known.node == node && known.version > e.Version {
			return devices{known.devices, known.version}, true
		}
	}
	return e, true
}

// remove removes entries of a shard.
func (d *directory) remove(shard int, which func(user string, e remoteDevices) bool) {
	for user := range d.users[shard] {
		d.removeOf(user, shard, which)
	}
}

// removeOf removes entries of a user.
func (d *directory) removeOf(user string, shard int, which func(user string, e remoteDevices) bool) {
	list := d.users[shard][user]
	if !slices.ContainsFunc(list, func(e remoteDevices) bool { return which(user, e) }) {
		return
	}
	rest := slices.DeleteFunc(slices.Clone(list), func(e remoteDevices) bool { return which(user, e) })
	if d.users[shard][user] = rest; len(rest) > 0 {
		return
	}
	if delete(d.users[shard], user); len(d.users[shard]) == 0 {
		d.users[shard] = nil
	}
}

// forgetUser drops a user that has no device on this node any more, unless this node keeps its shard.
func (d *directory) forgetUser(user string) {
	if shard := shardOf(user); !d.kept[shard] {
		delete(d.users[shard], user)
	}
}

// noteHeartbeat notes a heartbeat, and reports whether the node is new.
func (d *directory) noteHeartbeat(node string, now time.Time) (appeared bool) {
	n := d.nodes[node]
	if n == nil {
		n, appeared = &otherNode{stale: map[int]*repair{}}, true
		d.nodes[node] = n
		for shard, kept := range d.kept {
			if kept {
				n.stale[shard] = &repair{}
			}
		}
		if _, returns := d.left[node]; returns { // its entries of shared users were dropped
			d.missed(node, nil, false)
		}
		delete(d.silent, node)
		delete(d.left, node)
	}
	n.at = now
	return appeared
}

// leaving notes that a node is about to stop. It sends heartbeats until it has stopped.
func (d *directory) leaving(node string, now time.Time) {
	if n := d.nodes[node]; n != nil && n.leaving.IsZero() {
		n.leaving = now
	}
}

// expire drops the nodes that are silent or leaving, and reports whether there were any.
func (d *directory) expire(now time.Time) (changed bool) {
	for node, n := range d.nodes {
		silent := now.Sub(n.at) > nodeTimeout
		if silent {
			delete(d.nodes, node)
		}
		if _, dropped := d.left[node]; silent || !n.leaving.IsZero() && !dropped {
			d.drop(node, now)
			changed = changed || !dropped
		}
	}
	for node, since := range d.silent {
		if now.Sub(since) > nodeTimeout {
			delete(d.silent, node)
			d.drop(node, now)
			changed = true
		}
	}
	return changed
}

// drop removes the entries of a node.
func (d *directory) drop(node string, now time.Time) {
	d.left[node] = now
	for shard := range d.users {
		d.remove(shard, func(_ string, e remoteDevices) bool { return e.node == node })
	}
}

// missed notes that messages of a node, or of all nodes if node is empty, were lost or have not arrived, in some
// shards, or in all if there are none. The keepers of the other shards repeat the entries of users on this node.
func (d *directory) missed(node string, shards []int, lost bool) {
	all := len(shards) == 0
	for shard := range delivery.Shards {
		if !all && !slices.Contains(shards, shard) {
			continue
		}
		if !d.kept[shard] {
			d.push[shard] = struct{}{}
			continue
		}
		for name, n := range d.nodes {
			if node == "" || name == node {
				n.stale[shard] = &repair{lost: lost}
			}
		}
	}
}

// keep takes a new keeper of a shard.
func (d *directory) keep(shard int, keeper, self string) {
	d.keepers[shard], d.kept[shard] = keeper, keeper == self
	for _, n := range d.nodes {
		if delete(n.stale, shard); d.kept[shard] {
			n.stale[shard] = &repair{}
		}
	}
}

// complete reports whether this node knows all devices that other nodes have of the users in a shard.
func (d *directory) complete(shard int, others []string) bool {
	if !d.kept[shard] {
		return false
	}
	for name, n := range d.nodes {
		if n.leaving.IsZero() && (!slices.Contains(others, name) || n.stale[shard] != nil) {
			return false
		}
	}
	return !slices.ContainsFunc(others, func(node string) bool { return d.nodes[node] == nil })
}

// replace takes the state of all users of a shard on another node. It returns the users concerned, and those of whom
// messages may have been lost.
func (d *directory) replace(shard int, node string, users map[string][]protocol.Device, version uint64) (concerned,
	repaired []string) {
	concerned = slices.Collect(maps.Keys(users))
	for user, list := range d.users[shard] {
		_, has := users[user]
		if !has && slices.ContainsFunc(list, func(e remoteDevices) bool { return e.node == node && e.version < version }) {
			concerned = append(concerned, user)
		}
	}
	n := d.nodes[node]
	if n == nil {
		return nil, nil
	}
	stale := n.stale[shard]
	for _, user := range concerned {
		before := len(d.of(user))
		d.note(user, remoteDevices{node, users[user], version, time.Now()})
		if stale != nil && stale.lost || stale == nil && len(d.of(user)) != before {
			repaired = append(repaired, user)
		}
	}
	delete(n.stale, shard)
	return concerned, repaired
}

// confirm takes the list of a keeper of the nodes with devices of a user: entries of other nodes are outdated, unless
// they are newer than the list can be.
func (d *directory) confirm(user string, nodes map[string]devices, now time.Time) {
	d.removeOf(user, shardOf(user), func(_ string, e remoteDevices) bool {
		_, listed := nodes[e.node]
		return !listed && len(e.devices) > 0 && now.Sub(e.at) > confirmAfter
	})
}

const (
	// forgottenAfter is the time for which a node that has no device of a user any more, or that was dropped, is
	// remembered: an older message may arrive through a third node.
	forgottenAfter = 10 * time.Second
	confirmAfter   = 2 * time.Second
)

// tidy removes the entries, in the shards of other keepers, of users without a device on this node; here has those with
// one, sorted. Such entries are left when a keeper changes, or when the last device leaves while an answer arrives.
func (d *directory) tidy(here []string, now time.Time) {
	for shard, kept := range d.kept {
		if kept {
			continue
		}
		d.remove(shard, func(user string, e remoteDevices) bool {
			_, is := slices.BinarySearch(here, user)
			return !is && now.Sub(e.at) > confirmAfter
		})
	}
}

// purge removes entries that are only remembered.
func (d *directory) purge(now time.Time) {
	maps.DeleteFunc(d.left, func(node string, at time.Time) bool {
		return now.Sub(at) > forgottenAfter && d.nodes[node] == nil
	})
	for user, at := range d.gone {
		if now.Sub(at) > forgottenAfter {
			delete(d.gone, user)
			d.removeOf(user, shardOf(user), func(_ string, e remoteDevices) bool { return len(e.devices) == 0 })
		}
	}
}
