// Package privacy implements the methods that export and erase the data of a user.
//
// An erasure first ends the user's sessions, invitations and memberships through the methods of their packages, so that
// other users are notified, and then erases the stored data. It continues after a restart, on any node.
package privacy

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/files"
	"github.com/beckon-im/beckon/internal/group"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/signaling"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/personaldata"
	"github.com/beckon-im/beckon/internal/user"
	"github.com/beckon-im/beckon/protocol/operator"
)

// Deps are the parts that the methods use. All fields are required.
type Deps struct {
	Store       *store.Store
	Invitations *signaling.Service
	Groups      *group.Groups
	Users       *user.Users
	Files       *files.Files
	Log         *slog.Logger
}

// Privacy implements the methods, and erases users in the background.
type Privacy struct {
	Deps
	node string
	wake chan struct{} // there is a new erasure
}

// New returns the methods. Erasures need Run.
func New(d Deps) *Privacy {
	return &Privacy{Deps: d, node: uuid.NewString()[:8], wake: make(chan struct{}, 1)}
}

const (
	// eraseWait is the time for which eraseUser waits for the end of an erasure: small databases need less.
	eraseWait = 5 * time.Second
	erasePoll = 20 * time.Millisecond // doubled up to maxPoll
	maxPoll   = 320 * time.Millisecond
)

// Erase begins the erasure of a user, and waits some seconds for its end.
func (p *Privacy) Erase(ctx context.Context, _ rpc.Caller,
	req operator.EraseUserRequest) (res operator.EraseUserResponse, err error) {
	if err := im.CheckUserID("userID", req.UserID); err != nil {
		return res, err
	}
	if err := p.mayErase(ctx, req.UserID); err != nil {
		return res, err
	}
	e, err := personaldata.Start(ctx, p.Store, req.UserID)
	if err != nil {
		return res, im.Internal(err)
	}
	p.look()
	res.Erasure = shown(e)
	end := time.Now().Add(eraseWait)
	for poll := erasePoll; e.EndedAt == 0 && e.Error == "" && time.Now().Before(end); poll = min(2*poll, maxPoll) {
		if !pause(ctx, poll) {
			return res, nil // the caller is gone
		}
		if e, err = personaldata.Get(ctx, p.Store, req.UserID); err != nil || e == nil {
			return res, im.Internal(err)
		}
		res.Erasure = shown(e)
	}
	return res, nil
}

// List returns a page of the erasures that are running, or that ended in the last 30 days.
func (p *Privacy) List(ctx context.Context, _ rpc.Caller,
	req operator.ListErasuresRequest) (res operator.ListErasuresResponse, err error) {
	limit, err := rpc.Page(req.Limit)
	if err != nil {
		return res, err
	}
	list, err := personaldata.List(ctx, p.Store, req.After, limit)
	if err != nil {
		return res, im.Internal(err)
	}
	res.Erasures = []operator.Erasure{}
	for i := range list {
		res.Erasures = append(res.Erasures, shown(&list[i]))
	}
	if len(list) == limit {
		res.Next = list[limit-1].UserID
	}
	return res, nil
}

// shown describes an erasure to callers.
func shown(e *personaldata.Erasure) operator.Erasure {
	return operator.Erasure{UserID: e.UserID, Done: e.EndedAt > 0, Stage: stageName(e.Stage), Position: e.Place,
		StartedAt: e.At, EndedAt: e.EndedAt, Records: e.Records, Groups: e.Groups, Files: e.Files, Error: e.Error}
}

func stageName(s personaldata.Stage) string {
	names := []string{"sessions", "groups", "files", "timeline", "conversations", "rows", "copies", "done"}
	return names[min(int(s), len(names)-1)]
}

// mayErase refuses owners of groups, because their groups would be left without one.
func (p *Privacy) mayErase(ctx context.Context, user string) error {
	var owned []string
	for after := ""; ; {
		page, err := p.Store.Joined(ctx, user, after, rpc.MaxPage)
		if err != nil {
			return im.Internal(err)
		}
		for i := range page {
			if page[i].Owner == user {
				owned = append(owned, page[i].ID)
			}
			after = page[i].ID
		}
		if len(page) < rpc.MaxPage {
			break
		}
	}
	if len(owned) > 0 {
		return im.Bad("userID", "owns "+strings.Join(owned[:min(len(owned), 20)], ", ")+
			"; transfer these groups (transferGroupOwner) or dismiss them (dismissGroup) first")
	}
	return nil
}
