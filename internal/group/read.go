package group

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/protocol"
)

// maxGroups bounds the groups of one getGroupsInfo.
const maxGroups = 100

// GetGroup returns a group.
func (g *Groups) GetGroup(ctx context.Context, by rpc.Caller, req protocol.GroupRequest) (protocol.GroupResponse,
	error) {
	if err := im.CheckGroupID(req.GroupID); err != nil {
		return protocol.GroupResponse{}, err
	}
	v, err := g.known(ctx, by, req.GroupID)
	if err != nil {
		return protocol.GroupResponse{}, err
	}
	return protocol.GroupResponse{Group: View(v), ServerTime: g.store.Now()}, nil
}

// GetGroups returns several groups. Missing groups are left out.
func (g *Groups) GetGroups(ctx context.Context, by rpc.Caller, req protocol.GroupsRequest) (protocol.GroupsResponse,
	error) {
	res := protocol.GroupsResponse{Groups: []protocol.Group{}}
	switch {
	case len(req.GroupIDList) == 0:
		return res, im.Bad("groupIDList", "is empty")
	case len(req.GroupIDList) > maxGroups:
		return res, im.Bad("groupIDList", "has more than 100 groups")
	}
	for _, id := range req.GroupIDList {
		if im.CheckGroupID(id) != nil {
			return res, &im.Error{Code: im.CodeBadGroupID, Field: "groupIDList", Message: "groupIDList has a malformed groupID"}
		}
		switch v, err := g.known(ctx, by, id); im.CodeOf(err) {
		case 0:
			res.Groups = append(res.Groups, View(v))
		case im.CodeNoGroup:
		default:
			return res, err
		}
	}
	return res, nil
}

// known reads a group, and hides Work groups from users that are not members.
func (g *Groups) known(ctx context.Context, by rpc.Caller, id string) (*im.Group, error) {
	v, err := g.store.Group(ctx, id)
	if err != nil {
		return nil, im.Internal(err)
	}
	if v.Exists() != nil || v.Type != im.Work || by.Server && by.UserID == "" {
		return v, v.Exists()
	}
	me, err := g.store.Member(ctx, id, by.UserID)
	if err != nil {
		return nil, im.Internal(err)
	}
	return v, v.KnownTo(me)
}

// visible reads a group, and refuses callers that may not read its members' data.
func (g *Groups) visible(ctx context.Context, by rpc.Caller, id string) (*im.Group, error) {
	if err := im.CheckGroupID(id); err != nil {
		return nil, err
	}
	v, err := g.store.Group(ctx, id)
	if err != nil {
		return nil, im.Internal(err)
	}
	if by.Server && by.UserID == "" {
		return v, v.Exists()
	}
	me, err := g.store.Member(ctx, id, by.UserID)
	if err != nil {
		return nil, im.Internal(err)
	}
	return v, v.MayRead(me)
}

// ListMembers returns a page of a group's members, to members.
func (g *Groups) ListMembers(ctx context.Context, by rpc.Caller, req protocol.PageRequest) (protocol.MembersResponse,
	error) {
	limit, err := rpc.Page(req.Limit)
	if err != nil {
		return protocol.MembersResponse{}, err
	}
	if _, err := g.visible(ctx, by, req.GroupID); err != nil {
		return protocol.MembersResponse{}, err
	}
	list, err := g.store.Members(ctx, req.GroupID, req.After, limit)
	return viewMembers(list, limit, err)
}

// SearchMembers returns a page of the members with a text in their name card or ID.
func (g *Groups) SearchMembers(ctx context.Context, by rpc.Caller,
	req protocol.SearchMembersRequest) (protocol.MembersResponse, error) {
	limit, err := rpc.Page(req.Limit)
	if err := rpc.FirstError(err, checkSearch(req.Text)); err != nil {
		return protocol.MembersResponse{}, err
	}
	group, err := g.visible(ctx, by, req.GroupID)
	if err != nil {
		return protocol.MembersResponse{}, err
	}
	by.CountRows(group.Members)
	list, err := g.store.FindMembers(ctx, req.GroupID, req.Text, req.After, limit)
	return viewMembers(list, limit, err)
}

func checkSearch(text string) error {
	if text == "" {
		return im.Bad("text", "is missing")
	}
	return im.CheckText("text", text, 256)
}

// GetMembers returns the given members of a group. Users that are not members are left out.
func (g *Groups) GetMembers(ctx context.Context, by rpc.Caller,
	req protocol.GroupMembersRequest) (protocol.MembersResponse, error) {
	var res protocol.MembersResponse
	if err := rpc.CheckUsers("memberList", req.MemberList, im.MaxMembersPerCall, false); err != nil {
		return res, err
	}
	if _, err := g.visible(ctx, by, req.GroupID); err != nil {
		return res, err
	}
	var list []im.Member
	for _, u := range req.MemberList {
		m, err := g.store.Member(ctx, req.GroupID, u)
		if err != nil {
			return res, im.Internal(err)
		}
		if m.Present() {
			list = append(list, *m)
		}
	}
	return viewMembers(list, len(list)+1, nil)
}

func viewMembers(list []im.Member, limit int, err error) (protocol.MembersResponse, error) {
	res := protocol.MembersResponse{Members: make([]protocol.Member, len(list))}
	if err != nil {
		return res, im.Internal(err)
	}
	for i, m := range list {
		v := protocol.Member{UserID: m.UserID, Role: int(m.Role), JoinedAt: m.JoinedAt, NameCard: m.NameCard,
			CustomInfo: m.Custom, MutedUntil: m.MutedUntil}
		for bit := range 32 {
			if m.Marks&(1<<bit) != 0 {
				v.Marks = append(v.Marks, bit+1)
			}
		}
		res.Members[i] = v
	}
	if len(list) == limit {
		res.Next = list[limit-1].UserID
	}
	return res, nil
}

// ListGroups returns a page of the caller's groups.
func (g *Groups) ListGroups(ctx context.Context, by rpc.Caller, req protocol.JoinedRequest) (protocol.JoinedResponse,
	error) {
	limit, err := rpc.Page(req.Limit)
	if err != nil {
		return protocol.JoinedResponse{}, err
	}
	list, err := g.store.Joined(ctx, by.UserID, req.After, limit)
	return viewGroups(list, limit, err)
}

// SearchGroups returns a page of the caller's groups with a text in their name or ID.
func (g *Groups) SearchGroups(ctx context.Context, by rpc.Caller,
	req protocol.SearchGroupsRequest) (protocol.JoinedResponse, error) {
	limit, err := rpc.Page(req.Limit)
	if err := rpc.FirstError(err, checkSearch(req.Text)); err != nil {
		return protocol.JoinedResponse{}, err
	}
	list, err := g.store.FindGroups(ctx, by.UserID, req.Text, req.After, limit)
	return viewGroups(list, limit, err)
}

func viewGroups(list []im.Group, limit int, err error) (protocol.JoinedResponse, error) {
	res := protocol.JoinedResponse{Groups: make([]protocol.Group, len(list))}
	if err != nil {
		return res, im.Internal(err)
	}
	for i := range list {
		res.Groups[i] = View(&list[i])
	}
	if len(list) == limit {
		res.Next = list[limit-1].ID
	}
	return res, nil
}
