package gateway

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/centrifugal/centrifuge"

	"github.com/beckon-im/beckon/protocol"
)

// presence counts the devices of each user on this node. A device may have two sessions for a moment, when it returned
// before its old link was known to be dead.
type presence struct {
	mu       sync.RWMutex
	users    map[string]int
	sessions map[deviceKey]int
}

type deviceKey struct{ user, device string }

// enter counts a session and reports whether the device is one more, and whether the user has come online.
func (p *presence) enter(user, device string) (more, online bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users == nil {
		p.users, p.sessions = map[string]int{}, map[deviceKey]int{}
	}
	k := deviceKey{user, device}
	if p.sessions[k]++; p.sessions[k] > 1 {
		return false, false
	}
	p.users[user]++
	return true, p.users[user] == 1
}

// leave reports whether the device is one less, and whether the user has gone offline.
func (p *presence) leave(user, device string) (less, offline bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := deviceKey{user, device}
	if p.sessions[k]--; p.sessions[k] > 0 {
		return false, false
	}
	delete(p.sessions, k)
	if p.users[user]--; p.users[user] > 0 {
		return true, false
	}
	delete(p.users, user)
	return true, true
}

func (p *presence) devices(user string) int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.users[user]
}

// Devices counts the devices of users that are connected to this node.
func (g *Gateway) Devices(userIDs ...string) []int {
	counts := make([]int, len(userIDs))
	for i, u := range userIDs {
		counts[i] = g.present.devices(u)
	}
	return counts
}

func (s *Session) device() protocol.Device {
	return protocol.Device{DeviceID: s.DeviceID, Platform: s.Platform, ConnectedAt: s.At}
}

// Staying returns those of a user's devices that the policy allows beside each other.
func (g *Gateway) Staying(list []protocol.Device) []protocol.Device {
	return slices.DeleteFunc(list, func(d protocol.Device) bool { return g.outranked(d, list) })
}

// outranked reports whether the policy lets one of others take a device's place.
func (g *Gateway) outranked(d protocol.Device, others []protocol.Device) bool {
	return slices.ContainsFunc(others, func(o protocol.Device) bool {
		rival := o.DeviceID != d.DeviceID && (g.opt.Policy == Single || g.opt.Policy == OnePerPlatform && o.Platform == d.Platform)
		return rival && (o.ConnectedAt > d.ConnectedAt || o.ConnectedAt == d.ConnectedAt && o.DeviceID > d.DeviceID)
	})
}

// Users lists who has a device connected to this node.
func (g *Gateway) Users() []string {
	g.present.mu.RLock()
	defer g.present.mu.RUnlock()
	return slices.Collect(maps.Keys(g.present.users))
}

// MakeRoom sends those devices of a user away that the policy does not allow beside newer ones on other nodes.
func (g *Gateway) MakeRoom(userID string, others []protocol.Device) {
	if g.opt.Policy == Single || g.opt.Policy == OnePerPlatform {
		g.kick(userID, replaced, func(s *Session) bool { return g.outranked(s.device(), others) })
	}
}

const replaced = "another device took this one's place"

// Connected lists the devices of a user that are connected to this node.
func (g *Gateway) Connected(userID string) []protocol.Device {
	list := []protocol.Device{}
	for _, c := range g.node.Hub().UserConnections(userID) {
		s := g.session(c)
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
	for _, c := range g.node.Hub().UserConnections(userID) {
		s := g.session(c)
		if !which(s) {
			continue
		}
		c.Disconnect(centrifuge.Disconnect{Code: protocol.CloseKicked, Reason: reason})
		if !slices.Contains(list, s.DeviceID) {
			list = append(list, s.DeviceID)
		}
	}
	slices.Sort(list)
	return list
}

// makeRoom sends the devices away that the policy does not allow beside each other; the newest stays. Devices that connect at
// the same moment come to the same result.
func (g *Gateway) makeRoom(s *Session) {
	newest := s
	rival := func(o *Session) bool {
		return o.DeviceID != s.DeviceID && (g.opt.Policy == Single || g.opt.Policy == OnePerPlatform && o.Platform == s.Platform)
	}
	for _, c := range g.node.Hub().UserConnections(s.UserID) {
		if o := g.session(c); rival(o) && (o.At > newest.At || o.At == newest.At && o.DeviceID > newest.DeviceID) {
			newest = o
		}
	}
	g.kick(s.UserID, replaced, func(o *Session) bool {
		return o.DeviceID != newest.DeviceID && (o.DeviceID == s.DeviceID || rival(o))
	})
}
