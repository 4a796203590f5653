package offlinepush

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/internal/delay"
	"github.com/beckon-im/beckon/internal/store/userstate"
	"github.com/beckon-im/beckon/invite"
)

// An invitee acknowledges an invitation when a device alerts its user (ring), or by an answer. A connected device that
// does neither may be at the end of a dead connection: it is probed after probeAfter. Devices that do not answer the
// probe are no longer connected, and the invitation is pushed to them after pushAfter.
const (
	probeAfter = time.Second
	pushAfter  = 2 * time.Second
)

// maxUnproven bounds the invitees of one invitation that are watched. Of larger invitations the first are.
const maxUnproven = 100

// unproven is an invitee with a push token whose connected devices have not acknowledged an invitation.
type unproven struct {
	user    string
	devices int // that are connected
}

// opened is an invitation with unproven invitees.
type opened struct {
	inviteID string
	invitees []unproven
	at       time.Time
	next     time.Time // of the next step
}

// Opened reports the commit of an invitation, after Ring. It does not block: above maxQueue invitations a second, those
// that are left out rely on the pings of the gateway.
func (g *Watch) Opened(inviteID string, connected *Devices) {
	if len(connected.unproven) == 0 || g.Pushes.Posted == nil {
		return
	}
	now := time.Now()
	select {
	case g.opened <- opened{inviteID, connected.unproven, now, now.Add(probeAfter)}:
	default:
	}
}

// maxSteps bounds the steps that run at the same time.
const maxSteps = 8

// runSteps runs a step for each entry of a queue at its time, until ctx ends.
func runSteps(ctx context.Context, queue <-chan opened, step func(context.Context, opened)) {
	var steps errgroup.Group
	steps.SetLimit(maxSteps)
	defer func() { _ = steps.Wait() }() // never fails
	delay.Run(ctx, queue, func(u opened) time.Time { return u.next }, func(u opened) {
		steps.Go(func() error {
			step(ctx, u)
			return nil
		})
	})
}

// probe pings the devices of invitees that have not acknowledged an invitation, and those of users with several
// devices: the acknowledgement of one does not cover another.
func (g *Watch) probe(ctx context.Context, u opened) {
	var rest []unproven
	for _, p := range u.invitees {
		open, acknowledged := g.state(ctx, u.inviteID, p.user)
		if open && (!acknowledged || p.devices > 1) {
			g.Probe(p.user)
		}
		if open && !acknowledged {
			rest = append(rest, p)
		}
	}
	if len(rest) == 0 {
		return
	}
	u.invitees, u.next = rest, u.at.Add(pushAfter)
	select {
	case g.probed <- u:
	default:
	}
}

// ringUnproven pushes an invitation to the invitees that have still not acknowledged it: to their devices that are not
// connected after the probe.
func (g *Watch) ringUnproven(ctx context.Context, u opened) {
	v, err := g.Store.Invitation(ctx, u.inviteID)
	for _, p := range u.invitees {
		if err != nil || v == nil {
			break
		}
		var mine *invite.Invitee
		if mine, err = g.Store.Invitee(ctx, u.inviteID, p.user); err == nil && awaits(mine, g.Store.Now()) &&
			mine.RingingAt == 0 {
			err = g.ringOnDevices(ctx, p.user, []userstate.OpenInvitation{{Invitation: *v, Mine: mine}})
		}
	}
	if err != nil && ctx.Err() == nil {
		g.Log.Warn("push of an unacknowledged invitation failed", "inviteID", u.inviteID, "error", err)
	}
}

// state reports whether an invitation is open for a user, and whether a device of the user has acknowledged it.
func (g *Watch) state(ctx context.Context, inviteID, user string) (open, acknowledged bool) {
	mine, err := g.Store.Invitee(ctx, inviteID, user)
	if err != nil {
		if ctx.Err() == nil {
			g.Log.Warn("reading an invitee failed", "inviteID", inviteID, "user", user, "error", err)
		}
		return true, false
	}
	return awaits(mine, g.Store.Now()), mine != nil && mine.RingingAt != 0
}

// awaits reports whether an invitation waits for the answer of an invitee.
func awaits(mine *invite.Invitee, now int64) bool {
	return mine != nil && !mine.Dropped && mine.StateAt(now) == invite.Open
}
