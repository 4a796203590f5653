package presence

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/delivery"
)

// Run keeps shards, detects dead nodes and repairs losses, until ctx ends. Users without connects and disconnects cost
// no message. statuses returns the users with presence watchers on this node. lost is called when another node left or
// appeared.
func (p *Presence) Run(ctx context.Context, statuses func() []string, lost func()) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	var working sync.WaitGroup
	defer working.Wait()
	working.Go(func() { p.work(ctx) })
	for digested := time.Now(); ; {
		now := time.Now()
		p.expirePending(now)
		p.rebalance()
		p.askStates(now)
		p.sendStates()
		if now.Sub(digested) > digestEvery {
			p.sendDigests()
			digested = now
		}
		if p.expireNodes(now) {
			lost()
		}
		p.repeatStatuses(statuses)
		select {
		case <-ctx.Done():
			bye := encodeMessage(message{Node: p.node, Kind: messageBye})
			p.wire.SendMessage("", bye)
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
	p.remote.purge(now)
	changed = p.remote.expire(now) || p.rejoined
	if p.rejoined = false; changed {
		p.missed[anyShard] = statusQueries
	}
	return changed
}

// onHeartbeat notes that another node lives.
func (p *Presence) onHeartbeat(node string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.remote.noteHeartbeat(node, time.Now()) {
		p.rejoined = true
	}
}

// onLoss notes that messages of a node were lost.
func (p *Presence) onLoss(node string, shards []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remote.missed(node, shards, true)
	for _, shard := range shards {
		p.missed[shard] = statusQueries
	}
	if node == "" {
		p.missed[anyShard] = statusQueries
	}
}

const (
	anyShard = -1
	// statusQueries is the number of heartbeats after a loss in which the statuses concerned are queried, every other one:
	// at the first, the keeper may not have noticed its own loss yet.
	statusQueries = 3
)

// repeatStatuses reports the users of whose status a change may have been lost.
func (p *Presence) repeatStatuses(statuses func() []string) {
	p.mu.Lock()
	query := map[int]bool{}
	for shard, since := range p.unanswered {
		if time.Since(since) > askLater {
			delete(p.unanswered, shard)
			p.missed[shard] = statusQueries
		}
	}
	for shard, left := range p.missed {
		if query[shard] = left%2 == 1; left == 1 {
			delete(p.missed, shard)
		} else {
			p.missed[shard]--
		}
	}
	p.mu.Unlock()
	if len(query) == 0 {
		return
	}
	for _, u := range statuses() {
		if query[anyShard] || query[delivery.Shard(im.StatusTopic(u))] {
			p.onChange(u, false)
		}
	}
}

// rebalance begins and ends the keeping of shards, as nodes come and leave.
func (p *Presence) rebalance() {
	for shard := range delivery.Shards {
		keeper := p.keepers.Keeper(shard)
		p.mu.Lock()
		before := p.remote.keepers[shard]
		p.mu.Unlock()
		if keeper == "" || keeper == before || keeper == p.node && p.wire.SubscribeShard(shard) != nil {
			continue
		}
		p.mu.Lock()
		p.remote.keep(shard, keeper, p.node)
		p.mu.Unlock()
		if before == p.node {
			_ = p.wire.UnsubscribeShard(shard) // fails only when the connection is closed
		}
	}
}

// later runs a function that may wait, in the order of the calls, and not on the goroutine that receives messages.
func (p *Presence) later(f func()) {
	select {
	case p.tasks <- f:
	default:
		go f() // many devices are being replaced at once
	}
}

func (p *Presence) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-p.tasks:
			f()
		}
	}
}
