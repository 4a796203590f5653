package snapshot

import (
	"errors"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/view"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Standing is the Detail of a refusal: the current invitation and the action that won.
type Standing struct {
	Invitation *protocol.Invitation
	Won        *protocol.Won
}

// WithStanding adds a Standing to a refusal, with the details that the caller may see.
func WithStanding(err error, v *invite.Invitation, p *invite.Invitee, by rpc.Caller, now int64) error {
	var e *im.Error
	if !errors.As(err, &e) || e.Code != im.CodeOver && e.Code != im.CodeExists {
		return err
	}
	var list []invite.Invitee
	st := &Standing{}
	if p != nil {
		list = []invite.Invitee{SeenBy(*p, v, by)}
		st.Won = won(v, &list[0], now)
	}
	st.Invitation = view.Invitation(v, list, now)
	e.Detail = st
	return e
}

func won(v *invite.Invitation, p *invite.Invitee, now int64) *protocol.Won {
	switch p.StateAt(now) {
	case invite.Accepted:
		return &protocol.Won{Action: "accept", UserID: p.UserID, Device: p.By.Device, Time: p.DecidedAt}
	case invite.Rejected:
		return &protocol.Won{Action: "reject", UserID: p.UserID, Device: p.By.Device, Reason: p.Reason, Time: p.DecidedAt}
	case invite.Cancelled:
		w := &protocol.Won{Action: "cancel", Reason: p.Reason, Time: p.DecidedAt}
		if p.Reason == "" {
			w.UserID = v.Inviter
		}
		return w
	case invite.TimedOut:
		return &protocol.Won{Action: "timeout", Time: max(p.DecidedAt, p.Deadline)}
	}
	return nil
}
