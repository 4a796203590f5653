// Package offlinepush owns the pushes of an invitation: who is posted one when it rings, and when it rings no longer.
//
// It sends nothing: what is posted leaves the house once it is committed.
package offlinepush

import (
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Post is told that pushes are on their way, before they are committed, and perhaps more than once; nil = this house
// sends none.
type Post func()

// Ring finds the new invitees who have no connected device and may be reached by a push, and posts one to each of them:
// they leave the house when the invitation is committed. It says in reach who that is, and who does not want to be
// disturbed.
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
			continue // nothing is known of this person here
		}
		who := tx.User(p.UserID)
		var quiet *im.Quiet
		if who != nil {
			quiet = im.QuietNow(who.DND, tx.Now)
		}
		switch {
		case quiet != nil && quiet.Show:
			reach[i].Status = protocol.ReachDoNotDisturb
		case absent && who != nil && who.Pushes != 0:
			reach[i].Status = protocol.ReachPush // also of whom does not want that to be known
			if p.Pushed = !p.Dropped && quiet == nil; p.Pushed {
				posts = append(posts, outbox.Ring(v.ID, p.UserID, tx.Now))
			}
		}
	}
	post.put(tx, posts)
	return nil
}

// Decided tells devices that a push made ring of an invitee who was decided about.
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
