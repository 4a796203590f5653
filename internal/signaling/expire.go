package signaling

import (
	"context"
	"time"

	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

const (
	longestWait = time.Second            // longest wait for a deadline, because the wall clock may be set
	expirePage  = 256                    // deadlines handled together
	adoptEvery  = time.Second            // interval of the search for invitations of other nodes
	adoptAhead  = time.Second            // search horizon
	adoptLater  = 300 * time.Millisecond // head start of the node that opened the invitation
	adoptAll    = time.Second            // lateness at which all nodes take it
	adoptPage   = 1000
)

// expireLoop fires due deadlines until ctx ends. The store's queue bounds the transactions in flight.
func (e *Service) expireLoop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		ids, wait := e.deadlines.Next(e.store.Now(), expirePage)
		for _, id := range e.stillOpen(ctx, ids) {
			if ctx.Err() != nil {
				return nil
			}
			e.expire(ctx, id)
		}
		if ctx.Err() != nil {
			return nil
		}
		if len(ids) == expirePage {
			continue
		}
		timer.Reset(min(wait, longestWait))
		select {
		case <-ctx.Done():
			return nil
		case <-e.deadlines.Wake():
		case <-timer.C:
		}
	}
}

// stillOpen filters out invitations that ended on another node: cheaper than a transaction for each.
func (e *Service) stillOpen(ctx context.Context, ids []string) []string {
	if len(ids) == 0 || !e.store.Shared() {
		return ids
	}
	open, err := e.store.StillOpen(ctx, ids)
	if err != nil {
		for _, id := range ids { // the database is unavailable
			e.deadlines.Set(id, e.store.Now()+retryExpire.Milliseconds())
		}
		return nil
	}
	left := make([]string, len(open))
	for i := range open {
		left[i] = open[i].ID
		e.routes.Add(open[i].ID, routeOf(&open[i]))
	}
	return left
}

// adoptLoop finds invitations that are due soon and whose node may be lost, until ctx ends. Of two nodes that fire a
// deadline the first one decides.
func (e *Service) adoptLoop(ctx context.Context) error {
	if !e.store.Shared() {
		return nil
	}
	t := time.NewTicker(adoptEvery)
	defer t.Stop()
	for {
		if err := e.adopt(ctx); err != nil && ctx.Err() == nil {
			e.log.Warn("deadline search failed", "error", err, "retry_in", adoptEvery)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func (e *Service) adopt(ctx context.Context) error {
	now, after, share := e.store.Now(), store.Deadline{}, e.opt.Share()
	by, late := now+adoptAhead.Milliseconds(), now-adoptAll.Milliseconds()
	for {
		list, err := e.store.DueSoon(ctx, by, after, share, late, adoptPage)
		if err != nil {
			return err
		}
		for _, d := range list {
			e.deadlines.Adopt(d.InviteID, d.Due, adoptLater)
			after = d
		}
		if len(list) < adoptPage {
			break
		}
	}
	pending, err := e.store.DigestPending(ctx)
	if err != nil {
		return err
	}
	for _, id := range pending {
		if e.digests.late[id] { // the node that took the answers has sent no digest for one interval
			e.digests.note(id, "", 0)
		}
	}
	e.digests.late = map[string]bool{}
	for _, id := range pending {
		e.digests.late[id] = true
	}
	return nil
}

// retryExpire is the delay before a retry of a failed timeout.
const retryExpire = time.Second

// expire times out the invitees of an invitation that are past their deadline, and schedules the next one.
func (e *Service) expire(ctx context.Context, id string) {
	r, ok, err := e.route(ctx, id)
	if err != nil {
		e.deadlines.Set(id, e.store.Now()+retryExpire.Milliseconds())
		return
	}
	if !ok {
		return
	}
	reads := txn.ReadSet{Topics: r.topics(), Invitations: []string{id}, OpenInvitees: []string{id}}
	rpc.Submit(e.store, rpc.Txn[int64]{Reads: reads, Decide: func(tx *txn.Tx) (int64, error) {
		v := tx.Invitation(id)
		if v == nil || v.Over() {
			return 0, nil
		}
		if v.Left {
			if c := invite.Leave(*v, tx.OpenInvitees(id), tx.Now); len(c.Invitees) > 0 {
				return c.Invitation.Due, e.end(tx, c, rpc.Caller{}, protocol.ActionCancel, invite.ReasonLeft, "")
			}
		}
		c := invite.Expire(*v, tx.OpenInvitees(id), tx.Now)
		if len(c.Invitees) == 0 && c.Invitation.Due == v.Due {
			return v.Due, nil
		}
		return c.Invitation.Due, e.end(tx, c, rpc.Caller{}, protocol.ActionTimeout, "", "")
	}}, func(due int64, err error) {
		if err != nil {
			e.log.Error("timeout write failed", "inviteID", id, "error", err, "retry_in", retryExpire)
			due = e.store.Now() + retryExpire.Milliseconds()
		}
		e.deadlines.Set(id, due)
	})
}

// end writes and announces a change that ended invitees.
func (e *Service) end(tx *txn.Tx, c invite.Change, by rpc.Caller, action protocol.ActionType, reason,
	data string) error {
	v := c.Invitation
	if v.Large {
		v.Digested = v.Version // the ending carries the counts
	}
	tx.PutInvitation(v)
	for _, p := range c.Invitees {
		tx.PutInvitee(p)
		e.opt.Pushes.Decided(tx, &p)
	}
	if len(c.Invitees) == 0 {
		return nil
	}
	m := message(&v, action, by.UserID, tx.Now)
	nameList(&m, names(c.Invitees))
	m.Reason, m.Data = reason, data
	if action == protocol.ActionTimeout {
		m.Data = v.Data
	}
	return appendEvent(tx, &v, by, m)
}
