package gateway

import (
	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/txn"
)

// unapplied are the subscription changes in records of the user's topic that were sent to a device, and that are not
// yet applied to its session. If the device loses its connection before they are, it is subscribed by the records just
// before its position (listen.UnappliedRecords). Records beyond that limit are held back until the changes are applied.
type unapplied struct {
	changes []sentChange
	done    uint64  // the changes up to this sequence are applied
	held    *reader // the reader of the user's topic, if it holds records back
}

// sentChange is the sequence and the time of a record with a subscription change.
type sentChange struct {
	seq uint64
	at  int64
}

// beyond reports whether a record is beyond the limit after the first unapplied change.
func (u *unapplied) beyond(p *txn.Record) bool {
	if len(u.changes) == 0 || p.Seq == 0 {
		return false
	}
	first := u.changes[0]
	return p.Seq >= first.seq+listen.UnappliedRecords || p.At-first.at >= listen.UnappliedTime
}

// holds reports whether a record must wait.
func (u *unapplied) holds(r *reader, p *txn.Record) bool {
	if !r.own || !u.beyond(p) {
		return false
	}
	u.held = r
	return true
}

// sent keeps the subscription change of a record that was sent, unless the change was applied before, as for a record
// that waited for a response.
func (u *unapplied) sent(p *txn.Record) {
	if l, ok := listen.Parse(p.Listen); ok && !l.Stop && !l.End && p.Seq > u.done {
		u.changes = append(u.changes, sentChange{p.Seq, p.At})
	}
}

// applied is called when the subscription changes up to a sequence of the user's topic are applied. It releases the
// records that waited for them.
func (c *client) applied(seq uint64) {
	c.delivering.Lock()
	defer c.delivering.Unlock()
	u := &c.unapplied
	u.done = max(u.done, seq)
	for len(u.changes) > 0 && u.changes[0].seq <= u.done {
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
