package signaling

import (
	"slices"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Block ends what waits for the answer of a user who now blocks its inviters, outside of groups: as the user's refusal, or, by the
// server's policy, for the user alone. It returns, by inviter, the counts of those that no longer count as unread: the caller of
// Block writes the sides of these conversations.
func (e *Engine) Block(w *txn.World, by rpc.Caller, inviters []string) (counts map[string][]int64, err error) {
	if !w.HasOpenFor(by.UserID) {
		return nil, &txn.More{Need: txn.Need{OpenFor: []string{by.UserID}}}
	}
	counts = map[string][]int64{}
	var more txn.Need
	var list []string
	for _, o := range w.OpenFor(by.UserID) {
		if !slices.Contains(inviters, o.Inviter) {
			continue
		}
		k := txn.InviteeKey{InviteID: o.InviteID, UserID: by.UserID}
		if !w.HasInvitation(o.InviteID) || !w.HasInvitees([]txn.InviteeKey{k}) {
			more.Invitations, more.Invitees = append(more.Invitations, o.InviteID), append(more.Invitees, k)
		}
		list = append(list, o.InviteID)
	}
	if len(more.Invitations) > 0 {
		return nil, &txn.More{Need: more}
	}
	for _, id := range list {
		v, me := w.Invitation(id), w.Invitee(id, by.UserID)
		if v == nil || me == nil || v.GroupID != "" || me.Deaf || me.StateAt(w.Now) != invite.Open {
			continue
		}
		if me.Counted > 0 {
			counts[v.Inviter] = append(counts[v.Inviter], me.Counted)
			me.Counted = 0
		}
		end := e.refuse
		if e.opt.DropBlocked {
			end = e.silence
		}
		if err := end(w, v, me, by); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// refuse rejects an invitation for a user who blocks its inviter.
func (e *Engine) refuse(w *txn.World, v *invite.Invitation, me *invite.Invitee, by rpc.Caller) error {
	a := invite.Answer{Act: invite.Reject, By: by.Actor("")}
	s, err := invite.Apply(*v, me, a, w.Now)
	if err != nil {
		return nil // it is decided
	}
	if v.Party {
		if missing := w.Missing([]string{im.UserTopic(by.UserID)}); len(missing) > 0 {
			return &txn.More{Need: txn.Need{Topics: missing}}
		}
		w.Append(im.UserTopic(by.UserID), txn.Draft{Device: by.Origin(), Listen: im.StopListening(im.InvitationTopic(v.ID)), Online: v.OnlineUserOnly, Body: participant(w, v)})
	}
	s.Invitee.Deaf = true
	return e.putAnswer(w, s, a, by, "")
}

// silence lets the devices of a user stop ringing; the inviter goes on waiting, until the timeout.
func (e *Engine) silence(w *txn.World, v *invite.Invitation, me *invite.Invitee, by rpc.Caller) error {
	topic := im.UserTopic(by.UserID)
	if missing := w.Missing([]string{topic}); len(missing) > 0 {
		return &txn.More{Need: txn.Need{Topics: missing}}
	}
	v.Version++
	m := message(v, protocol.ActionCancel, "", w.Now)
	m.InviteeList, m.Over = []string{by.UserID}, true
	d := txn.Draft{Device: by.Origin(), Online: v.OnlineUserOnly, Body: newSignal(m)}
	if v.Party {
		d.Listen = im.StopListening(im.InvitationTopic(v.ID))
	}
	w.Append(topic, d)
	me.Deaf = true
	v.Deaf = v.Deaf || v.Peer != "" && !v.Party
	w.PutInvitation(*v)
	w.PutInvitee(*me)
	return nil
}
