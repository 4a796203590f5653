package client

import (
	"context"
	"slices"
	"time"

	"github.com/beckon-im/beckon/client/ledger"
	"github.com/beckon-im/beckon/protocol"
)

// factsTime bounds a question about an invitation that an event belongs to.
const factsTime = 5 * time.Second

// signaled takes in an event of an invitation.
func (c *Client) signaled(topic string, seq uint64, m *protocol.Signaling, data []byte) {
	c.learn(*m)
	c.mu.Lock()
	first := c.ledger.First(*m)
	stale := seq != 0 && seq <= c.snapshot.Positions[topic] && !c.snapshot.More
	todo := c.ledger.Event(*m, stale)
	c.mu.Unlock()
	c.meet(c.inbox.Signaling(topic, seq, m, data))
	if slices.ContainsFunc(m.Answers, func(a protocol.Answer) bool { return a.Invitee == c.me() }) {
		c.meet(c.whereabouts(m.InviteID)) // what this user has answered is read
	}
	if first && c.opt.Listener.OnSignaling != nil {
		c.opt.Listener.OnSignaling(*m)
	}
	c.notify(todo)
}

// learn asks, once, for the facts of an invitation that this device does not know. When the server does not say, the
// callback comes without them.
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
		c.ledger.Learn(m, nil)
	}
}

// fetchStates asks the server how invitations stand, at most ledger.MaxHeld.
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

// catchUp asks how invitations stand that this device holds and whose events it may have missed, and reports what it
// missed. Those that the server could not be asked for are asked for with the next connection.
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

// catchUpRest asks for what an earlier run of the program held and the first connect reply did not have.
func (c *Client) catchUpRest(whole bool) {
	c.mu.Lock()
	ids := c.ledger.Rest()
	c.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	list, err := c.fetchStates(ids[:min(len(ids), ledger.MaxHeld)])
	if err != nil {
		return // what is stored of it comes as events
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

// reload brings what the device holds in line with the server after too much was missed.
func (c *Client) reload(timelines []string) {
	c.mu.Lock()
	open := c.ledger.Open()
	c.mu.Unlock()
	c.catchUp(open)
	c.reloadInbox()
	call1(c.opt.Listener.OnReload, timelines)
}

// notify runs the callbacks that the ledger decided on.
func (c *Client) notify(todo []ledger.Callback) {
	l := &c.opt.Listener
	for _, n := range todo {
		call1(map[ledger.Kind]func(InvitationEvent){
			ledger.Invited: l.OnReceiveNewInvitation, ledger.Accepted: l.OnInviteeAccepted,
			ledger.Rejected: l.OnInviteeRejected, ledger.Cancelled: l.OnInvitationCancelled,
			ledger.Timeout: l.OnInvitationTimeout, ledger.Modified: l.OnInvitationModified,
			ledger.Ringing: l.OnInviteeRinging, ledger.OtherDevice: l.OnInvitationHandledByOtherDevice,
		}[n.Kind], n.Event)
	}
}
