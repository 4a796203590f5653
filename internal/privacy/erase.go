// Package privacy implements the methods that export and erase the data of a user.
//
// Erasing first ends the user's sessions, invitations and memberships through the methods of their packages, so that
// other users are notified, and then erases the stored data.
package privacy

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/files"
	"github.com/beckon-im/beckon/internal/group"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/signaling"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/personaldata"
	"github.com/beckon-im/beckon/internal/store/userstate"
	"github.com/beckon-im/beckon/internal/user"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Privacy implements the methods. All exported fields are required.
type Privacy struct {
	Store       *store.Store
	Invitations *signaling.Service
	Groups      *group.Groups
	Users       *user.Users
	Files       *files.Files
	busy        sync.Map // users being erased
}

// Erase erases a user. A call that was interrupted can be repeated; finished steps stay finished.
func (p *Privacy) Erase(ctx context.Context, _ rpc.Caller,
	req protocol.EraseUserRequest) (res protocol.EraseUserResponse, err error) {
	if err := im.CheckUserID("userID", req.UserID); err != nil {
		return res, err
	}
	ctx = context.WithoutCancel(ctx) // it continues when the caller disconnects
	if _, busy := p.busy.LoadOrStore(req.UserID, nil); busy {
		return res, im.Bad("userID", "is being erased already")
	}
	defer p.busy.Delete(req.UserID)
	groups, err := p.groups(ctx, req.UserID)
	if err != nil {
		return res, err
	}
	if _, err := rpc.Call(ctx, p.Store, p.Users.RevokeTokens, rpc.Caller{Server: true},
		protocol.RevokeTokensRequest(req)); err != nil {
		return res, err
	}
	if err := p.end(ctx, req.UserID); err != nil {
		return res, err
	}
	for _, g := range groups {
		kick := protocol.KickRequest{GroupMembersRequest: protocol.GroupMembersRequest{GroupID: g,
			MemberList: []string{req.UserID}}}
		if _, err := rpc.Call(ctx, p.Store, p.Groups.KickGroupMember, rpc.Caller{Server: true}, kick); err != nil &&
			im.CodeOf(err) != im.CodeNoGroup {
			return res, err
		}
		res.Groups++
	}
	if res.Files, err = p.Files.Erase(ctx, req.UserID); err != nil {
		return res, err
	}
	if res.Records, err = personaldata.Erase(ctx, p.Store, req.UserID); err != nil {
		return res, im.Internal(err)
	}
	return res, nil
}

// groups returns the groups of the user, and refuses owners, because their groups would be left without one.
func (p *Privacy) groups(ctx context.Context, user string) (ids []string, err error) {
	var owned []string
	for after := ""; ; {
		page, err := p.Store.Joined(ctx, user, after, rpc.MaxPage)
		if err != nil {
			return nil, im.Internal(err)
		}
		for i := range page {
			if page[i].Owner == user {
				owned = append(owned, page[i].ID)
			}
			ids, after = append(ids, page[i].ID), page[i].ID
		}
		if len(page) < rpc.MaxPage {
			break
		}
	}
	if len(owned) > 0 {
		return nil, im.Bad("userID", "owns "+strings.Join(owned[:min(len(owned), 20)], ", ")+
			"; transfer these groups (transferGroupOwner) or dismiss them (dismissGroup) first")
	}
	return ids, nil
}

// timeoutsWritten is the pause for invitations past their deadline whose timeouts are not stored yet.
const timeoutsWritten = 200 * time.Millisecond

// end ends the open invitations of a user.
func (p *Privacy) end(ctx context.Context, user string) error {
	by := rpc.Caller{UserID: user, Server: true}
	for {
		open, err := userstate.OpenInvitations(ctx, p.Store, user, userstate.MaxSnapshot)
		if err != nil {
			return im.Internal(err)
		}
		ended := 0
		for i := range open {
			id := open[i].Invitation.ID
			if open[i].Mine == nil {
				_, err = rpc.Call(ctx, p.Store, p.Invitations.Cancel, by, protocol.CancelRequest{InviteID: id})
			} else {
				_, err = rpc.Call(ctx, p.Store, p.Invitations.Reject, by,
					protocol.RejectRequest{AnswerRequest: protocol.AnswerRequest{InviteID: id}, Reason: invite.ReasonLeft})
			}
			if err != nil && im.CodeOf(err) != im.CodeOver {
				return err
			}
			if err == nil {
				ended++
			}
		}
		if len(open) < userstate.MaxSnapshot {
			return nil
		}
		if ended == 0 { // their timeouts are being written
			<-time.After(timeoutsWritten)
		}
	}
}
