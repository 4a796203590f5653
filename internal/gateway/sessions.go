package gateway

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/beckon-im/beckon/protocol"
)

// userSessions are the clients of each user on this node. A device may have two for a moment, until the newer replaces
// the older.
type userSessions struct {
	mu    sync.RWMutex
	named map[string][]*client
}

// add makes a client known. It counts as present once it has entered.
func (p *userSessions) add(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.named == nil {
		p.named = map[string][]*client{}
	}
	p.named[c.UserID] = append(p.named[c.UserID], c)
}

// enter counts a client and reports whether the user has come online; in is false when it was sent away meanwhile.
func (p *userSessions) enter(c *client) (online, in bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.named[c.UserID], c) {
		return false, false
	}
	online = len(p.devices(c.UserID)) == 0
	c.entered = true
	return online, true
}

// leave forgets a client and reports whether the device is one less, and whether the user has gone offline.
func (p *userSessions) leave(c *client) (less, offline bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := len(p.devices(c.UserID))
	list := slices.DeleteFunc(p.named[c.UserID], func(o *client) bool { return o == c })
	if p.named[c.UserID] = list; len(list) == 0 {
		delete(p.named, c.UserID)
	}
	after := len(p.devices(c.UserID))
	return after < before, after < before && after == 0
}

// devices lists the devices of a user that are present, one client for each. The lock must be held.
func (p *userSessions) devices(user string) []*client {
	all := p.named[user]
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

// all lists the clients of everybody.
func (p *userSessions) all() []*client {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var list []*client
	for _, clients := range p.named {
		list = append(list, clients...)
	}
	return list
}

// of lists the clients of a user.
func (p *userSessions) of(user string) []*client {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return slices.Clone(p.named[user])
}

// Devices counts the devices of users that are connected to this node.
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

// replace sends away all connections of a client's device but the newest: one that returned before its old link was
// known to be dead, or another program with the same deviceID.
func (g *Gateway) replace(c *client) {
	newest := c
	twins := slices.DeleteFunc(g.sessions.of(c.UserID), func(o *client) bool { return o.DeviceID != c.DeviceID })
	for _, o := range twins {
		if o.order > newest.order {
			newest = o
		}
	}
	for _, o := range twins {
		if o != newest {
			o.kick(newer)
		}
	}
}

// Allowed returns those of a user's devices that the policy allows beside each other.
func (g *Gateway) Allowed(list []protocol.Device) []protocol.Device {
	return slices.DeleteFunc(list, func(d protocol.Device) bool { return g.replacedBy(d, list, false) })
}

// replacedBy reports whether one of others takes a device's place: a newer connection of the same device or, by the
// policy, another device. wins decides between connections of the same device and moment.
func (g *Gateway) replacedBy(d protocol.Device, others []protocol.Device, wins bool) bool {
	return slices.ContainsFunc(others, func(o protocol.Device) bool {
		if o.DeviceID == d.DeviceID {
			return o.ConnectedAt > d.ConnectedAt || o.ConnectedAt == d.ConnectedAt && wins
		}
		rival := g.opt.Policy == Single || g.opt.Policy == OnePerPlatform && o.Platform == d.Platform
		return rival && (o.ConnectedAt > d.ConnectedAt || o.ConnectedAt == d.ConnectedAt && o.DeviceID > d.DeviceID)
	})
}

// Users lists who has a device connected to this node.
func (g *Gateway) Users() []string {
	g.sessions.mu.RLock()
	defer g.sessions.mu.RUnlock()
	return slices.DeleteFunc(slices.Collect(maps.Keys(g.sessions.named)),
		func(u string) bool { return len(g.sessions.devices(u)) == 0 })
}

// EvictReplaced sends those devices of a user away that newer ones on another node replace. wins says that of two
// connections of a device that came at the same moment the one there stays.
func (g *Gateway) EvictReplaced(userID string, others []protocol.Device, wins bool) {
	g.kick(userID, replaced, func(s *Session) bool { return g.replacedBy(s.device(), others, wins) })
}

const (
	replaced = "another device took this one's place"
	newer    = "a newer connection of this device took this one's place"
)

// Connected lists the devices of a user that are connected to this node.
func (g *Gateway) Connected(userID string) []protocol.Device {
	list := []protocol.Device{}
	for _, c := range slices.Backward(g.sessions.of(userID)) { // of a device the newest
		s := c.Session
		if !slices.ContainsFunc(list, func(d protocol.Device) bool { return d.DeviceID == s.DeviceID }) {
			list = append(list, s.device())
		}
	}
	slices.SortFunc(list, func(a, b protocol.Device) int { return cmp.Compare(a.DeviceID, b.DeviceID) })
	return list
}

// Kick ends the connections of a device of a user, or, without one, of all but another, and returns which.
func (g *Gateway) Kick(userID, deviceID, but string) []string {
	return g.kick(userID, "this device was sent away", func(s *Session) bool {
		return s.DeviceID == deviceID || deviceID == "" && s.DeviceID != but
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

// evictReplaced sends the devices away that the policy does not allow beside each other; the newest stays. Devices that
// connect at the same moment come to the same result.
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

// List lists the connected devices of people whose id begins with a text, by person and device, after one of them; and
// how many connections there are.
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
	list = slices.Compact(list) // a device may have two for a moment
	return list[:min(len(list), limit)], total
}
