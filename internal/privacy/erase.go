// Package privacy owns the verbs by which a person sees all that is stored about them, and is taken out of a house.
//
// To take them out it ends what the person takes part in by the verbs of those rooms, so that others hear of it, and
// then clears what is stored.
package privacy

import (
	"context"
	"strings"
	"sync"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/files"
	"github.com/beckon-im/beckon/internal/group"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/signaling"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/personaldata"
	"github.com/beckon-im/beckon/internal/user"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Privacy runs the verbs.
type Privacy struct {
	Store       *store.Store
	Invitations *signaling.Service
	Groups      *group.Groups
	Users       *user.Users
	Files       *files.Files
	busy        sync.Map // users who are being erased
}

// Erase takes a person out. It can be called again when it was broken off; what was done stays done.
func (p *Privacy) Erase(ctx context.Context, _ rpc.Caller,
	req protocol.EraseUserRequest) (res protocol.EraseUserResponse, err error) {
	if err := im.CheckUserID("userID", req.UserID); err != nil {
		return res, err
	}
	ctx = context.WithoutCancel(ctx) // whoever asked may hang up; it takes its time, and is done
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

// groups lists those that the person is in, and refuses when others would be left without an owner.
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
			"; hand these groups over (transferGroupOwner) or end them (dismissGroup) first")
	}
	return ids, nil
}

// end ends the invitations that are open.
func (p *Privacy) end(ctx context.Context, user string) error {
	by := rpc.Caller{UserID: user, Server: true}
	for {
		open, err := p.Store.OpenInvitations(ctx, user, store.MaxSnapshot)
		if err != nil {
			return im.Internal(err)
		}
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
		}
		if len(open) < store.MaxSnapshot {
			return nil
		}
	}
}
