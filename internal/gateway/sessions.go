package gateway

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/beckon-im/beckon/protocol"
)

// userSessions holds the clients of each user on this node. A device may briefly have two clients, until the newer
// replaces the older.
type userSessions struct {
	mu     sync.RWMutex
	byUser map[string][]*client
}

// add registers a client. It counts as present once it has entered.
func (p *userSessions) add(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byUser == nil {
		p.byUser = map[string][]*client{}
	}
	p.byUser[c.UserID] = append(p.byUser[c.UserID], c)
}

// enter counts a client as present. online reports whether it is the user's first device; in is false if the client was
// removed meanwhile.
func (p *userSessions) enter(c *client) (online, in bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.byUser[c.UserID], c) {
		return false, false
	}
	online = len(p.devices(c.UserID)) == 0
	c.entered = true
	return online, true
}

// leave removes a client. gone reports whether the device is no longer present, offline whether it was the user's last
// device.
func (p *userSessions) leave(c *client) (gone, offline bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := len(p.devices(c.UserID))
	list := slices.DeleteFunc(p.byUser[c.UserID], func(o *client) bool { return o == c })
	if p.byUser[c.UserID] = list; len(list) == 0 {
		delete(p.byUser, c.UserID)
	}
	after := len(p.devices(c.UserID))
	return after < before, after < before && after == 0
}

// devices returns the present devices of a user, one client for each. p.mu must be held.
func (p *userSessions) devices(user string) []*client {
	all := p.byUser[user]
	list := make([]*client, 0, len(all))
	seen := make(map[string]bool, len(all))
	for _, c := range all {
		if c.entered && !seen[c.DeviceID] {
			seen[c.DeviceID] = true
			list = append(list, c)
		}
	}
	return list
}

// all returns all clients.
func (p *userSessions) all() []*client {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var list []*client
	for _, clients := range p.byUser {
		list = append(list, clients...)
	}
	return list
}

// of returns the clients of a user.
func (p *userSessions) of(user string) []*client {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return slices.Clone(p.byUser[user])
}

// Devices returns the number of devices that each user has connected to this node.
func (g *Gateway) Devices(userIDs ...string) []int {
	g.sessions.mu.RLock()
	defer g.sessions.mu.RUnlock()
	counts := make([]int, len(userIDs))
	for i, u := range userIDs {
		counts[i] = len(g.sessions.devices(u))
	}
	return counts
}

func (s *Session) device() protocol.Device {
	return protocol.Device{DeviceID: s.DeviceID, Platform: s.Platform, ConnectedAt: s.At}
}

// replace kicks all connections of a client's device except the newest: the older link of a device that reconnected, or
// another program with the same deviceID.
func (g *Gateway) replace(c *client) {
	newest := c
	sameDevice := slices.DeleteFunc(g.sessions.of(c.UserID), func(o *client) bool { return o.DeviceID != c.DeviceID })
	for _, o := range sameDevice {
		if o.order > newest.order {
			newest = o
		}
	}
	for _, o := range sameDevice {
		if o != newest {
			o.kick(newer)
		}
	}
}

// Allowed returns the devices of a user that the device policy permits at the same time.
func (g *Gateway) Allowed(list []protocol.Device) []protocol.Device {
	return slices.DeleteFunc(list, func(d protocol.Device) bool { return g.replacedBy(d, list, false) })
}

// replacedBy reports whether one of others replaces a device: a newer connection of the same device or, by the policy,
// another device. wins breaks ties between connections of the same device and time.
func (g *Gateway) replacedBy(d protocol.Device, others []protocol.Device, wins bool) bool {
	return slices.ContainsFunc(others, func(o protocol.Device) bool {
		if o.DeviceID == d.DeviceID {
			return newerConnection(d, o, wins)
		}
		rival := g.opt.Policy == Single || g.opt.Policy == OnePerPlatform && o.Platform == d.Platform
		return rival && (o.ConnectedAt > d.ConnectedAt || o.ConnectedAt == d.ConnectedAt && o.DeviceID > d.DeviceID)
	})
}

// newerConnection reports whether o is a newer connection of the device d. wins breaks ties.
func newerConnection(d, o protocol.Device, wins bool) bool {
	return o.DeviceID == d.DeviceID && (o.ConnectedAt > d.ConnectedAt || o.ConnectedAt == d.ConnectedAt && wins)
}

// Users returns the users with a device connected to this node.
func (g *Gateway) Users() []string {
	g.sessions.mu.RLock()
	defer g.sessions.mu.RUnlock()
	return slices.DeleteFunc(slices.Collect(maps.Keys(g.sessions.byUser)),
		func(u string) bool { return len(g.sessions.devices(u)) == 0 })
}

// EvictReplaced kicks the sessions of a user that newer devices on another node replace. If wins is set, the other
// node's connection wins a tie between two connections of one device with the same connect time.
func (g *Gateway) EvictReplaced(userID string, others []protocol.Device, wins bool) {
	own := func(s *Session) bool {
		return slices.ContainsFunc(others, func(o protocol.Device) bool { return newerConnection(s.device(), o, wins) })
	}
	g.kick(userID, newer, own) // clients reconnect after a late request of their own
	g.kick(userID, replaced, func(s *Session) bool { return !own(s) && g.replacedBy(s.device(), others, wins) })
}

const (
	replaced = "replaced by another device"
	newer    = "replaced by a newer connection of this device"
)

// Connected returns the devices of a user that are connected to this node.
func (g *Gateway) Connected(userID string) []protocol.Device {
	list := []protocol.Device{}
	for _, c := range slices.Backward(g.sessions.of(userID)) { // the newest connection of each device
		s := c.Session
		if !slices.ContainsFunc(list, func(d protocol.Device) bool { return d.DeviceID == s.DeviceID }) {
			list = append(list, s.device())
		}
	}
	slices.SortFunc(list, func(a, b protocol.Device) int { return cmp.Compare(a.DeviceID, b.DeviceID) })
	return list
}

// Known returns the same as Connected.
func (g *Gateway) Known(userID string) []protocol.Device { return g.Connected(userID) }

// Kick closes the connections of one device of a user or, if deviceID is empty, of all devices except one. It returns
// the device IDs.
func (g *Gateway) Kick(userID, deviceID, except string) []string {
	return g.kick(userID, "this device was disconnected", func(s *Session) bool {
		return s.DeviceID == deviceID || deviceID == "" && s.DeviceID != except
	})
}

func (g *Gateway) kick(userID, reason string, which func(*Session) bool) []string {
	list := []string{}
	for _, c := range g.sessions.of(userID) {
		s := c.Session
		if !which(s) {
			continue
		}
		c.kick(reason)
		if !slices.Contains(list, s.DeviceID) {
			list = append(list, s.DeviceID)
		}
	}
	slices.Sort(list)
	return list
}

// evictReplaced kicks the devices that the policy does not permit at the same time; the newest stays. Devices that
// connect concurrently reach the same result.
func (g *Gateway) evictReplaced(s *Session) {
	newest := s
	rival := func(o *Session) bool {
		return o.DeviceID != s.DeviceID && (g.opt.Policy == Single || g.opt.Policy == OnePerPlatform &&
			o.Platform == s.Platform)
	}
	for _, c := range g.sessions.of(s.UserID) {
		if o := c.Session; rival(o) && (o.At > newest.At || o.At == newest.At && o.DeviceID > newest.DeviceID) {
			newest = o
		}
	}
	g.kick(s.UserID, replaced, func(o *Session) bool {
		return o.DeviceID != newest.DeviceID && (o.DeviceID == s.DeviceID || rival(o))
	})
}

// List returns connections of users with an ID prefix, sorted by user and device, starting after a given device, and
// the total number of connections.
func (g *Gateway) List(prefix, afterUser, afterDevice string, limit int) (list []protocol.Connection, total int) {
	for _, c := range g.sessions.all() {
		s := c.Session
		total++
		if strings.HasPrefix(s.UserID, prefix) &&
			(s.UserID > afterUser || s.UserID == afterUser && s.DeviceID > afterDevice) {
			list = append(list, protocol.Connection{UserID: s.UserID, Device: s.device()})
		}
	}
	slices.SortFunc(list, func(a, b protocol.Connection) int {
		return cmp.Or(cmp.Compare(a.UserID, b.UserID), cmp.Compare(a.DeviceID, b.DeviceID))
	})
	list = slices.Compact(list) // a device may briefly have two connections
	return list[:min(len(list), limit)], total
}
