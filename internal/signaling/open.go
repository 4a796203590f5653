package signaling

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/room"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/signaling/offlinepush"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/internal/view"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// tombstoneLife is the lifetime of the tombstone of a cancel that overtook its invite, or of a merged inviteID (SPEC
// 1, rule 3).
const tombstoneLife = 5 * time.Minute

// opening is the state of one invite call.
type opening struct {
	terms        invite.Terms
	invitees     []string
	fingerprint  string
	by           rpc.Caller
	actor        invite.Actor
	large        bool
	devices      *offlinepush.Devices // of the invitees, at the call
	largeInGroup store.Large          // open invitations of many members in the group when the call arrived
	skip         bool                 // leave out invalid invitees instead of refusing
	skipped      []protocol.Skipped
}

// Invite opens an invitation to one user, or to several without a group.
func (e *Service) Invite(ctx context.Context, by rpc.Caller,
	req protocol.InviteRequest) (rpc.Txn[protocol.InviteResponse], error) {
	invitees := req.InviteeList
	var err error
	switch {
	case req.Invitee != "" && len(invitees) > 0:
		err = im.Bad("invitee", "must not be set together with inviteeList")
	case req.Invitee == by.UserID:
		err = im.Bad("invitee", "is the inviter")
	case req.Invitee != "":
		invitees, err = []string{req.Invitee}, im.CheckUserID("invitee", req.Invitee)
	case len(invitees) == 0:
		err = im.Bad("invitee", "is missing: set it, or inviteeList")
	}
	if err != nil {
		return rpc.Txn[protocol.InviteResponse]{}, err
	}
	terms := termsOf(by, req.InviteOptions)
	terms.MergeGlare, terms.Notify = req.MergeGlare, invite.NotifyMembers
	return e.open(ctx, by, req.InviteOptions, terms, invitees)
}

// InviteInGroup opens an invitation to members of a group.
func (e *Service) InviteInGroup(ctx context.Context, by rpc.Caller,
	req protocol.InviteInGroupRequest) (rpc.Txn[protocol.InviteResponse], error) {
	if err := im.CheckGroupID(req.GroupID); err != nil {
		return rpc.Txn[protocol.InviteResponse]{}, err
	}
	terms := termsOf(by, req.InviteOptions)
	terms.GroupID, terms.Everyone, terms.Notify = req.GroupID, req.Everyone, req.Notify
	if terms.Notify == "" {
		terms.Notify = invite.NotifyMembers
	}
	return e.open(ctx, by, req.InviteOptions, terms, req.InviteeList)
}

func termsOf(by rpc.Caller, o protocol.InviteOptions) invite.Terms {
	return invite.Terms{
		ID: inviteID(by, o), Inviter: by.UserID, RoomID: o.RoomID, Data: o.Data, Timeout: o.Timeout,
		AcceptLimit: o.AcceptLimit,
		MinRing:     o.MinRing, OnlineUserOnly: o.OnlineUserOnly, Push: o.OfflinePush, Notice: o.Notice,
	}
}

// inviteID returns the proposed ID; without one, an ID derived from the requestID, so that a retry gets the same ID;
// without either, a random one.
func inviteID(by rpc.Caller, o protocol.InviteOptions) string {
	switch {
	case o.InviteID != "":
		return o.InviteID
	case o.RequestID != "":
		sum := sha256.Sum256([]byte(by.UserID + "\n" + o.RequestID))
		return "r-" + hex.EncodeToString(sum[:16])
	}
	return uuid.Must(uuid.NewV7()).String()
}

func (e *Service) open(ctx context.Context, by rpc.Caller, opt protocol.InviteOptions, t invite.Terms,
	invitees []string) (rpc.Txn[protocol.InviteResponse], error) {
	o := opening{fingerprint: invite.Fingerprint(t, invitees), by: by, actor: by.Actor(opt.RequestID),
		skip: opt.SkipInvalid}
	if o.skip && !t.Everyone && len(invitees) <= invite.MaxGroupInvitees {
		invitees, o.skipped = withoutDuplicates(by.UserID, invitees)
	}
	if err := rpc.FirstError(im.CheckRequestID(opt.RequestID), e.timeouts(&t), t.Check(invitees)); err != nil {
		return rpc.Txn[protocol.InviteResponse]{}, err
	}
	o.terms, o.invitees = t, invitees
	devices, err := e.devices(ctx, &o)
	if err != nil {
		return rpc.Txn[protocol.InviteResponse]{}, im.Internal(err)
	}
	o.devices = devices
	if o.largeInGroup, err = e.largeIn(ctx, t.GroupID, by.UserID, t.Everyone, invitees); err != nil {
		return rpc.Txn[protocol.InviteResponse]{}, err
	}
	reads := o.reads()
	e.boundReads(&reads, by.UserID, t.GroupID, invitees)
	after := func(res protocol.InviteResponse, err error) (protocol.InviteResponse, error) {
		if err == nil {
			if !res.Repeat && !res.Merged && !o.skip { // otherwise the remaining invitees are not known here
				e.routes.Add(t.ID, route{id: t.ID, participants: t.Notify == invite.NotifyParticipants, inviter: t.Inviter,
					peer: invite.Peer(&t, invitees), groupID: t.GroupID, roomID: res.Invitation.RoomID})
			}
			e.opened(&res, devices)
		}
		return res, err
	}
	decide := func(tx *txn.Tx) (protocol.InviteResponse, error) { return e.decideOpen(tx, o) }
	return rpc.Txn[protocol.InviteResponse]{Reads: reads, Decide: decide, After: after}, nil
}

func (o *opening) reads() txn.ReadSet {
	t := &o.terms
	n := txn.ReadSet{Invitations: []string{t.ID}, Tombstones: []txn.InviteeKey{{InviteID: t.ID, UserID: t.Inviter}}}
	if t.RoomID != "" {
		room.AdmissionReads(&n, t.RoomID, t.Inviter)
		n.CallIn = []string{t.RoomID}
	} else {
		n.OpenedBy = []string{t.Inviter}
	}
	if t.GroupID != "" {
		// the inviter's own topic guards the tombstone
		n.Topics, n.Groups = append(n.Topics, im.GroupTopic(t.GroupID), im.UserTopic(t.Inviter)), append(n.Groups, t.GroupID)
		n.Members = append(n.Members, txn.MemberKey{GroupID: t.GroupID, UserID: t.Inviter})
		for _, u := range o.invitees {
			n.Members = append(n.Members, txn.MemberKey{GroupID: t.GroupID, UserID: u})
		}
		return n
	}
	n.Topics = append(n.Topics, im.UserTopic(t.Inviter))
	for _, u := range o.invitees {
		n.Topics = append(n.Topics, im.UserTopic(u))
		n.Contacts = append(n.Contacts, txn.ContactKey{UserID: u, Peer: t.Inviter},
			txn.ContactKey{UserID: t.Inviter, Peer: u})
	}
	n.Users = o.invitees
	if t.MergeGlare {
		n.Glare = []txn.GlareKey{{From: o.invitees[0], To: t.Inviter}}
	}
	return n
}

func (e *Service) decideOpen(tx *txn.Tx, o opening) (protocol.InviteResponse, error) {
	if m := tx.Tombstone(o.terms.ID, o.by.UserID); m != nil {
		return e.answerFromTombstone(tx, m)
	}
	if v := tx.Invitation(o.terms.ID); v != nil {
		if err := v.Again(o.by.UserID, o.fingerprint); err != nil {
			return protocol.InviteResponse{}, err
		}
		rejoin(tx, v)
		return protocol.InviteResponse{InviteID: v.ID, Invitation: view.Invitation(v, nil, tx.Now), Repeat: true,
			ServerTime: tx.Now}, nil
	}
	if o.terms.GroupID != "" {
		if err := e.resolveGroup(tx, &o); err != nil {
			return protocol.InviteResponse{}, err
		}
	}
	if err := e.blockers(tx, &o); err != nil {
		return protocol.InviteResponse{}, err
	}
	if o.terms.MergeGlare {
		if id := tx.Glare(txn.GlareKey{From: o.invitees[0], To: o.by.UserID}); id != "" {
			if res, merged, err := e.merge(tx, o, id); merged || err != nil {
				return res, err
			}
		}
	}
	if err := rpc.FirstError(room.Name(tx, &o.terms),
		room.MayName(tx, e.opt.RoomPolicy, &o.terms, o.invitees)); err != nil {
		return protocol.InviteResponse{}, err
	}
	if err := e.bounds(tx, o.by.UserID, o.terms.GroupID, o.invitees, o.largeInGroup); err != nil && !o.terms.Notice {
		return protocol.InviteResponse{}, err
	}
	v, list := invite.New(o.terms, o.invitees, o.actor, o.fingerprint, tx.Now)
	if v.Large = o.large && !v.OwnTopic; v.Large {
		v.Digested = v.Version // the invite itself carries the counts
	}
	if err := e.checkBlocked(tx, &v, list); err != nil {
		return protocol.InviteResponse{}, err
	}
	reach := make([]protocol.Reach, len(list))
	if err := e.opt.Pushes.Ring(tx, &v, list, o.devices, reach); err != nil {
		return protocol.InviteResponse{}, err
	}
	countForInvitees(tx, &v, list)
	if err := announceOpen(tx, &v, list, o.by); err != nil {
		return protocol.InviteResponse{}, err
	}
	if err := appendRefusals(tx, &v, list); err != nil {
		return protocol.InviteResponse{}, err
	}
	if err := room.Make(tx, &v); err != nil {
		return protocol.InviteResponse{}, err
	}
	tx.PutInvitation(v)
	for _, p := range list {
		tx.PutInvitee(p)
	}
	return protocol.InviteResponse{InviteID: v.ID, Invitation: view.Invitation(&v, nil, tx.Now),
		ServerTime: tx.Now, Reach: reach, Skipped: o.skipped}, nil
}

// answerFromTombstone answers an invite with an ID that was cancelled before it arrived, or merged.
func (e *Service) answerFromTombstone(tx *txn.Tx, m *txn.Tombstone) (protocol.InviteResponse, error) {
	if m.Target == "" {
		return protocol.InviteResponse{}, &im.Error{Code: im.CodeOver, Field: "inviteID",
			Message: "this inviteID was cancelled before the invite arrived"}
	}
	v := tx.Invitation(m.Target)
	switch {
	case v == nil && !tx.HasInvitation(m.Target):
		return protocol.InviteResponse{}, &txn.NeedReads{Reads: txn.ReadSet{Invitations: []string{m.Target}}}
	case v == nil:
		return protocol.InviteResponse{}, &im.Error{Code: im.CodeOver, Field: "inviteID",
			Message: "this invite was merged into another invitation, which is over"}
	}
	return protocol.InviteResponse{InviteID: v.ID, Invitation: view.Invitation(v, nil, tx.Now), Merged: true,
		Repeat: true, ServerTime: tx.Now}, nil
}

// resolveGroup checks the permissions of the inviter, and resolves the invitees of everyone.
func (e *Service) resolveGroup(tx *txn.Tx, o *opening) error {
	g := tx.Group(o.terms.GroupID)
	me := tx.Member(o.terms.GroupID, o.by.UserID)
	if err := g.MaySpeak(me, tx.Now); err != nil {
		return err
	}
	if o.terms.Everyone {
		if err := g.MayMentionAll(me, "everyone"); err != nil {
			return err
		}
	}
	o.large = g.Members > e.opt.LargeGroup
	if o.terms.Everyone && !tx.HasRoster(g.ID) { // required only after the permission check
		if g.Members-1 > invite.MaxGroupInvitees {
			return im.Bad("everyone", fmt.Sprintf("is %d users in this group; the limit is %d", g.Members-1,
				invite.MaxGroupInvitees))
		}
		return &txn.NeedReads{Reads: txn.ReadSet{AllMembers: []string{g.ID}}}
	}
	if !o.terms.Everyone {
		return o.members(tx, g.ID)
	}
	o.invitees = nil
	for _, m := range tx.Roster(g.ID) {
		if m.UserID != o.by.UserID {
			o.invitees = append(o.invitees, m.UserID)
		}
	}
	return invite.CheckInvitees(o.by.UserID, g.ID, o.invitees)
}

// merge turns an invite into the accept of the open invitation by its invitee.
func (e *Service) merge(tx *txn.Tx, o opening, id string) (res protocol.InviteResponse, merged bool, err error) {
	v, me := tx.Invitation(id), tx.Invitee(id, o.by.UserID)
	if v == nil || me == nil {
		return res, false, &txn.NeedReads{Reads: txn.ReadSet{Invitations: []string{id},
			Invitees: []txn.InviteeKey{{InviteID: id, UserID: o.by.UserID}}}}
	}
	if me.Dropped || me.StateAt(tx.Now) != invite.Open || !v.MergeGlare || v.OwnTopic {
		return res, false, nil
	}
	a := invite.Answer{Act: invite.Accept, By: o.actor, Data: o.terms.Data}
	s, err := invite.Apply(*v, me, a, tx.Now)
	if err != nil {
		return res, false, err
	}
	if err := e.putAnswer(tx, s, a, o.by, o.terms.ID); err != nil {
		return res, false, err
	}
	if err := room.Grant(tx, e.opt.RoomPolicy, &s.Invitation, o.by, o.by.UserID); err != nil {
		return res, false, err
	}
	tx.PutTombstone(txn.Tombstone{InviteID: o.terms.ID, UserID: o.by.UserID, Target: id, ExpiresAt: tx.Now +
		tombstoneLife.Milliseconds()})
	view := view.Invitation(&s.Invitation, []invite.Invitee{s.Invitee}, tx.Now)
	return protocol.InviteResponse{InviteID: id, Invitation: view, Merged: true, ServerTime: tx.Now}, true, nil
}

// opened completes the response to a committed invite with the reach, and schedules the deadline.
func (e *Service) opened(res *protocol.InviteResponse, devices *offlinepush.Devices) {
	offlinepush.Complete(res.Reach, devices)
	e.watch.Opened(res.InviteID, devices)
	e.updateDeadline(res.InviteID, res.Invitation.Over, res.Invitation.Deadline, res.Repeat || res.Merged)
}

// devices returns the connected devices of the invitees. It runs before the transaction, which must not wait for nodes.
func (e *Service) devices(ctx context.Context, o *opening) (*offlinepush.Devices, error) {
	users := o.invitees
	if o.terms.Everyone {
		me, err := e.store.Member(ctx, o.terms.GroupID, o.by.UserID)
		if err != nil || !me.Present() {
			return &offlinepush.Devices{}, err // decideOpen refuses it
		}
		if users, err = offlinepush.Members(ctx, e.store, o.terms.GroupID); err != nil {
			return nil, err
		}
	}
	return offlinepush.ConnectedOf(e.presence, users), nil
}

// updateDeadline schedules or removes a deadline after a commit.
func (e *Service) updateDeadline(id string, over bool, due int64, known bool) {
	switch {
	case over:
		e.deadlines.Set(id, 0)
	case !known:
		e.deadlines.Set(id, due)
	}
}
