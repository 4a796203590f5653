package privacy

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/personaldata"
	"github.com/beckon-im/beckon/internal/store/userstate"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

const (
	claimEvery = 30 * time.Second // for erasures of nodes that stopped, and for those that failed
	maxClaimed = 100
	saveEvery  = time.Second // progress of a scan
	maxPause   = time.Second // after a page of a scan
)

// Run works on erasures until ctx ends.
func (p *Privacy) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := p.work(ctx); err != nil && ctx.Err() == nil {
			p.Log.Warn("erasure failed", "retry_in", claimEvery, "error", err)
		}
		t := time.NewTimer(claimEvery)
		select {
		case <-p.wake:
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
	return nil
}

// work completes the erasures that no other node works on.
func (p *Privacy) work(ctx context.Context) error {
	list, err := personaldata.Claim(ctx, p.Store, p.node, maxClaimed)
	if err != nil || len(list) == 0 {
		return err
	}
	holding, release := context.WithCancel(ctx)
	var holder sync.WaitGroup
	holder.Go(func() { p.hold(holding, list) })
	defer holder.Wait()
	defer release()
	scanning := p.indexedAll(ctx, list)
	if ctx.Err() != nil || len(scanning) == 0 {
		return ctx.Err()
	}
	done, err := p.scan(ctx, scanning)
	if err != nil {
		return p.fail(ctx, err, scanning...)
	}
	if done && (len(scanning) < len(list) || len(list) == maxClaimed) { // there may be others
		p.look()
	}
	return nil
}

// hold renews the claims on erasures until ctx ends: a step may take long.
func (p *Privacy) hold(ctx context.Context, list []personaldata.Erasure) {
	users := make([]string, len(list))
	for i := range list {
		users[i] = list[i].UserID
	}
	for pause(ctx, personaldata.RenewEvery) {
		if err := personaldata.Renew(ctx, p.Store, p.node, users); err != nil && ctx.Err() == nil {
			p.Log.Warn("renewing the claims on erasures failed", "retry_in", personaldata.RenewEvery, "error", err)
		}
	}
}

// indexedAll runs the stages before the scan, and returns the erasures of the next scan. A scan is shared by those with
// the same place; one that was interrupted comes before those that begin.
func (p *Privacy) indexedAll(ctx context.Context, list []personaldata.Erasure) (scanning []*personaldata.Erasure) {
	for i := range list {
		e := &list[i]
		e.Error = ""
		if err := p.indexed(ctx, e); err != nil {
			if err := p.fail(ctx, err, e); err != nil {
				p.Log.Warn("storing the failure of an erasure failed", "user", e.UserID, "error", err)
			}
			continue
		}
		if len(scanning) > 0 && scanning[0].Place == "" && e.Place != "" {
			scanning = nil
		}
		if len(scanning) == 0 || scanning[0].Place == e.Place {
			scanning = append(scanning, e)
		}
	}
	return scanning
}

// fail stores a failed attempt, unless the server stops or another node has the erasures.
func (p *Privacy) fail(ctx context.Context, failure error, list ...*personaldata.Erasure) error {
	if ctx.Err() != nil || errors.Is(failure, personaldata.ErrTaken) {
		return ctx.Err()
	}
	p.Log.Warn("erasure failed", "user", list[0].UserID, "erasures", len(list), "stage", stageName(list[0].Stage),
		"retry_in", claimEvery, "error", failure)
	if err := personaldata.Fail(ctx, p.Store, failure, claimEvery, list...); !errors.Is(err, personaldata.ErrTaken) {
		return err
	}
	return nil
}

// look makes Run look for erasures.
func (p *Privacy) look() {
	select {
	case p.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// indexed runs the stages before the scan, and saves the progress after each step.
func (p *Privacy) indexed(ctx context.Context, e *personaldata.Erasure) error {
	for e.Stage < personaldata.StageCopies {
		if err := p.step(ctx, e); err != nil {
			return err
		}
		if err := personaldata.Save(ctx, p.Store, e); err != nil {
			return err
		}
	}
	return nil
}

// step runs a part of a stage.
func (p *Privacy) step(ctx context.Context, e *personaldata.Erasure) (err error) {
	switch e.Stage {
	case personaldata.StageSessions:
		if _, err := rpc.Call(ctx, p.Store, p.Users.RevokeTokens, rpc.Caller{Server: true},
			protocol.RevokeTokensRequest{UserID: e.UserID}); err != nil {
			return err
		}
		if err := p.end(ctx, e.UserID); err != nil {
			return err
		}
		e.Move(personaldata.StageGroups)
	case personaldata.StageGroups:
		return p.leave(ctx, e)
	case personaldata.StageFiles:
		n, err := p.Files.Erase(ctx, e.UserID)
		if e.Files += int64(n); err != nil {
			return err
		}
		e.Until = p.Store.Now() // what the user, or an app server for the user, writes from now on stays
		e.Move(personaldata.StageTimeline)
	case personaldata.StageTimeline:
		return personaldata.RewriteTimeline(ctx, p.Store, e)
	case personaldata.StageConversations:
		return personaldata.RewriteConversations(ctx, p.Store, e)
	default:
		return personaldata.RemoveRows(ctx, p.Store, e)
	}
	return nil
}

// leave ends a membership, and clears the timeline of its group. After the last one the stage ends.
func (p *Privacy) leave(ctx context.Context, e *personaldata.Erasure) error {
	joined, err := p.Store.Joined(ctx, e.UserID, "", 1)
	if err != nil {
		return err
	}
	if len(joined) == 0 {
		e.Move(personaldata.StageFiles)
		return nil
	}
	g := joined[0].ID
	kick := protocol.KickRequest{GroupMembersRequest: protocol.GroupMembersRequest{GroupID: g,
		MemberList: []string{e.UserID}}}
	if _, err := rpc.Call(ctx, p.Store, p.Groups.KickGroupMember, rpc.Caller{Server: true}, kick); err != nil {
		return err
	}
	e.Groups++
	return personaldata.RewriteGroup(ctx, p.Store, e, g)
}

// scan reads all tables for erasures with the same place. It stops early, and reports false, when a new erasure waits
// for its first stages.
func (p *Privacy) scan(ctx context.Context, list []*personaldata.Erasure) (done bool, err error) {
	saved := time.Now()
	for list[0].Stage == personaldata.StageCopies {
		began := time.Now()
		if _, err := personaldata.ScanCopies(ctx, p.Store, list); err != nil {
			return false, err
		}
		more := list[0].Stage == personaldata.StageCopies
		waiting := len(p.wake) > 0
		if !more || waiting || time.Since(saved) > saveEvery {
			if err := personaldata.Save(ctx, p.Store, list...); err != nil {
				return false, err
			}
			saved = time.Now()
		}
		if more && waiting {
			return false, nil
		}
		if more && !pause(ctx, min(time.Since(began), maxPause)) { // at most half of the time of a connection
			return false, ctx.Err()
		}
	}
	return true, nil
}

// pause waits, and reports whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
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
