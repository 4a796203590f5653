// Package offlinepush decides the pushes of invitations: which invitees receive one when an invitation opens, when a
// device disconnects while it rings, and when it ends.
//
// It sends nothing: it enqueues outbox events, which the relay sends after the commit, to each device with a token that
// is not connected then.
package offlinepush

import (
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Pushes enqueues the pushes of invitations. The zero value enqueues none.
type Pushes struct {
	// Posted is called when pushes are enqueued, before their commit, and possibly more than once. Default: pushes are
	// off.
	Posted func()
	// Devices caches the devices with push tokens, by user. Default: unknown.
	Devices outbox.Devices
	// HasTokens reports whether any user has a push token. Default: true.
	HasTokens func() bool
}

// Ring enqueues a push for each new invitee that may have a device with a push token that is not connected. It sets the
// push of these invitees in reach, and the status of those without a connected device and of those in do-not-disturb.
// It notes invitees with connected devices and a push token in connected, for Watch.Opened.
func (q Pushes) Ring(tx *txn.Tx, v *invite.Invitation, list []invite.Invitee, connected *Devices,
	reach []protocol.Reach) error {
	connected.unproven = nil
	enabled := q.Posted != nil && !v.OnlineUserOnly && (v.Push == nil || !v.Push.Disable)
	loaded := func(user string) bool { // the row of the user is needed, or was declared
		return v.GroupID == "" || enabled && (connected.of[user].Count == 0 || q.hasTokens())
	}
	var unknown []string
	for i := range list {
		if u := list[i].UserID; loaded(u) && v.GroupID != "" && !tx.HasUser(u) {
			unknown = append(unknown, u)
		}
	}
	if len(unknown) > 0 {
		return &txn.NeedReads{Reads: txn.ReadSet{Users: unknown}}
	}
	var posts []txn.OutboxEvent
	for i := range list {
		p := &list[i]
		if reach[i].UserID = p.UserID; !loaded(p.UserID) {
			continue
		}
		user, here := tx.User(p.UserID), connected.of[p.UserID]
		var quiet *im.Quiet
		if user != nil {
			quiet = im.QuietNow(user.DND, tx.Now)
		}
		if quiet != nil && quiet.Show {
			if v.GroupID == "" || here.Count == 0 {
				reach[i].Status = protocol.ReachDoNotDisturb
			}
			continue
		}
		if enabled && quiet == nil && !p.Dropped && here.Count > 0 && user != nil && user.Pushes != 0 &&
			len(connected.unproven) < maxUnproven {
			connected.unproven = append(connected.unproven, unproven{p.UserID, here.Count})
		}
		if !enabled || !q.Devices.Unconnected(user, here) {
			continue
		}
		if reach[i].Push = true; here.Count == 0 { // also with a do-not-disturb that the user does not show
			reach[i].Status = protocol.ReachPush
		}
		if p.Pushed = !p.Dropped && quiet == nil; p.Pushed {
			posts = append(posts, outbox.Ring(v.ID, p.UserID, tx.Now))
		}
	}
	q.put(tx, posts)
	return nil
}

func (q Pushes) hasTokens() bool { return q.HasTokens == nil || q.HasTokens() }

// Decided enqueues the end of a push to a decided invitee.
func (q Pushes) Decided(tx *txn.Tx, p *invite.Invitee) {
	if p.Pushed && p.State != invite.Open {
		q.put(tx, []txn.OutboxEvent{outbox.Ended(p.InviteID, p.UserID, tx.Now)})
	}
}

// Muted enqueues the end of a push to an invitee who has blocked the inviter.
func (q Pushes) Muted(tx *txn.Tx, p *invite.Invitee) {
	if p.Pushed {
		q.put(tx, []txn.OutboxEvent{outbox.Ended(p.InviteID, p.UserID, tx.Now)})
	}
}

func (q Pushes) put(tx *txn.Tx, list []txn.OutboxEvent) {
	if len(list) == 0 || q.Posted == nil {
		return
	}
	tx.Enqueue(list...)
	q.Posted()
}
