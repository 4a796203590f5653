package offlinepush

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/store/userstate"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// awayAfter is the time after which a device counts as disconnected. A page reload takes less.
const awayAfter = 2 * time.Second

// reconnectTime is the time devices may take to reconnect after the loss of a node. Clients wait at most 5 s between
// attempts.
const reconnectTime = 6 * time.Second

// maxAgain bounds the pushes that ring one invitation for one user.
const maxAgain = 20

// maxQueue bounds the queue of users with a device that disconnected. On overflow the store is searched instead.
const maxQueue = 10_000

type offlineUser struct {
	user string
	at   time.Time
}

// Watch pushes the open invitations of users to devices that disconnect while these ring. Only the goroutines of Run
// read the channels; the other fields do not change after New.
type Watch struct {
	Store     *store.Store
	Connected func(user string) outbox.Connected // on any node
	Pushes    Pushes
	Topics    func(*invite.Invitation) []string // the topics that an action on an invitation appends to
	Done      func()                            // called after a commit of pushes
	Probe     func(user string)                 // pings the devices of a user, on all nodes; must not block
	Log       *slog.Logger
	list      chan offlineUser
	lost      chan struct{} // signalled when a node was lost, or the queue overflowed
	opened    chan opened   // unacknowledged invitations, by the time of their probe
	probed    chan opened   // the same after the probe, by the time of their push
}

// New returns a Watch with an empty queue.
func New(w Watch) *Watch {
	w.list, w.lost = make(chan offlineUser, maxQueue), make(chan struct{}, 1)
	w.opened, w.probed = make(chan opened, maxQueue), make(chan opened, maxQueue)
	return &w
}

// DeviceOffline reports that a device of a user disconnected. It does not block.
func (g *Watch) DeviceOffline(user string) {
	if !g.Pushes.hasTokens() {
		return
	}
	select {
	case g.list <- offlineUser{user, time.Now().Add(awayAfter)}:
	default:
		g.NodeLost()
	}
}

// NodeLost reports the loss of a node. It does not block.
func (g *Watch) NodeLost() {
	select {
	case g.lost <- struct{}{}:
	default: // already signalled
	}
}

// Run pushes the open invitations of users with devices that do not reconnect, until ctx ends, including those open
// since before the start.
func (g *Watch) Run(ctx context.Context) error {
	if g.Pushes.Posted == nil {
		<-ctx.Done()
		return nil
	}
	g.NodeLost()
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { g.search(ctx) })
	all.Go(func() { runSteps(ctx, g.opened, g.probe) })
	all.Go(func() { runSteps(ctx, g.probed, g.ringUnproven) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case u := <-g.list:
			t := time.NewTimer(time.Until(u.at))
			select {
			case <-ctx.Done():
				t.Stop()
				return nil
			case <-t.C:
			}
			g.ringOn(ctx, u.user)
		}
	}
}

// search finds the users of a lost node with open invitations, each time one is lost.
func (g *Watch) search(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.lost:
		}
		reconnected := time.NewTimer(reconnectTime)
		select {
		case <-ctx.Done():
			reconnected.Stop()
			return
		case <-reconnected.C:
		}
		users, err := outbox.Ringing(ctx, g.Store, maxQueue)
		if err != nil {
			if ctx.Err() == nil {
				g.Log.Warn("listing unanswered invitations failed", "error", err, "retry_in", reconnectTime)
			}
			g.NodeLost()
			continue
		}
		for _, user := range users {
			g.ringOn(ctx, user)
		}
	}
}

// ringOn pushes the open invitations of a user to the devices with tokens that are not connected and were not pushed.
func (g *Watch) ringOn(ctx context.Context, user string) {
	// mostly none, and cheaper than asking other nodes
	open, err := userstate.OpenInvitations(ctx, g.Store, user, userstate.MaxSnapshot)
	if err == nil && len(open) > 0 {
		err = g.ringOnDevices(ctx, user, open)
	}
	if err != nil && ctx.Err() == nil {
		g.Log.Warn("offline push failed", "user", user, "error", err)
	}
}

// unconnected returns the tokens of a user's devices that are not connected.
func (g *Watch) unconnected(ctx context.Context, user string) ([]outbox.Token, error) {
	u, err := g.Store.User(ctx, user)
	if err != nil || u == nil || u.Pushes == 0 {
		return nil, err
	}
	here := g.Connected(user)
	if !g.Pushes.Devices.Unconnected(u, here) {
		return nil, nil
	}
	tokens, err := outbox.Tokens(ctx, g.Store, user)
	if err != nil {
		return nil, err
	}
	g.Pushes.Devices.Learn(user, u.Pushes, tokens)
	return slices.DeleteFunc(tokens, func(t outbox.Token) bool { return here.Has(t.DeviceID) }), nil
}

func (g *Watch) ringOnDevices(ctx context.Context, user string, open []userstate.OpenInvitation) error {
	tokens, err := g.unconnected(ctx, user)
	if err != nil || len(tokens) == 0 {
		return err
	}
	for i := range open {
		v, mine := &open[i].Invitation, open[i].Mine
		if mine == nil {
			continue
		}
		seq := int64(1)
		if mine.Pushed {
			if seq, err = g.next(ctx, v.ID, user, tokens); err != nil {
				return err
			}
		}
		if seq == 0 {
			continue
		}
		key := txn.InviteeKey{InviteID: v.ID, UserID: user}
		event := outbox.RingAgain(v.ID, user, seq, 0)
		reads := txn.ReadSet{Topics: g.Topics(v), Invitations: []string{v.ID}, Invitees: []txn.InviteeKey{key},
			Users: []string{user}, Outbox: []txn.OutboxKey{event.OutboxKey}}
		rpc.WriteLater(g.Store, reads, func(tx *txn.Tx) error { return g.push(tx, key, seq) }, func(err error) {
			if err != nil {
				g.Log.Warn("offline push failed", "user", user, "inviteID", key.InviteID, "error", err)
			} else {
				g.Done()
			}
		})
	}
	return nil
}

// next returns the sequence of the next push that rings an invitation for a user; 0 if all tokens were pushed.
func (g *Watch) next(ctx context.Context, inviteID, user string, tokens []outbox.Token) (int64, error) {
	pushes, err := outbox.RingPushes(ctx, g.Store, inviteID, user)
	if err != nil || len(pushes) == 0 || len(pushes) >= maxAgain {
		return 0, err
	}
	taken, err := outbox.Taken(pushes)
	if err != nil {
		return 0, err
	}
	rang := map[string]bool{} // devices: one may have several tokens, of which one is used
	for _, t := range tokens {
		rang[t.DeviceID] = rang[t.DeviceID] || slices.Contains(taken, t.Key)
	}
	if !slices.ContainsFunc(tokens, func(t outbox.Token) bool { return !rang[t.DeviceID] }) {
		return 0, nil
	}
	return pushes[len(pushes)-1].Seq + 1, nil
}

// push enqueues a push of an invitation, unless it is decided or another node has enqueued the push.
func (g *Watch) push(tx *txn.Tx, k txn.InviteeKey, seq int64) error {
	v, mine := tx.Invitation(k.InviteID), tx.Invitee(k.InviteID, k.UserID)
	if v == nil || mine == nil || mine.Dropped || mine.StateAt(tx.Now) != invite.Open || mine.Pushed != (seq > 1) {
		return nil
	}
	if seq > 1 {
		if again := outbox.RingAgain(k.InviteID, k.UserID, seq, tx.Now); tx.OutboxEvent(again.OutboxKey) == nil {
			g.Pushes.put(tx, []txn.OutboxEvent{again})
		}
		return nil
	}
	list := []invite.Invitee{*mine}
	err := g.Pushes.Ring(tx, v, list, &Devices{}, make([]protocol.Reach, 1))
	tx.PutInvitee(list[0])
	return err
}
