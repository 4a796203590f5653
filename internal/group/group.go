// Package group owns the verbs of groups: who comes and goes, who rules, what a group is called and keeps.
//
// What a type of group allows is decided by the table of package im alone. It never talks to a device.
package group

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// Invitations ends what is open in a group for those who leave it.
type Invitations interface {
	LeaveGroup(tx *txn.Tx, group string, people []string) error
	EndGroup(tx *txn.Tx, group string) error
}

// Presence knows how many devices of a person are connected now.
type Presence interface {
	Devices(userIDs ...string) []int
}

// Groups runs the verbs of groups.
type Groups struct {
	store       *store.Store
	invitations Invitations
	presence    Presence
	online      *onlineCounts
	created     *daily // groups
	brought     *daily // users who were brought into groups
}

// Options are the choices for groups. The zero value works.
type Options struct {
	// PerDay is how many groups one user may create a day. Negative: no bound. Default: 100.
	PerDay int
	// MembersPerDay is how many users one user may bring into groups a day. Negative: no bound. Default: 1000.
	MembersPerDay int
}

// The usual bounds of a day.
const (
	usualPerDay        = 100
	usualMembersPerDay = 1000
)

// New makes the verbs of groups.
func New(s *store.Store, i Invitations, p Presence, opt Options) *Groups {
	return &Groups{
		store: s, invitations: i, presence: p, online: newOnlineCounts(),
		created: newDaily(opt.PerDay, usualPerDay, "may create groups,", s.Now),
		brought: newDaily(opt.MembersPerDay, usualMembersPerDay, "may bring users into groups,", s.Now),
	}
}

// scene is a group in a unit of work, with whoever acts in it.
type scene struct {
	*im.Group
	tx    *txn.Tx
	topic string
	by    rpc.Caller
	me    *im.Member // nil for who never was a member
}

// tell appends a change to the group's timeline. Those that people see stand in its conversation.
func (s *scene) tell(e protocol.GroupEvent) {
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

// tellUser appends a change to one person's timeline, with a listen order when there is one. All devices of the person
// hear it, also the acting one, because from here on it hears the group or does not; but who creates a group knows.
func (s *scene) tellUser(user string, e protocol.GroupEvent, listen string) {
	d := s.draft(&e)
	d.Listen = listen
	if e.Tip != protocol.TipCreated {
		d.Device = ""
	}
	s.tx.Append(im.UserTopic(user), d)
}

// member returns a declared member.
func (s *scene) member(user string) *im.Member { return s.tx.Member(s.ID, user) }

// hold asks for what is not declared yet.
func (s *scene) hold(users []string) error {
	topics := make([]string, len(users))
	for i, u := range users {
		topics[i] = im.UserTopic(u)
	}
	if err := s.tx.Require(topics...); err != nil {
		return err
	}
	return nil
}

// in runs an action on a group and the named people in it. When the action returns nil the group is put as it left it.
func in[R any](g *Groups, by rpc.Caller, id string, people []string, more txn.ReadSet,
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
	for _, u := range people {
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

// respond makes the answer to most verbs.
func (s *scene) respond(people []string) protocol.GroupResponse {
	return protocol.GroupResponse{Group: View(s.Group), MemberList: people, ServerTime: s.tx.Now}
}

// View is a group as anybody may see it.
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
	people := without(req.MemberList, by.UserID)
	back, err := g.charge(by, 1, len(people))
	if err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, err
	}
	reads := txn.ReadSet{Topics: []string{im.GroupTopic(id), im.UserTopic(by.UserID)}, Groups: []string{id},
		Members: []txn.MemberKey{{GroupID: id, UserID: by.UserID}}}
	for _, u := range people {
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
			err = made.Room(1 + len(people))
		}
		if err != nil {
			return protocol.GroupResponse{}, err
		}
		s := &scene{Group: &made, tx: tx, topic: im.GroupTopic(id), by: by}
		s.found(im.RoleOwner, by.UserID, "")
		s.tellUser(by.UserID, protocol.GroupEvent{Tip: protocol.TipCreated}, im.ListenTo(s.topic, tx.Head(s.topic)))
		s.enter(people, protocol.TipInvited)
		tx.PutGroup(made)
		return s.respond(people), nil
	}, After: func(res protocol.GroupResponse, err error) (protocol.GroupResponse, error) {
		if err != nil || res.Repeat {
			back()
		}
		return res, err
	}}, nil
}

// charge charges a user for groups and for the users brought into them; back returns what came to nothing.
func (g *Groups) charge(by rpc.Caller, groups, users int) (back func(), err error) {
	groupsBack, err := g.created.take(by, groups)
	if err != nil {
		return nil, err
	}
	usersBack, err := g.brought.take(by, users)
	if err != nil {
		groupsBack()
		return nil, err
	}
	return func() { groupsBack(); usersBack() }, nil
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

// found makes somebody a member from the beginning.
func (s *scene) found(role im.Role, user, card string) {
	s.Members++
	s.tx.PutMember(s.fresh(user, role, card))
}

// fresh is a member whose side of the conversation begins now.
func (s *scene) fresh(user string, role im.Role, card string) im.Member {
	m := im.Member{GroupID: s.ID, UserID: user, Role: role, JoinedAt: s.tx.Now, JoinedSeq: s.tx.Head(s.topic),
		NameCard: card}
	m.ReadSeq, m.ReadOrd = m.JoinedSeq, s.tx.UnreadCount(s.topic)
	if old := s.member(user); old != nil {
		m.MutedUntil = old.MutedUntil // to leave and come back does not give one's voice back
	}
	return m
}

// enter makes people members and tells the group and each of them.
func (s *scene) enter(people []string, how protocol.Tip) {
	if len(people) == 0 {
		return
	}
	listen := im.ListenTo(s.topic, s.tx.Head(s.topic))
	if rules, _ := im.Rules(s.Type); rules.AnnounceMoves {
		s.tell(protocol.GroupEvent{Tip: how, Members: people})
	}
	for _, u := range people {
		s.found(im.RoleMember, u, "")
		s.tellUser(u, protocol.GroupEvent{Tip: protocol.TipJoined, Seq: s.tx.Head(s.topic)}, listen)
	}
}

// JoinGroup brings the caller into a group, or leaves an application.
func (g *Groups) JoinGroup(_ context.Context, by rpc.Caller,
	req protocol.JoinGroupRequest) (rpc.Txn[protocol.GroupResponse], error) {
	if err := im.CheckText("reason", req.Reason, maxReason); err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, err
	}
	more := txn.ReadSet{Applications: []txn.MemberKey{{GroupID: req.GroupID, UserID: by.UserID}}}
	return in(g, by, req.GroupID, []string{by.UserID}, more, func(s *scene) (protocol.GroupResponse, error) {
		way, err := s.MayJoin(s.me, s.tx.Now)
		if err != nil {
			return protocol.GroupResponse{}, err
		}
		if way == im.WayApproval {
			return s.apply([]string{by.UserID}, "", req.Reason)
		}
		s.enter([]string{by.UserID}, protocol.TipEnter)
		return s.respond([]string{by.UserID}), nil
	})
}

// InviteUserToGroup brings people into a group, or leaves applications for them.
func (g *Groups) InviteUserToGroup(_ context.Context, by rpc.Caller,
	req protocol.GroupMembersRequest) (rpc.Txn[protocol.GroupResponse], error) {
	if err := rpc.CheckUsers("memberList", req.MemberList, im.MaxMembersPerCall, false); err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, err
	}
	back, err := g.charge(by, 0, len(req.MemberList))
	if err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, err
	}
	var more txn.ReadSet
	for _, u := range req.MemberList {
		more.Applications = append(more.Applications, txn.MemberKey{GroupID: req.GroupID, UserID: u})
	}
	t, err := in(g, by, req.GroupID, req.MemberList, more, func(s *scene) (protocol.GroupResponse, error) {
		var people []string
		for _, u := range req.MemberList {
			if !s.member(u).Present() {
				people = append(people, u)
			}
		}
		way, err := s.MayAdd(s.me, len(people))
		if err != nil {
			return protocol.GroupResponse{}, err
		}
		if way == im.WayApproval && len(people) > 0 {
			return s.apply(people, by.UserID, "")
		}
		s.enter(people, protocol.TipInvited)
		return s.respond(people), nil
	})
	if err != nil {
		back()
		return t, err
	}
	t.After = func(res protocol.GroupResponse, err error) (protocol.GroupResponse, error) {
		if err != nil || len(res.MemberList) == 0 && !res.Applied || res.Repeat {
			back()
		}
		return res, err
	}
	return t, nil
}

// QuitGroup takes the caller out of a group.
func (g *Groups) QuitGroup(_ context.Context, by rpc.Caller,
	req protocol.GroupRequest) (rpc.Txn[protocol.GroupResponse], error) {
	return in(g, by, req.GroupID, []string{by.UserID}, txn.ReadSet{}, func(s *scene) (protocol.GroupResponse, error) {
		if err := s.MayQuit(s.me); err != nil {
			return protocol.GroupResponse{}, err
		}
		err := g.exit(s, []string{by.UserID}, protocol.GroupEvent{Tip: protocol.TipLeave}, 0)
		return s.respond([]string{by.UserID}), err
	})
}

// KickGroupMember removes people from a group.
func (g *Groups) KickGroupMember(_ context.Context, by rpc.Caller,
	req protocol.KickRequest) (rpc.Txn[protocol.GroupResponse], error) {
	err := rpc.FirstError(rpc.CheckUsers("memberList", req.MemberList, im.MaxMembersPerCall, false),
		im.CheckText("reason", req.Reason, maxReason))
	if err == nil && (req.Duration < 0 || req.Duration > im.MaxMuteSeconds) {
		err = im.Bad("duration", "is out of range; it is seconds from 0 to a year")
	}
	if err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, err
	}
	return in(g, by, req.GroupID, req.MemberList, txn.ReadSet{}, func(s *scene) (protocol.GroupResponse, error) {
		var people []string
		for _, u := range req.MemberList {
			m := s.member(u)
			if err := s.MayRule(s.me, m); err != nil {
				return protocol.GroupResponse{}, err
			}
			if m.Present() {
				people = append(people, u)
			}
		}
		err := g.exit(s, people, protocol.GroupEvent{Tip: protocol.TipKicked, Reason: req.Reason}, req.Duration*1000)
		return s.respond(people), err
	})
}

// exit ends memberships, cancels what the people were invited to in the group, and tells the group and each of them.
func (g *Groups) exit(s *scene, people []string, e protocol.GroupEvent, banned int64) error {
	if len(people) == 0 {
		return nil
	}
	if err := g.invitations.LeaveGroup(s.tx, s.ID, people); err != nil {
		return err
	}
	e.Members = people
	s.tell(e) // first, so that who goes hears it as the last of the group
	for _, u := range people {
		m := s.member(u)
		m.Gone, m.Role, m.NameCard, m.Marks = true, im.RoleMember, "", 0
		if banned > 0 {
			m.BannedUntil = s.tx.Now + banned
		}
		if u == s.Owner { // only a Work group's owner may go, and an app server may remove any
			s.Owner = ""
		}
		s.tx.PutMember(*m)
		s.tellUser(u, protocol.GroupEvent{Tip: protocol.TipQuit, Reason: e.Reason}, im.StopListening(s.topic))
	}
	s.Members -= len(people)
	return nil
}

// DismissGroup ends a group and everything open in it.
func (g *Groups) DismissGroup(_ context.Context, by rpc.Caller,
	req protocol.GroupRequest) (rpc.Txn[protocol.GroupResponse], error) {
	return in(g, by, req.GroupID, nil, txn.ReadSet{}, func(s *scene) (protocol.GroupResponse, error) {
		if err := s.MayDismiss(s.me); err != nil {
			return protocol.GroupResponse{}, err
		}
		if !s.tx.HasRoster(s.ID) || !s.tx.HasOpenInGroup(s.ID) { // asked for only now that it is known that the caller may
			return protocol.GroupResponse{}, &txn.NeedReads{Reads: txn.ReadSet{AllMembers: []string{s.ID},
				OpenInGroup: []string{s.ID}}}
		}
		roster := s.tx.Roster(s.ID)
		users := make([]string, len(roster))
		for i, m := range roster {
			users[i] = m.UserID
		}
		if err := s.hold(users); err != nil {
			return protocol.GroupResponse{}, err
		}
		if err := g.invitations.EndGroup(s.tx, s.ID); err != nil {
			return protocol.GroupResponse{}, err
		}
		for _, m := range roster {
			m.Gone = true
			s.tx.PutMember(m)
			s.tellUser(m.UserID, protocol.GroupEvent{Tip: protocol.TipDismissed}, im.StopListening(s.topic))
		}
		s.Members, s.Dismissed = 0, true
		return s.respond(nil), nil
	})
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
