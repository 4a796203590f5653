package offlinepush

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// awayAfter is the time without a connected device after which a user counts as offline. A page reload takes less.
const awayAfter = 2 * time.Second

// reconnectTime is the time devices may take to reconnect after the loss of a node. Clients wait at most 5 s between
// attempts.
const reconnectTime = 6 * time.Second

// maxQueue bounds the queue of users that went offline. On overflow the store is searched instead.
const maxQueue = 10_000

type offlineUser struct {
	user string
	at   time.Time
}

// Watch pushes the open invitations of users after their last device disconnects. Only the goroutines of Run read the
// channels; the other fields do not change after New.
type Watch struct {
	Store   *store.Store
	Devices func(users ...string) []int
	Post    Post
	Topics  func(*invite.Invitation) []string // the topics that an action on an invitation appends to
	Done    func()                            // called after a commit of pushes
	Log     *slog.Logger
	list    chan offlineUser
	lost    chan struct{} // signalled when a node was lost, or the queue overflowed
}

// New returns a Watch with an empty queue.
func New(w Watch) *Watch {
	w.list, w.lost = make(chan offlineUser, maxQueue), make(chan struct{}, 1)
	return &w
}

// UserOffline reports that a device of a user disconnected. It does not block.
func (g *Watch) UserOffline(user string) {
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

// Run pushes the open invitations of users that do not reconnect, until ctx ends, including those open since before
// the start.
func (g *Watch) Run(ctx context.Context) error {
	if g.Post == nil {
		<-ctx.Done()
		return nil
	}
	g.NodeLost()
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { g.search(ctx) })
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
			if g.Devices(u.user)[0] == 0 {
				g.ringOn(ctx, u.user)
			}
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
		users, err := outbox.Unreached(ctx, g.Store, maxQueue)
		if err != nil {
			if ctx.Err() == nil {
				g.Log.Warn("listing unanswered invitations failed", "error", err, "retry_in", reconnectTime)
			}
			g.NodeLost()
			continue
		}
		for _, user := range users {
			if g.Devices(user)[0] == 0 {
				g.ringOn(ctx, user)
			}
		}
	}
}

// ringOn pushes the open invitations of a user that were sent to connected devices only.
func (g *Watch) ringOn(ctx context.Context, user string) {
	u, err := g.Store.User(ctx, user)
	if err != nil || u == nil || u.Pushes == 0 {
		if err != nil {
			g.Log.Warn("offline push failed", "user", user, "error", err)
		}
		return
	}
	open, err := g.Store.OpenInvitations(ctx, user, store.MaxSnapshot)
	if err != nil {
		g.Log.Warn("offline push failed", "user", user, "error", err)
		return
	}
	for i := range open {
		if v := &open[i].Invitation; open[i].Mine != nil && !open[i].Mine.Pushed {
			key := txn.InviteeKey{InviteID: v.ID, UserID: user}
			reads := txn.ReadSet{Topics: g.Topics(v), Invitations: []string{v.ID}, Invitees: []txn.InviteeKey{key},
				Users: []string{user}}
			rpc.WriteLater(g.Store, reads, func(tx *txn.Tx) error { return g.push(tx, key) }, func(err error) {
				if err != nil {
					g.Log.Warn("offline push failed", "user", user, "inviteID", key.InviteID,
						"error", err)
				} else {
					g.Done()
				}
			})
		}
	}
}

func (g *Watch) push(tx *txn.Tx, k txn.InviteeKey) error {
	v, mine := tx.Invitation(k.InviteID), tx.Invitee(k.InviteID, k.UserID)
	if v == nil || mine == nil || mine.Pushed || mine.StateAt(tx.Now) != invite.Open {
		return nil
	}
	list := []invite.Invitee{*mine}
	err := g.Post.Ring(tx, v, list, nil, make([]protocol.Reach, 1))
	tx.PutInvitee(list[0])
	return err
}
