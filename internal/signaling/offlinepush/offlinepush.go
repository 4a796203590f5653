// Package offlinepush decides the pushes of invitations: which invitees receive one when an invitation opens, and
// when it ends.
//
// It sends nothing: it enqueues outbox events, which the relay sends after the commit.
package offlinepush

import (
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Post is called when pushes are enqueued, before their commit, and possibly more than once; nil: pushes are off.
type Post func()

// Ring enqueues a push for each new invitee that has no connected device and may be reached by a push. It sets the
// status of these invitees, and of those in do-not-disturb, in reach.
func (post Post) Ring(tx *txn.Tx, v *invite.Invitation, list []invite.Invitee, devices map[string]int,
	reach []protocol.Reach) error {
	pushes := post != nil && !v.OnlineUserOnly && (v.Push == nil || !v.Push.Disable)
	var unknown []string
	for i := range list {
		if u := list[i].UserID; v.GroupID != "" && pushes && devices[u] == 0 && !tx.HasUser(u) {
			unknown = append(unknown, u)
		}
	}
	if len(unknown) > 0 {
		return &txn.NeedReads{Reads: txn.ReadSet{Users: unknown}}
	}
	var posts []txn.OutboxEvent
	for i := range list {
		p := &list[i]
		reach[i].UserID = p.UserID
		absent := pushes && devices[p.UserID] == 0
		if v.GroupID != "" && !absent {
			continue // the user row is not loaded
		}
		user := tx.User(p.UserID)
		var quiet *im.Quiet
		if user != nil {
			quiet = im.QuietNow(user.DND, tx.Now)
		}
		switch {
		case quiet != nil && quiet.Show:
			reach[i].Status = protocol.ReachDoNotDisturb
		case absent && user != nil && user.Pushes != 0:
			reach[i].Status = protocol.ReachPush // also with a do-not-disturb that the user does not show
			if p.Pushed = !p.Dropped && quiet == nil; p.Pushed {
				posts = append(posts, outbox.Ring(v.ID, p.UserID, tx.Now))
			}
		}
	}
	post.put(tx, posts)
	return nil
}

// Decided enqueues the end of a push to a decided invitee.
func (post Post) Decided(tx *txn.Tx, p *invite.Invitee) {
	if p.Pushed && p.State != invite.Open {
		post.put(tx, []txn.OutboxEvent{outbox.Ended(p.InviteID, p.UserID, tx.Now)})
	}
}

func (post Post) put(tx *txn.Tx, list []txn.OutboxEvent) {
	if len(list) == 0 || post == nil {
		return
	}
	tx.Enqueue(list...)
	post()
}
