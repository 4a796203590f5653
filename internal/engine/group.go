package engine

import (
	"strings"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/world"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// CreateGroup creates a group with the caller as owner.
func (e *Engine) CreateGroup(by Caller, req protocol.CreateGroupRequest, done func(protocol.GroupResponse, error)) {
	if req.GroupID == "" {
		req.GroupID = "g-" + strings.ReplaceAll(uuid.NewString(), "-", "")
	}
	if err := firstError(im.CheckGroupID(req.GroupID), checkMembers("memberList", req.MemberList, true)); err != nil {
		done(protocol.GroupResponse{}, err)
		return
	}
	id, people := req.GroupID, append([]string{by.UserID}, without(req.MemberList, by.UserID)...)
	need := world.Need{Topics: []string{im.GroupTopic(id)}, Groups: []string{id}}
	for _, u := range people {
		need.Topics = append(need.Topics, im.UserTopic(u))
		need.Members = append(need.Members, world.MemberKey{GroupID: id, UserID: u})
	}
	do(e, need, func(w *world.World) (protocol.GroupResponse, error) {
		if w.Group(id) != nil {
			return protocol.GroupResponse{}, &im.Error{Code: im.CodeGroupIDTaken, Field: "groupID", Message: "this groupID is taken"}
		}
		g, err := im.NewGroup(id, im.GroupType(req.Type), req.Name, by.UserID, im.JoinOption(req.JoinOption), w.Now)
		if err != nil {
			return protocol.GroupResponse{}, err
		}
		enter(w, &g, by, people[1:], protocol.TipInvited)
		w.PutMember(im.Member{GroupID: id, UserID: by.UserID, Role: im.RoleOwner, JoinedAt: w.Now, JoinedSeq: w.Head(im.GroupTopic(id))})
		own := protocol.GroupEvent{Type: protocol.TypeGroup, Tip: protocol.TipCreated, GroupID: id, From: by.UserID, Time: w.Now}
		w.Append(im.UserTopic(by.UserID), world.Draft{Listen: world.ListenTo(im.GroupTopic(id), w.Head(im.GroupTopic(id))), Device: by.origin(), Body: &tip{own}})
		g.Members++
		w.PutGroup(g)
		return groupResponse(&g, people[1:], w.Now), nil
	}, done)
}

// enter makes people members and tells the group and each of them.
func enter(w *world.World, g *im.Group, by Caller, people []string, how protocol.Tip) {
	if len(people) == 0 {
		return
	}
	topic := im.GroupTopic(g.ID)
	from := w.Head(topic)
	ev := protocol.GroupEvent{Type: protocol.TypeGroup, Tip: how, GroupID: g.ID, From: by.UserID, Members: people, Time: w.Now}
	w.Append(topic, world.Draft{Device: by.origin(), Body: &tip{ev}})
	for _, u := range people {
		w.PutMember(im.Member{GroupID: g.ID, UserID: u, Role: im.RoleMember, JoinedAt: w.Now, JoinedSeq: from})
		own := protocol.GroupEvent{Type: protocol.TypeGroup, Tip: protocol.TipJoined, GroupID: g.ID, From: by.UserID, Time: w.Now}
		w.Append(im.UserTopic(u), world.Draft{Listen: world.ListenTo(topic, from), Body: &tip{own}})
	}
	g.Members += len(people)
}

// JoinGroup brings the caller into a group that admits people freely.
func (e *Engine) JoinGroup(by Caller, req protocol.GroupRequest, done func(protocol.GroupResponse, error)) {
	e.inGroup(by, req.GroupID, []string{by.UserID}, func(w *world.World, g *im.Group) ([]string, error) {
		if err := g.MayJoin(w.Member(req.GroupID, by.UserID)); err != nil {
			return nil, err
		}
		enter(w, g, by, []string{by.UserID}, protocol.TipEnter)
		return []string{by.UserID}, nil
	}, done)
}

// InviteUserToGroup brings people into a group.
func (e *Engine) InviteUserToGroup(by Caller, req protocol.GroupMembersRequest, done func(protocol.GroupResponse, error)) {
	if err := checkMembers("memberList", req.MemberList, false); err != nil {
		done(protocol.GroupResponse{}, err)
		return
	}
	e.inGroup(by, req.GroupID, req.MemberList, func(w *world.World, g *im.Group) ([]string, error) {
		var people []string
		for _, u := range req.MemberList {
			if !w.Member(req.GroupID, u).Present() {
				people = append(people, u)
			}
		}
		if err := g.MayAdd(w.Member(req.GroupID, by.UserID), len(people)); err != nil {
			return nil, err
		}
		enter(w, g, by, people, protocol.TipInvited)
		return people, nil
	}, done)
}

// QuitGroup takes the caller out of a group.
func (e *Engine) QuitGroup(by Caller, req protocol.GroupRequest, done func(protocol.GroupResponse, error)) {
	e.inGroup(by, req.GroupID, []string{by.UserID}, func(w *world.World, g *im.Group) ([]string, error) {
		if err := g.MayQuit(w.Member(req.GroupID, by.UserID)); err != nil {
			return nil, err
		}
		return []string{by.UserID}, e.exit(w, g, by, []string{by.UserID}, protocol.TipLeave)
	}, done)
}

// KickGroupMember removes people from a group.
func (e *Engine) KickGroupMember(by Caller, req protocol.GroupMembersRequest, done func(protocol.GroupResponse, error)) {
	if err := checkMembers("memberList", req.MemberList, false); err != nil {
		done(protocol.GroupResponse{}, err)
		return
	}
	e.inGroup(by, req.GroupID, req.MemberList, func(w *world.World, g *im.Group) ([]string, error) {
		var people []string
		for _, u := range req.MemberList {
			m := w.Member(req.GroupID, u)
			if err := g.MayKick(w.Member(req.GroupID, by.UserID), m); err != nil {
				return nil, err
			}
			if m.Present() {
				people = append(people, u)
			}
		}
		return people, e.exit(w, g, by, people, protocol.TipKicked)
	}, done)
}

// exit ends memberships, cancels what the people were invited to in the group, and tells the group and each of them.
func (e *Engine) exit(w *world.World, g *im.Group, by Caller, people []string, how protocol.Tip) error {
	if len(people) == 0 {
		return nil
	}
	open, err := openOf(w, g.ID, people)
	if err != nil {
		return err
	}
	if err := e.leave(w, open); err != nil {
		return err
	}
	topic := im.GroupTopic(g.ID)
	for _, u := range people {
		m := w.Member(g.ID, u)
		m.Gone = true
		w.PutMember(*m)
		own := protocol.GroupEvent{Type: protocol.TypeGroup, Tip: protocol.TipQuit, GroupID: g.ID, From: by.UserID, Time: w.Now}
		w.Append(im.UserTopic(u), world.Draft{Listen: world.StopListening(topic), Body: &tip{own}})
	}
	ev := protocol.GroupEvent{Type: protocol.TypeGroup, Tip: how, GroupID: g.ID, From: by.UserID, Members: people, Time: w.Now}
	w.Append(topic, world.Draft{Device: by.origin(), Body: &tip{ev}})
	g.Members -= len(people)
	return nil
}

// leaving is an invitation and those of its open invitees who are no longer in the group.
type leaving struct {
	invitation invite.Invitation
	invitees   []*invite.Invitee
}

// openOf finds what people are invited to in a group. It asks, all at once, for what is not loaded.
func openOf(w *world.World, group string, people []string) ([]leaving, error) {
	var more world.Need
	var order []string
	found := map[string]*leaving{}
	for _, u := range people {
		k := world.MemberKey{GroupID: group, UserID: u}
		if !w.HasOpenOfMember(k) {
			more.OpenOfMember = append(more.OpenOfMember, k)
		}
		for _, id := range w.OpenOfMember(k) {
			v, p := w.Invitation(id), w.Invitee(id, u)
			if v == nil || p == nil {
				more.Invitations = append(more.Invitations, id)
				more.Invitees = append(more.Invitees, world.InviteeKey{InviteID: id, UserID: u})
				continue
			}
			if found[id] == nil {
				found[id], order = &leaving{invitation: *v}, append(order, id)
			}
			found[id].invitees = append(found[id].invitees, p)
		}
	}
	if len(more.OpenOfMember)+len(more.Invitations) > 0 {
		return nil, &world.More{Need: more}
	}
	list := make([]leaving, len(order))
	for i, id := range order {
		list[i] = *found[id]
	}
	return list, nil
}

// openIn finds everything that is open in a group. It asks, all at once, for what is not loaded.
func openIn(w *world.World, group string) ([]leaving, error) {
	var more world.Need
	var list []leaving
	for _, id := range w.OpenInGroup(group) {
		if !w.HasOpen(id) {
			more.OpenInvitees = append(more.OpenInvitees, id)
			continue
		}
		list = append(list, leaving{*w.Invitation(id), w.OpenInvitees(id)})
	}
	if len(more.OpenInvitees) > 0 {
		return nil, &world.More{Need: more}
	}
	return list, nil
}

// leave cancels invitees, each invitation once, after asking for all topics that hear of it.
func (e *Engine) leave(w *world.World, list []leaving) error {
	changes := make([]invite.Change, len(list))
	var topics []string
	for i, l := range list {
		changes[i] = invite.Leave(l.invitation, l.invitees, w.Now)
		topics = append(topics, audience(&changes[i].Invitation, names(changes[i].Invitees))...)
	}
	if missing := w.Missing(topics); len(missing) > 0 {
		return &world.More{Need: world.Need{Topics: missing}}
	}
	for _, c := range changes {
		if len(c.Invitees) == 0 {
			continue
		}
		if err := e.end(w, c, Caller{}, protocol.ActionCancel, invite.ReasonLeft, ""); err != nil {
			return err
		}
	}
	return nil
}

// DismissGroup ends a group and everything open in it.
func (e *Engine) DismissGroup(by Caller, req protocol.GroupRequest, done func(protocol.GroupResponse, error)) {
	e.inGroup(by, req.GroupID, []string{by.UserID}, func(w *world.World, g *im.Group) ([]string, error) {
		if err := g.MayDismiss(w.Member(req.GroupID, by.UserID)); err != nil {
			return nil, err
		}
		if !w.HasRoster(g.ID) || !w.HasOpenInGroup(g.ID) {
			return nil, &world.More{Need: world.Need{AllMembers: []string{g.ID}, OpenInGroup: []string{g.ID}}}
		}
		roster := w.Roster(g.ID)
		topics := make([]string, len(roster))
		for i, m := range roster {
			topics[i] = im.UserTopic(m.UserID)
		}
		if missing := w.Missing(topics); len(missing) > 0 {
			return nil, &world.More{Need: world.Need{Topics: missing}}
		}
		open, err := openIn(w, g.ID)
		if err != nil {
			return nil, err
		}
		if err := e.leave(w, open); err != nil {
			return nil, err
		}
		ev := protocol.GroupEvent{Type: protocol.TypeGroup, Tip: protocol.TipDismissed, GroupID: g.ID, From: by.UserID, Time: w.Now}
		for i, m := range roster {
			m.Gone = true
			w.PutMember(m)
			w.Append(topics[i], world.Draft{Listen: world.StopListening(im.GroupTopic(g.ID)), Body: &tip{ev}})
		}
		g.Members, g.Dismissed = 0, true
		return nil, nil
	}, done)
}

// inGroup runs an action on a group and the named people in it, and puts the group as the action left it.
func (e *Engine) inGroup(by Caller, id string, people []string, decide func(*world.World, *im.Group) ([]string, error), done func(protocol.GroupResponse, error)) {
	if err := im.CheckGroupID(id); err != nil {
		done(protocol.GroupResponse{}, err)
		return
	}
	need := world.Need{Topics: []string{im.GroupTopic(id)}, Groups: []string{id}, Members: []world.MemberKey{{GroupID: id, UserID: by.UserID}}}
	for _, u := range people {
		need.Topics = append(need.Topics, im.UserTopic(u))
		need.Members = append(need.Members, world.MemberKey{GroupID: id, UserID: u})
	}
	do(e, need, func(w *world.World) (protocol.GroupResponse, error) {
		g := w.Group(id)
		if err := g.Exists(); err != nil {
			return protocol.GroupResponse{}, err
		}
		changed, err := decide(w, g)
		if err != nil {
			return protocol.GroupResponse{}, err
		}
		w.PutGroup(*g)
		return groupResponse(g, changed, w.Now), nil
	}, done)
}

func groupResponse(g *im.Group, people []string, now int64) protocol.GroupResponse {
	return protocol.GroupResponse{Group: viewGroup(g), MemberList: people, ServerTime: now}
}

func viewGroup(g *im.Group) protocol.Group {
	return protocol.Group{GroupID: g.ID, Type: string(g.Type), Name: g.Name, Owner: g.Owner, JoinOption: string(g.Join), Members: g.Members, CreatedAt: g.CreatedAt}
}

func checkMembers(field string, users []string, mayBeEmpty bool) error {
	switch {
	case len(users) == 0 && !mayBeEmpty:
		return im.Bad(field, "is empty")
	case len(users) > im.MaxMembersPerCall:
		return im.Bad(field, "has more than 500 people; use several calls")
	}
	seen := map[string]bool{}
	for _, u := range users {
		if err := im.CheckUserID(field, u); err != nil {
			return err
		}
		if seen[u] {
			return im.Bad(field, "names "+u+" twice")
		}
		seen[u] = true
	}
	return nil
}

func without(users []string, user string) []string {
	var list []string
	for _, u := range users {
		if u != user {
			list = append(list, u)
		}
	}
	return list
}
