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

// patience is how long somebody may be without a device before they count as away: a page that is loaded anew is back
// by then.
const patience = 2 * time.Second

// comeback is how long devices may take to connect again after this server was away: clients wait 5 s at most between
// two tries.
const comeback = 6 * time.Second

// maxGone bounds the people who are waited for. More, who leave all at once, are searched for in the store.
const maxGone = 10_000

type gone struct {
	user string
	at   time.Time
}

// Watch rings people by pushes whose last device goes while something rings there.
type Watch struct {
	Store   *store.Store
	Devices func(users ...string) []int
	Post    Post
	Topics  func(*invite.Invitation) []string // those that an action on an invitation appends to
	Done    func()                            // is told that pushes were committed
	Log     *slog.Logger
	list    chan gone
	lost    chan struct{} // a server went, with whom it had connected
}

// New makes a watch that has seen nobody leave.
func New(w Watch) *Watch {
	w.list, w.lost = make(chan gone, maxGone), make(chan struct{}, 1)
	return &w
}

// Gone is told that a device of somebody went. It does not block.
func (g *Watch) Gone(user string) {
	select {
	case g.list <- gone{user, time.Now().Add(patience)}:
	default:
		g.Lost()
	}
}

// Lost is told that a server of the house went. It does not block.
func (g *Watch) Lost() {
	select {
	case g.lost <- struct{}{}:
	default: // it is known
	}
}

// Run rings those who do not come back, until ctx ends: first those for whom something rang when the house was last
// there.
func (g *Watch) Run(ctx context.Context) error {
	if g.Post == nil {
		<-ctx.Done()
		return nil
	}
	g.Lost()
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { g.search(ctx) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case who := <-g.list:
			t := time.NewTimer(time.Until(who.at))
			select {
			case <-ctx.Done():
				t.Stop()
				return nil
			case <-t.C:
			}
			if g.Devices(who.user)[0] == 0 {
				g.ringOn(ctx, who.user)
			}
		}
	}
}

// search looks for those who were connected to a server that went, each time one did.
func (g *Watch) search(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.lost:
		}
		back := time.NewTimer(comeback)
		select {
		case <-ctx.Done():
			back.Stop()
			return
		case <-back.C:
		}
		users, err := outbox.Unreached(ctx, g.Store, maxGone)
		if err != nil {
			if ctx.Err() == nil {
				g.Log.Warn("it cannot be read for whom something rang when a server went; it is tried again", "error", err)
			}
			g.Lost()
			continue
		}
		for _, user := range users {
			if g.Devices(user)[0] == 0 {
				g.ringOn(ctx, user)
			}
		}
	}
}

// ringOn rings somebody by pushes for whom invitations are open that only their devices knew of.
func (g *Watch) ringOn(ctx context.Context, user string) {
	who, err := g.Store.User(ctx, user)
	if err != nil || who == nil || who.Pushes == 0 {
		if err != nil {
			g.Log.Warn("somebody left while it may ring, and could not be rung by a push", "user", user, "error", err)
		}
		return
	}
	open, err := g.Store.OpenInvitations(ctx, user, store.MaxSnapshot)
	if err != nil {
		g.Log.Warn("somebody left while it rang, and could not be rung by a push", "user", user, "error", err)
		return
	}
	for i := range open {
		if v := &open[i].Invitation; open[i].Mine != nil && !open[i].Mine.Pushed {
			key := txn.InviteeKey{InviteID: v.ID, UserID: user}
			need := txn.ReadSet{Topics: g.Topics(v), Invitations: []string{v.ID}, Invitees: []txn.InviteeKey{key},
				Users: []string{user}}
			rpc.WriteLater(g.Store, need, func(tx *txn.Tx) error { return g.push(tx, key) }, func(err error) {
				if err != nil {
					g.Log.Warn("somebody left while it rang, and could not be rung by a push", "user", user, "inviteID", key.InviteID,
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
