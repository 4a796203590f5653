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

// digestEvery is the interval of digests to the members of large groups (SPEC 1). It is multiplied by the number of
// nodes.
const digestEvery = 200 * time.Millisecond

// digests collects answers that are not announced yet. The counts are durable; the user IDs are best effort. mu guards
// due.
type digests struct {
	mu   sync.Mutex
	wake chan struct{}
	due  map[string]*protocol.Digest // by inviteID

	late map[string]bool // invitations that the previous run of adopt found unannounced; used by adoptLoop alone
}

func newDigests() *digests {
	return &digests{wake: make(chan struct{}, 1), due: map[string]*protocol.Digest{}}
}

// note records a committed answer; without a user, only that a digest is due.
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
	case d.wake <- struct{}{}:
	default: // already signalled
	}
}

func (d *digests) take() map[string]*protocol.Digest {
	d.mu.Lock()
	defer d.mu.Unlock()
	due := d.due
	d.due = map[string]*protocol.Digest{}
	return due
}

// digestLoop announces digests until ctx ends. Pending ones are announced after the next start.
func (e *Service) digestLoop(ctx context.Context) error {
	pause := time.NewTimer(digestEvery)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.digests.wake:
		}
		for id, g := range e.digests.take() {
			e.digest(ctx, id, g)
		}
		pause.Reset(e.digestPause())
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
	}
}

// digestPause is the interval of this node's share of the digests.
func (e *Service) digestPause() time.Duration {
	return digestEvery * time.Duration(e.opt.Share().Count)
}

// digest appends the counts of an invitation to its group's timeline, once for each version.
func (e *Service) digest(ctx context.Context, id string, g *protocol.Digest) {
	done := func(err error) {
		if err != nil {
			e.log.Warn("digest failed", "inviteID", id, "error", err, "retry_in", e.digestPause())
			e.digests.note(id, "", 0)
		}
	}
	r, ok, err := e.route(ctx, id)
	if err != nil || !ok {
		done(err)
		return
	}
	reads := txn.ReadSet{Topics: []string{im.GroupTopic(r.groupID)}, Invitations: []string{id}}
	rpc.WriteLater(e.store, reads, func(tx *txn.Tx) error {
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
	}, done)
}
