package signaling

import (
	"context"
	"sync"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// digestEvery is how often onlookers in a large group hear of answers (SPEC 1). Several nodes take turns.
const digestEvery = 200 * time.Millisecond

// digests gathers what onlookers have not been told yet. The counts are durable; the names are a courtesy.
type digests struct {
	mu   sync.Mutex
	some chan struct{}
	due  map[string]*protocol.Digest

	late map[string]bool // what adoptLoop, which owns this, found untold before
}

func newDigests() *digests {
	return &digests{some: make(chan struct{}, 1), due: map[string]*protocol.Digest{}}
}

// note remembers an answer that was committed; without a user, that something was.
func (d *digests) note(id, user string, act invite.Act) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.due[id]
	if g == nil {
		g = &protocol.Digest{}
		d.due[id] = g
	}
	if user != "" && len(g.Accepted)+len(g.Rejected) < invite.MaxNames {
		if act == invite.Accept {
			g.Accepted = append(g.Accepted, user)
		} else {
			g.Rejected = append(g.Rejected, user)
		}
	}
	select {
	case d.some <- struct{}{}:
	default: // it is known that there is something
	}
}

func (d *digests) take() map[string]*protocol.Digest {
	d.mu.Lock()
	defer d.mu.Unlock()
	due := d.due
	d.due = map[string]*protocol.Digest{}
	return due
}

// digestLoop tells onlookers how answers stand, until ctx ends. What it leaves is told after the next start.
func (e *Service) digestLoop(ctx context.Context) error {
	pause := time.NewTimer(digestEvery)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.digests.some:
		}
		for id, g := range e.digests.take() {
			e.digest(ctx, id, g)
		}
		pause.Reset(digestEvery * time.Duration(e.opt.Nodes()))
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
	}
}

// digest appends how an invitation stands to its group's timeline, once for each version.
func (e *Service) digest(ctx context.Context, id string, g *protocol.Digest) {
	r, ok, err := e.route(ctx, id)
	if err != nil || !ok {
		e.log.Warn("a digest could not be made; the next one has its counts", "inviteID", id, "error", err)
		return
	}
	need := txn.ReadSet{Topics: []string{im.GroupTopic(r.groupID)}, Invitations: []string{id}}
	rpc.WriteLater(e.store, need, func(tx *txn.Tx) error {
		v := tx.Invitation(id)
		if v == nil || v.Digested >= v.Version {
			return nil
		}
		v.Digested = v.Version
		m := message(v, protocol.ActionDigest, "", tx.Now)
		g.Counts = v.Counts
		m.Digest = g
		tx.PutInvitation(*v)
		tx.Append(im.GroupTopic(v.GroupID), txn.Draft{Online: v.OnlineUserOnly, Body: newSignal(m)})
		return nil
	}, func(err error) {
		if err != nil {
			e.log.Warn("a digest could not be written; it is tried again", "inviteID", id, "error", err)
			e.digests.note(id, "", 0)
		}
	})
}
