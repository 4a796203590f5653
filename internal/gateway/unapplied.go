package gateway

import (
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/txn"
)

// unapplied are the subscription changes in records of the user's topic that were sent to a device, and not yet applied
// to its session. A device that reconnects before that is subscribed by the records just before its position
// (im.UnappliedRecords): records beyond that limit are held back until the changes are applied.
type unapplied struct {
	changes []sentChange
	held    *reader // the reader of the user's topic, if it holds records back
}

// sentChange is the sequence and the time of a record with a subscription change.
type sentChange struct {
	seq uint64
	at  int64
}

// holds reports whether a record of the user's topic must wait.
func (u *unapplied) holds(r *reader, p *txn.Record) bool {
	if !r.own || p.Seq == 0 || len(u.changes) == 0 {
		return false
	}
	first := u.changes[0]
	if p.Seq-first.seq < im.UnappliedRecords && p.At-first.at < im.UnappliedTime.Milliseconds() {
		return false
	}
	u.held = r
	return true
}

// sent notes the subscription change of a record that was sent.
func (u *unapplied) sent(p *txn.Record) {
	if l, ok := im.ParseListen(p.Listen); ok && !l.Stop && !l.End {
		u.changes = append(u.changes, sentChange{p.Seq, p.At})
	}
}

// applied notes that the subscription changes up to a sequence of the user's topic are applied, and releases the
// records that waited for them.
func (c *client) applied(seq uint64) {
	c.delivering.Lock()
	defer c.delivering.Unlock()
	u := &c.unapplied
	for len(u.changes) > 0 && u.changes[0].seq <= seq {
		u.changes = u.changes[1:]
	}
	if len(u.changes) == 0 {
		u.changes = nil
	}
	r := u.held
	if u.held = nil; r == nil {
		return
	}
	if r.waiting = false; !r.replaying { // else live releases them
		r.release() // the records that still wait are held again
	}
}
