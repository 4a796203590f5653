package client

import (
	"context"
	"slices"
	"time"

	"github.com/beckon-im/beckon/client/internal/ledger"
	"github.com/beckon-im/beckon/protocol"
)

// factsTime is the timeout for requesting the invitation of an event.
const factsTime = 5 * time.Second

// signaled processes an event of an invitation.
func (c *Client) signaled(topic string, seq uint64, m *protocol.Signaling, data []byte) {
	c.learn(*m)
	c.mu.Lock()
	first := c.ledger.First(*m)
	stale := seq != 0 && seq <= c.snapshot.Positions[topic] && !c.snapshot.More
	todo := c.ledger.Event(*m, stale)
	c.mu.Unlock()
	c.refreshNew(c.inbox.Signaling(topic, seq, m, data))
	if slices.ContainsFunc(m.Answers, func(a protocol.Answer) bool { return a.Invitee == c.me() }) {
		c.refreshNew(c.conversationOf(m.InviteID)) // answering marks the invite as read
	}
	if first && c.opt.Listener.OnSignaling != nil {
		c.opt.Listener.OnSignaling(*m)
	}
	c.notify(todo)
}

// learn requests, once, the facts of an unknown invitation. If that fails, callbacks lack them.
func (c *Client) learn(m protocol.Signaling) {
	c.mu.Lock()
	unknown := c.ledger.Unknown(m)
	c.mu.Unlock()
	if !unknown {
		return
	}
	list, err := c.fetchStates([]string{m.InviteID})
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(list, func(v protocol.Invitation) bool { return v.InviteID == m.InviteID })
	if err == nil && i >= 0 {
		c.ledger.Learn(m, &list[i])
	} else {
		c.opt.Log.Warn("invitation is incomplete", "invite", m.InviteID, "error", err)
		c.ledger.Learn(m, nil)
	}
}

// fetchStates requests the states of invitations, at most ledger.MaxHeld.
func (c *Client) fetchStates(ids []string) ([]protocol.Invitation, error) {
	ctx, cancel := context.WithTimeout(context.Background(), factsTime)
	defer cancel()
	var list []protocol.Invitation
	for {
		res, err := c.ListInvitations(ctx, ids...)
		list = append(list, res.Invitations...)
		if err != nil || !res.More || len(res.Invitations) == 0 {
			return list, err
		}
		ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
			return slices.ContainsFunc(res.Invitations, func(v protocol.Invitation) bool { return v.InviteID == id })
		})
	}
}

// catchUp requests the states of invitations whose events may have been missed, and reports the missed ones. After a
// failure they are requested again on the next connect.
func (c *Client) catchUp(ids []string) {
	for part := range slices.Chunk(ids, ledger.MaxHeld) {
		list, err := c.fetchStates(part)
		c.mu.Lock()
		var todo []ledger.Callback
		if err != nil {
			c.doubt = append(c.doubt, part...)
		}
		for _, id := range part {
			i := slices.IndexFunc(list, func(v protocol.Invitation) bool { return v.InviteID == id })
			switch {
			case err != nil:
			case i >= 0:
				todo = append(todo, c.ledger.Standing(&list[i])...)
			default:
				todo = append(todo, c.ledger.Lost(id)...)
			}
		}
		c.mu.Unlock()
		c.notify(todo)
	}
}

// catchUpRest requests the invitations of an earlier run that the first connect reply did not contain.
func (c *Client) catchUpRest(whole bool) {
	c.mu.Lock()
	ids := c.ledger.Rest()
	c.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	list, err := c.fetchStates(ids[:min(len(ids), ledger.MaxHeld)])
	if err != nil {
		return // stored events are delivered anyway
	}
	var w protocol.Welcome
	for _, v := range list {
		if v.Over {
			w.Ended = append(w.Ended, v)
		} else {
			w.Invitations = append(w.Invitations, v)
		}
	}
	c.mu.Lock()
	todo := c.ledger.Snapshot(w, whole)
	c.mu.Unlock()
	c.notify(todo)
}

// reload synchronizes the open invitations and conversations after too many events were missed.
func (c *Client) reload(timelines []string) {
	c.mu.Lock()
	open := c.ledger.Open()
	c.mu.Unlock()
	c.catchUp(open)
	c.loader.Reload()
	call1(c.opt.Listener.OnReload, timelines)
}

// notify runs the callbacks that the ledger returned.
func (c *Client) notify(todo []ledger.Callback) {
	l := &c.opt.Listener
	for _, n := range todo {
		call1(map[ledger.Kind]func(InvitationEvent){
			ledger.Invited: l.OnReceiveNewInvitation, ledger.Accepted: l.OnInviteeAccepted,
			ledger.Rejected: l.OnInviteeRejected, ledger.Cancelled: l.OnInvitationCancelled,
			ledger.Timeout: l.OnInvitationTimeout, ledger.Modified: l.OnInvitationModified,
			ledger.Ringing: l.OnInviteeRinging, ledger.OtherDevice: l.OnInvitationHandledByOtherDevice,
		}[n.Kind], InvitationEvent(n.Event))
	}
}
