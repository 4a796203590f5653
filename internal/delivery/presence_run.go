package delivery

import (
	"context"
	"slices"
	"time"

	"github.com/beckon-im/beckon/im"
)

// Run sends heartbeats, detects dead nodes and republishes devices in case of lost messages, until ctx ends. statuses
// returns the users with presence watchers on this node; lost is called when another node left or appeared.
func (p *Presence) Run(ctx context.Context, statuses func() []string, lost func()) error {
	t := time.NewTicker(heartbeatInterval)
	defer t.Stop()
	var republish []string
	step := 0
	for {
		p.publish(nodesTopic, message{Kind: messageAlive})
		p.expirePending(time.Now())
		if p.expireNodes(time.Now()) {
			for _, u := range statuses() {
				p.onChange(u, false)
			}
			lost()
		}
		if len(republish) == 0 {
			republish = p.local.Users()
			step = 1 + len(republish)/republishPeriod
		}
		n := min(len(republish), step)
		for _, u := range republish[:n] {
			p.publish(im.UserTopic(u), message{Kind: messageDevices, Devices: p.localDevices(u)})
		}
		republish = republish[n:]
		select {
		case <-ctx.Done():
			p.publish(nodesTopic, message{Kind: messageBye})
			return nil
		case <-t.C:
		}
	}
}

// expirePending drops pending devices that did not connect in time.
func (p *Presence) expirePending(now time.Time) {
	p.mu.Lock()
	var expired []string
	for user, list := range p.pending {
		if slices.ContainsFunc(list, func(c pendingDevice) bool { return now.After(c.until) }) {
			expired = append(expired, user)
		}
	}
	p.mu.Unlock()
	for _, user := range expired {
		p.Changed(user, len(p.local.Connected(user)) == 0)
	}
}

// expireNodes drops silent nodes and their devices. It reports whether a node left or appeared.
func (p *Presence) expireNodes(now time.Time) (changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed, p.rejoined = p.rejoined, false
	for node, at := range p.nodes {
		if now.Sub(at) > nodeTimeout {
			delete(p.nodes, node)
			changed = true
		}
	}
	for user, nodes := range p.remote {
		for node, e := range nodes {
			if _, alive := p.nodes[node]; !alive && now.Sub(e.at) > nodeTimeout || now.Sub(e.at) > remoteTTL {
				delete(nodes, node)
			}
		}
		if len(nodes) == 0 {
			delete(p.remote, user)
		}
	}
	return changed
}
