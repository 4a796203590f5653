package chaos

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

var returning = flag.Int("chaos.return", 500,
	"devices that are connected when the server is killed; at most about 19,500, as a process may open 20,000 files")

// returns notes when each device was connected last.
type returns struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (r *returns) delivery(user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at[user] = time.Now()
}

// since lists how long after a moment the devices came that have come since, in order.
func (r *returns) since(begin time.Time) []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []time.Duration
	for _, at := range r.at {
		if at.After(begin) {
			list = append(list, at.Sub(begin))
		}
	}
	slices.Sort(list)
	return list
}

// TestEverybodyReturns: the server is killed while many devices are connected and some of them call each other. All
// come back by themselves, and no call fails: those under way are asked again by the SDK, and those that begin
// meanwhile wait for the link.
func TestEverybodyReturns(t *testing.T) {
	v := newServer(t)
	v.start()
	r := &returns{at: map[string]time.Time{}}
	clients := make([]*client.Client, *returning)
	var coming errgroup.Group
	coming.SetLimit(64)
	for i := range clients {
		coming.Go(func() (err error) {
			clients[i], err = v.device(fmt.Sprintf("user%d", i), r)
			return err
		})
	}
	if err := coming.Wait(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, p := range clients {
			p.Close()
		}
		v.kill()
	}()
	ctx, stop := context.WithCancel(t.Context())
	var calls atomic.Int64
	var calling errgroup.Group
	for i := range min(100, len(clients)/2) {
		calling.Go(func() error {
			for n := 0; ctx.Err() == nil; n++ {
				id := fmt.Sprintf("call-%d-%d", i, n)
				to := fmt.Sprintf("user%d", 2*i+1)
				if _, err := clients[2*i].Invite(context.Background(),
					protocol.InviteRequest{Invitee: to,
						InviteOptions: protocol.InviteOptions{InviteID: id, Timeout: 60}}); err != nil {
					return fmt.Errorf("invite %s: %w", id, err)
				}
				if _, err := clients[2*i+1].Accept(context.Background(), id, ""); err != nil {
					return fmt.Errorf("accept %s: %w", id, err)
				}
				calls.Add(1)
				<-time.After(100 * time.Millisecond) // a caller's pace
			}
			return nil
		})
	}
	<-time.After(time.Second) // calls are under way
	killed, before := time.Now(), calls.Load()
	v.kill()
	v.start()
	for limit := time.Now().Add(2 * time.Minute); len(r.since(killed)) < len(clients); {
		if time.Now().After(limit) {
			t.Fatalf("%d of %d devices came back", len(r.since(killed)), len(clients))
		}
		<-time.After(20 * time.Millisecond)
	}
	stop()
	if err := calling.Wait(); err != nil {
		t.Error(err)
	}
	if calls.Load() == before {
		t.Error("no call after the restart")
	}
	back := r.since(killed)
	t.Logf("%d devices were back after the kill: half within %v, 99 of 100 within %v, the last after %v; %d calls, "+
		"none failed",
		len(back), back[len(back)/2].Round(time.Millisecond), back[len(back)*99/100].Round(time.Millisecond),
		back[len(back)-1].Round(time.Millisecond), calls.Load())
}

// device connects a user and records the time of each connection.
func (v *server) device(user string, r *returns) (*client.Client, error) {
	token, err := v.token(user)
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Options{Server: "http://" + v.addr, Token: token, DeviceID: user + "-1",
		CallTimeout: time.Minute, Listener: client.Listener{
			OnConnected: func(protocol.Welcome) { r.delivery(user) },
		}})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	return c, c.Connect(ctx)
}
