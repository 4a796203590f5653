// Package group implements the methods of groups: membership, roles, properties, attributes and counters.
//
// Permissions by group type are in package im. This package never talks to devices.
package group

import (
	"cmp"
	"context"
	"log/slog"
	"strings"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// Invitations ends the open invitations of members that leave a group, and of dismissed groups.
type Invitations interface {
	LeaveGroup(tx *txn.Tx, group string, members []string) error
	EndGroup(tx *txn.Tx, group string) (all bool, err error)
	EndGroupLater(ctx context.Context, group string, inviteIDs []string) error
}

// Presence counts the connected devices of users.
type Presence interface {
	Devices(userIDs ...string) []int
}

// Groups implements the methods of groups.
type Groups struct {
	store       *store.Store
	invitations Invitations
	presence    Presence
	online      *onlineCounts
	created     *daily // groups created, by user
	added       *daily // users added to groups, by the adding user
	dismissed   chan struct{}
	log         *slog.Logger
}

// Options configures Groups. The zero value works.
type Options struct {
	// PerDay limits the groups that one user may create a day. Negative: no limit. Default: 100.
	PerDay int
	// MembersPerDay limits the users that one user may add to groups a day. Negative: no limit. Default: 1000.
	MembersPerDay int
	Log           *slog.Logger // nil: discarded
}

// Default limits.
const (
	defaultPerDay        = 100
	defaultMembersPerDay = 1000
)

// New returns Groups on a store.
func New(s *store.Store, i Invitations, p Presence, opt Options) *Groups {
	return &Groups{
		store: s, invitations: i, presence: p, online: newOnlineCounts(), dismissed: make(chan struct{}, 1),
		log:     cmp.Or(opt.Log, slog.New(slog.DiscardHandler)),
		created: newDaily(opt.PerDay, defaultPerDay, "new groups", s.Now),
		added:   newDaily(opt.MembersPerDay, defaultMembersPerDay, "users added to groups", s.Now),
	}
}

// scene is a group within a transaction, with the caller.
type scene struct {
	*im.Group
	tx    *txn.Tx
	topic string
	by    rpc.Caller
	me    *im.Member // nil if the caller was never a member
}

// announce appends a change to the group's timeline. Visible changes are part of its conversation.
func (s *scene) announce(e protocol.GroupEvent) {
	d := s.draft(&e)
	if e.Tip.Shown() {
		d.Peer = txn.GroupPeer
	}
	s.tx.Append(s.topic, d)
}

func (s *scene) draft(e *protocol.GroupEvent) txn.Draft {
	e.Type, e.GroupID, e.From, e.Time = protocol.TypeGroup, s.ID, s.by.UserID, s.tx.Now
	return txn.Draft{Device: s.by.Origin(), Body: &rpc.Event{Value: *e}}
}

// notifyUser appends a change to a user's timeline, with a subscription change unless it is empty. The acting device
// receives it as well, because its subscription changes; only the creation of a group skips it.
func (s *scene) notifyUser(user string, e protocol.GroupEvent, listen string) {
	d := s.draft(&e)
	d.Listen = listen
	if e.Tip != protocol.TipCreated {
		d.Device = ""
	}
	s.tx.Append(im.UserTopic(user), d)
}

// member returns the row of a declared member.
func (s *scene) member(user string) *im.Member { return s.tx.Member(s.ID, user) }

// requireUsers requires the timelines of users.
func (s *scene) requireUsers(users []string) error {
	topics := make([]string, len(users))
	for i, u := range users {
		topics[i] = im.UserTopic(u)
	}
	if err := s.tx.Require(topics...); err != nil {
		return err
	}
	return nil
}

// onGroup returns the transaction of an action on a group and the given users in it. If decide returns no error, the
// group is written.
func onGroup[R any](g *Groups, by rpc.Caller, id string, members []string, more txn.ReadSet,
	decide func(*scene) (R, error)) (rpc.Txn[R], error) {
	if err := im.CheckGroupID(id); err != nil {
		return rpc.Txn[R]{}, err
	}
	reads := more
	reads.Topics = append(reads.Topics, im.GroupTopic(id))
	reads.Groups = append(reads.Groups, id)
	if by.UserID != "" {
		reads.Members = append(reads.Members, txn.MemberKey{GroupID: id, UserID: by.UserID})
	}
	for _, u := range members {
		reads.Topics = append(reads.Topics, im.UserTopic(u))
		reads.Members = append(reads.Members, txn.MemberKey{GroupID: id, UserID: u})
	}
	return rpc.Txn[R]{Reads: reads, Decide: func(tx *txn.Tx) (res R, err error) {
		s := &scene{Group: tx.Group(id), tx: tx, topic: im.GroupTopic(id), by: by}
		s.me = tx.Member(id, by.UserID)
		if by.Server && by.UserID == "" {
			s.me = &im.Member{GroupID: id, Role: im.RoleServer}
		}
		if err := s.KnownTo(s.me); err != nil {
			return res, err
		}
		if res, err = decide(s); err != nil {
			return res, err
		}
		tx.PutGroup(*s.Group)
		return res, nil
	}}, nil
}

// respond returns the response of most methods.
func (s *scene) respond(members []string) protocol.GroupResponse {
	return protocol.GroupResponse{Group: View(s.Group), MemberList: members, ServerTime: s.tx.Now}
}

// View returns the public view of a group.
func View(g *im.Group) protocol.Group {
	return protocol.Group{GroupID: g.ID, Type: string(g.Type), GroupInfo: viewInfo(g.Info), Owner: g.Owner,
		Members:    g.Members,
		MaxMembers: g.MaxMembers, AllMuted: g.Muted, CreatedAt: g.CreatedAt}
}

func viewInfo(i im.GroupInfo) protocol.GroupInfo {
	return protocol.GroupInfo{Name: i.Name, Introduction: i.Introduction, Notification: i.Notification, FaceURL: i.FaceURL,
		CustomInfo: i.Custom,
		JoinOption: string(i.Join), InviteOption: string(i.Invite)}
}

func infoOf(i protocol.GroupInfo) im.GroupInfo {
	return im.GroupInfo{Name: i.Name, Introduction: i.Introduction, Notification: i.Notification, FaceURL: i.FaceURL,
		Custom: i.CustomInfo,
		Join:   im.Way(i.JoinOption), Invite: im.Way(i.InviteOption)}
}

// CreateGroup creates a group with the caller as owner.
func (g *Groups) CreateGroup(_ context.Context, by rpc.Caller,
	req protocol.CreateGroupRequest) (rpc.Txn[protocol.GroupResponse], error) {
	if req.GroupID == "" {
		req.GroupID = "g-" + strings.ReplaceAll(uuid.NewString(), "-", "")
	}
	if err := rpc.FirstError(im.CheckGroupID(req.GroupID),
		rpc.CheckUsers("memberList", req.MemberList, im.MaxMembersPerCall, true)); err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, err
	}
	id := req.GroupID
	members := without(req.MemberList, by.UserID)
	refund, err := g.charge(by, 1, len(members))
	if err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, err
	}
	reads := txn.ReadSet{Topics: []string{im.GroupTopic(id), im.UserTopic(by.UserID)}, Groups: []string{id},
		Members: []txn.MemberKey{{GroupID: id, UserID: by.UserID}}}
	for _, u := range members {
		reads.Topics = append(reads.Topics, im.UserTopic(u))
		reads.Members = append(reads.Members, txn.MemberKey{GroupID: id, UserID: u})
	}
	return rpc.Txn[protocol.GroupResponse]{Reads: reads, Decide: func(tx *txn.Tx) (protocol.GroupResponse, error) {
		if old := tx.Group(id); old != nil && !old.Dismissed && old.Owner == by.UserID && string(old.Type) == req.Type {
			return protocol.GroupResponse{Group: View(old), Repeat: true, ServerTime: tx.Now}, nil
		} else if old != nil {
			return protocol.GroupResponse{}, &im.Error{Code: im.CodeGroupIDTaken, Field: "groupID",
				Message: "this groupID is taken"}
		}
		made, err := newGroup(id, req.Type, by.UserID, req.MaxMembers, infoOf(req.GroupInfo), tx.Now)
		if err == nil {
			err = made.Room(1 + len(members))
		}
		if err != nil {
			return protocol.GroupResponse{}, err
		}
		s := &scene{Group: &made, tx: tx, topic: im.GroupTopic(id), by: by}
		s.addMember(im.RoleOwner, by.UserID, "")
		s.notifyUser(by.UserID, protocol.GroupEvent{Tip: protocol.TipCreated}, listen.To(s.topic, tx.Head(s.topic)))
		s.addMembers(members, protocol.TipInvited)
		tx.PutGroup(made)
		return s.respond(members), nil
	}, After: func(res protocol.GroupResponse, err error) (protocol.GroupResponse, error) {
		if err != nil || res.Repeat {
			refund()
		}
		return res, err
	}}, nil
}

// charge charges a user for created groups and for added users; refund undoes the charge of a call without effect.
func (g *Groups) charge(by rpc.Caller, groups, users int) (refund func(), err error) {
	refundGroups, err := g.created.take(by, groups)
	if err != nil {
		return nil, err
	}
	refundUsers, err := g.added.take(by, users)
	if err != nil {
		refundGroups()
		return nil, err
	}
	return func() { refundGroups(); refundUsers() }, nil
}

func newGroup(id, kind, owner string, limit int, info im.GroupInfo, now int64) (im.Group, error) {
	made, err := im.NewGroup(id, im.GroupType(kind), owner, info, now)
	if err != nil {
		return made, err
	}
	rules, _ := im.Rules(made.Type)
	if limit < 0 || rules.MaxMembers > 0 && limit > rules.MaxMembers {
		return made, &im.Error{Code: im.CodeGroupParameter, Field: "maxMembers",
			Message: "maxMembers is out of range for a group of this type"}
	}
	made.MaxMembers = limit
	return made, nil
}

// addMember adds a user without announcing it.
func (s *scene) addMember(role im.Role, user, card string) {
	s.Members++
	s.tx.PutMember(s.newMember(user, role, card))
}

// newMember returns a member that sees the conversation from now on.
func (s *scene) newMember(user string, role im.Role, card string) im.Member {
	m := im.Member{GroupID: s.ID, UserID: user, Role: role, JoinedAt: s.tx.Now, JoinedSeq: s.tx.Head(s.topic),
		NameCard: card}
	m.ReadSeq, m.ReadOrd = m.JoinedSeq, s.tx.UnreadCount(s.topic)
	if old := s.member(user); old != nil {
		m.MutedUntil = old.MutedUntil // rejoining does not lift a mute
	}
	return m
}

// addMembers adds users, and announces it to the group and to each of them.
func (s *scene) addMembers(members []string, how protocol.Tip) {
	if len(members) == 0 {
		return
	}
	listen := listen.To(s.topic, s.tx.Head(s.topic))
	if rules, _ := im.Rules(s.Type); rules.AnnounceMoves {
		s.announce(protocol.GroupEvent{Tip: how, Members: members})
	}
	for _, u := range members {
		s.addMember(im.RoleMember, u, "")
		s.notifyUser(u, protocol.GroupEvent{Tip: protocol.TipJoined, Seq: s.tx.Head(s.topic)}, listen)
	}
}

// JoinGroup adds the caller to a group, or files an application.
func (g *Groups) JoinGroup(_ context.Context, by rpc.Caller,
	req protocol.JoinGroupRequest) (rpc.Txn[protocol.GroupResponse], error) {
	if err := im.CheckText("reason", req.Reason, maxReason); err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, err
	}
	more := txn.ReadSet{Applications: []txn.MemberKey{{GroupID: req.GroupID, UserID: by.UserID}}}
	return onGroup(g, by, req.GroupID, []string{by.UserID}, more, func(s *scene) (protocol.GroupResponse, error) {
		way, err := s.MayJoin(s.me, s.tx.Now)
		if err != nil {
			return protocol.GroupResponse{}, err
		}
		if way == im.WayApproval {
			return s.apply([]string{by.UserID}, "", req.Reason)
		}
		s.addMembers([]string{by.UserID}, protocol.TipEnter)
		return s.respond([]string{by.UserID}), nil
	})
}

// InviteUserToGroup adds users to a group, or files applications for them.
func (g *Groups) InviteUserToGroup(_ context.Context, by rpc.Caller,
	req protocol.GroupMembersRequest) (rpc.Txn[protocol.GroupResponse], error) {
	if err := rpc.CheckUsers("memberList", req.MemberList, im.MaxMembersPerCall, false); err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, err
	}
	refund, err := g.charge(by, 0, len(req.MemberList))
	if err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, err
	}
	var more txn.ReadSet
	for _, u := range req.MemberList {
		more.Applications = append(more.Applications, txn.MemberKey{GroupID: req.GroupID, UserID: u})
	}
	t, err := onGroup(g, by, req.GroupID, req.MemberList, more, func(s *scene) (protocol.GroupResponse, error) {
		var members []string
		for _, u := range req.MemberList {
			if !s.member(u).Present() {
				members = append(members, u)
			}
		}
		way, err := s.MayAdd(s.me, len(members))
		if err != nil {
			return protocol.GroupResponse{}, err
		}
		if way == im.WayApproval && len(members) > 0 {
			return s.apply(members, by.UserID, "")
		}
		s.addMembers(members, protocol.TipInvited)
		return s.respond(members), nil
	})
	if err != nil {
		refund()
		return t, err
	}
	t.After = func(res protocol.GroupResponse, err error) (protocol.GroupResponse, error) {
		if err != nil || len(res.MemberList) == 0 && !res.Applied || res.Repeat {
			refund()
		}
		return res, err
	}
	return t, nil
}

// QuitGroup removes the caller from a group.
func (g *Groups) QuitGroup(_ context.Context, by rpc.Caller,
	req protocol.GroupRequest) (rpc.Txn[protocol.GroupResponse], error) {
	return onGroup(g, by, req.GroupID, []string{by.UserID}, txn.ReadSet{}, func(s *scene) (protocol.GroupResponse, error) {
		if err := s.MayQuit(s.me); err != nil {
			return protocol.GroupResponse{}, err
		}
		err := g.exit(s, []string{by.UserID}, protocol.GroupEvent{Tip: protocol.TipLeave}, 0)
		return s.respond([]string{by.UserID}), err
	})
}

// maxScanned limits the open invitations to members, in all groups, that checkLeaving reads.
const maxScanned = 20_000

// checkLeaving refuses members that cannot leave a group in one transaction, because too many invitations to them are
// open. Each of them can.
func (g *Groups) checkLeaving(ctx context.Context, by rpc.Caller, group string, users []string) error {
	if len(users) < 2 {
		return nil
	}
	switch known, err := g.isMember(ctx, by, group); {
	case err != nil:
		return im.Internal(err)
	case !known:
		return nil // the transaction refuses strangers
	}
	scanned, n, err := g.store.OpenOfMembers(ctx, group, users, maxScanned)
	if err != nil {
		return im.Internal(err)
	}
	if by.CountRows(scanned); n > im.MaxLeavingInvitees || scanned == maxScanned {
		return im.TooManyLeave()
	}
	return nil
}

// KickGroupMember removes users from a group.
func (g *Groups) KickGroupMember(ctx context.Context, by rpc.Caller,
	req protocol.KickRequest) (rpc.Txn[protocol.GroupResponse], error) {
	err := rpc.FirstError(rpc.CheckUsers("memberList", req.MemberList, im.MaxMembersPerCall, false),
		im.CheckText("reason", req.Reason, maxReason))
	if err == nil && (req.Duration < 0 || req.Duration > im.MaxMuteSeconds) {
		err = im.Bad("duration", "must be from 0 to 31536000 seconds (one year)")
	}
	if err == nil {
		err = g.checkLeaving(ctx, by, req.GroupID, req.MemberList)
	}
	if err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, err
	}
	return onGroup(g, by, req.GroupID, req.MemberList, txn.ReadSet{}, func(s *scene) (protocol.GroupResponse, error) {
		var members []string
		for _, u := range req.MemberList {
			m := s.member(u)
			if err := s.MayRule(s.me, m); err != nil {
				return protocol.GroupResponse{}, err
			}
			if m.Present() {
				members = append(members, u)
			}
		}
		err := g.exit(s, members, protocol.GroupEvent{Tip: protocol.TipKicked, Reason: req.Reason}, req.Duration*1000)
		return s.respond(members), err
	})
}

// exit ends memberships, cancels their open invitations in the group, and announces it to the group and to each of
// the users.
func (g *Groups) exit(s *scene, members []string, e protocol.GroupEvent, banned int64) error {
	if len(members) == 0 {
		return nil
	}
	if err := g.invitations.LeaveGroup(s.tx, s.ID, members); err != nil {
		return err
	}
	e.Members = members
	s.announce(e) // first, so that it is the last record of the group for the users that leave
	for _, u := range members {
		m := s.member(u)
		m.Gone, m.Role, m.NameCard, m.Marks = true, im.RoleMember, "", 0
		if banned > 0 {
			m.BannedUntil = s.tx.Now + banned
		}
		if u == s.Owner { // only owners of Work groups may leave; app servers may remove any owner
			s.Owner = ""
		}
		s.tx.PutMember(*m)
		s.notifyUser(u, protocol.GroupEvent{Tip: protocol.TipQuit, Reason: e.Reason}, listen.Stop(s.topic))
	}
	s.Members -= len(members)
	return nil
}

// maxReason is the limit of a reason, in bytes.
const maxReason = 256

func without(users []string, user string) []string {
	var list []string
	for _, u := range users {
		if u != user {
			list = append(list, u)
		}
	}
	return list
}
