package client

import (
	"context"

	"github.com/beckon-im/beckon/protocol"
)

// CreateGroup creates a group with this user as its owner. A missing GroupID is generated, so that a retry creates no
// second group.
func (c *Client) CreateGroup(ctx context.Context, req protocol.CreateGroupRequest) (protocol.GroupResponse, error) {
	if req.GroupID == "" {
		req.GroupID = "g-" + NewID()
	}
	return call[protocol.GroupResponse](ctx, c, "createGroup", req)
}

// JoinGroup joins a group; if Applied is set in the response, an administrator must approve first.
func (c *Client) JoinGroup(ctx context.Context, req protocol.JoinGroupRequest) (protocol.GroupResponse, error) {
	return call[protocol.GroupResponse](ctx, c, "joinGroup", req)
}

// QuitGroup leaves a group.
func (c *Client) QuitGroup(ctx context.Context, groupID string) (protocol.GroupResponse, error) {
	return call[protocol.GroupResponse](ctx, c, "quitGroup", protocol.GroupRequest{GroupID: groupID})
}

// DismissGroup dismisses a group.
func (c *Client) DismissGroup(ctx context.Context, groupID string) (protocol.GroupResponse, error) {
	return call[protocol.GroupResponse](ctx, c, "dismissGroup", protocol.GroupRequest{GroupID: groupID})
}

// InviteUserToGroup adds users to a group, at most 500.
func (c *Client) InviteUserToGroup(ctx context.Context, groupID string, users []string) (protocol.GroupResponse,
	error) {
	return call[protocol.GroupResponse](ctx, c, "inviteUserToGroup",
		protocol.GroupMembersRequest{GroupID: groupID, MemberList: users})
}

// KickGroupMember removes members from a group.
func (c *Client) KickGroupMember(ctx context.Context, req protocol.KickRequest) (protocol.GroupResponse, error) {
	return call[protocol.GroupResponse](ctx, c, "kickGroupMember", req)
}

// GetGroup returns a group.
func (c *Client) GetGroup(ctx context.Context, groupID string) (protocol.GroupResponse, error) {
	return call[protocol.GroupResponse](ctx, c, "getGroup", protocol.GroupRequest{GroupID: groupID})
}

// GetGroupsInfo returns several groups, at most 100.
func (c *Client) GetGroupsInfo(ctx context.Context, req protocol.GroupsRequest) (protocol.GroupsResponse, error) {
	return call[protocol.GroupsResponse](ctx, c, "getGroupsInfo", req)
}

// SetGroupInfo changes the info of a group.
func (c *Client) SetGroupInfo(ctx context.Context, req protocol.SetGroupInfoRequest) (protocol.GroupResponse, error) {
	return call[protocol.GroupResponse](ctx, c, "setGroupInfo", req)
}

// GetJoinedGroupList returns a page of this user's groups.
func (c *Client) GetJoinedGroupList(ctx context.Context, req protocol.JoinedRequest) (protocol.JoinedResponse, error) {
	return call[protocol.JoinedResponse](ctx, c, "getJoinedGroupList", req)
}

// SearchGroups searches this user's groups.
func (c *Client) SearchGroups(ctx context.Context, req protocol.SearchGroupsRequest) (protocol.JoinedResponse, error) {
	return call[protocol.JoinedResponse](ctx, c, "searchGroups", req)
}

// GetGroupMemberList returns a page of a group's members.
func (c *Client) GetGroupMemberList(ctx context.Context, req protocol.PageRequest) (protocol.MembersResponse, error) {
	return call[protocol.MembersResponse](ctx, c, "getGroupMemberList", req)
}

// GetGroupMembersInfo returns the given members of a group.
func (c *Client) GetGroupMembersInfo(ctx context.Context, groupID string, users []string) (protocol.MembersResponse,
	error) {
	return call[protocol.MembersResponse](ctx, c, "getGroupMembersInfo",
		protocol.GroupMembersRequest{GroupID: groupID, MemberList: users})
}

// SearchGroupMembers searches members of a group.
func (c *Client) SearchGroupMembers(ctx context.Context, req protocol.SearchMembersRequest) (protocol.MembersResponse,
	error) {
	return call[protocol.MembersResponse](ctx, c, "searchGroupMembers", req)
}

// GetGroupOnlineMemberCount returns the number of members with a connected device.
func (c *Client) GetGroupOnlineMemberCount(ctx context.Context, groupID string) (protocol.OnlineCountResponse, error) {
	return call[protocol.OnlineCountResponse](ctx, c, "getGroupOnlineMemberCount", protocol.GroupRequest{GroupID: groupID})
}

// SetGroupMemberInfo changes the fields of a member in a group.
func (c *Client) SetGroupMemberInfo(ctx context.Context, req protocol.SetMemberInfoRequest) (protocol.GroupResponse,
	error) {
	return call[protocol.GroupResponse](ctx, c, "setGroupMemberInfo", req)
}

// MuteGroupMember mutes a member for a time.
func (c *Client) MuteGroupMember(ctx context.Context, req protocol.MuteMemberRequest) (protocol.GroupResponse, error) {
	return call[protocol.GroupResponse](ctx, c, "muteGroupMember", req)
}

// MuteAllGroupMembers mutes all members except the owner and administrators.
func (c *Client) MuteAllGroupMembers(ctx context.Context, req protocol.MuteAllRequest) (protocol.GroupResponse, error) {
	return call[protocol.GroupResponse](ctx, c, "muteAllGroupMembers", req)
}

// SetGroupMemberRole grants or revokes the administrator role.
func (c *Client) SetGroupMemberRole(ctx context.Context, req protocol.SetRoleRequest) (protocol.GroupResponse, error) {
	return call[protocol.GroupResponse](ctx, c, "setGroupMemberRole", req)
}

// TransferGroupOwner transfers a group to a new owner.
func (c *Client) TransferGroupOwner(ctx context.Context, req protocol.TransferRequest) (protocol.GroupResponse, error) {
	return call[protocol.GroupResponse](ctx, c, "transferGroupOwner", req)
}

// MarkGroupMemberList sets or removes a mark of members of a Community.
func (c *Client) MarkGroupMemberList(ctx context.Context, req protocol.MarkMembersRequest) (protocol.GroupResponse,
	error) {
	return call[protocol.GroupResponse](ctx, c, "markGroupMemberList", req)
}

// GetGroupApplicationList lists the applications to the groups that this user administers.
func (c *Client) GetGroupApplicationList(ctx context.Context,
	req protocol.ApplicationsRequest) (protocol.ApplicationsResponse, error) {
	return call[protocol.ApplicationsResponse](ctx, c, "getGroupApplicationList", req)
}

// AcceptGroupApplication approves an application.
func (c *Client) AcceptGroupApplication(ctx context.Context,
	req protocol.HandleApplicationRequest) (protocol.GroupResponse, error) {
	return call[protocol.GroupResponse](ctx, c, "acceptGroupApplication", req)
}

// RefuseGroupApplication refuses an application.
func (c *Client) RefuseGroupApplication(ctx context.Context,
	req protocol.HandleApplicationRequest) (protocol.GroupResponse, error) {
	return call[protocol.GroupResponse](ctx, c, "refuseGroupApplication", req)
}

// InitGroupAttributes replaces all attributes of a group.
func (c *Client) InitGroupAttributes(ctx context.Context, req protocol.AttributesRequest) (protocol.AttributesResponse,
	error) {
	return call[protocol.AttributesResponse](ctx, c, "initGroupAttributes", req)
}

// SetGroupAttributes sets some attributes of a group.
func (c *Client) SetGroupAttributes(ctx context.Context, req protocol.AttributesRequest) (protocol.AttributesResponse,
	error) {
	return call[protocol.AttributesResponse](ctx, c, "setGroupAttributes", req)
}

// DeleteGroupAttributes removes attributes of a group: the given ones, or all.
func (c *Client) DeleteGroupAttributes(ctx context.Context,
	req protocol.DeleteAttributesRequest) (protocol.AttributesResponse, error) {
	return call[protocol.AttributesResponse](ctx, c, "deleteGroupAttributes", req)
}

// GetGroupAttributes returns attributes of a group.
func (c *Client) GetGroupAttributes(ctx context.Context, req protocol.KeysRequest) (protocol.AttributesResponse,
	error) {
	return call[protocol.AttributesResponse](ctx, c, "getGroupAttributes", req)
}

// SetGroupCounters sets counters of a group.
func (c *Client) SetGroupCounters(ctx context.Context, req protocol.SetCountersRequest) (protocol.CountersResponse,
	error) {
	return call[protocol.CountersResponse](ctx, c, "setGroupCounters", req)
}

// GetGroupCounters returns counters of a group.
func (c *Client) GetGroupCounters(ctx context.Context, req protocol.KeysRequest) (protocol.CountersResponse, error) {
	return call[protocol.CountersResponse](ctx, c, "getGroupCounters", req)
}

// IncreaseGroupCounter adds to a counter of a group. Retries after a lost connection count once.
func (c *Client) IncreaseGroupCounter(ctx context.Context, req protocol.CountRequest) (protocol.CountersResponse,
	error) {
	fillID(&req.RequestID)
	return call[protocol.CountersResponse](ctx, c, "increaseGroupCounter", req)
}

// DecreaseGroupCounter subtracts from a counter of a group. Retries after a lost connection count once.
func (c *Client) DecreaseGroupCounter(ctx context.Context, req protocol.CountRequest) (protocol.CountersResponse,
	error) {
	fillID(&req.RequestID)
	return call[protocol.CountersResponse](ctx, c, "decreaseGroupCounter", req)
}
