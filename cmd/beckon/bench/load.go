package bench

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// load runs flows, in a closed or open loop, and fills in the result.
func (b *bench) load(ctx context.Context, res *benchResult) error {
	if err := b.makeGroups(ctx); err != nil {
		return err
	}
	if info, err := os.Stat(b.cmd.Data); err == nil && info.IsDir() { // else the server's disk is elsewhere
		disk, err := MeasureDisk(b.cmd.Data, diskTime)
		if err != nil {
			return err
		}
		res.Disk = &disk
	}
	total := b.cmd.Warmup + b.cmd.Duration
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var from, to usage
	begun := time.AfterFunc(b.cmd.Warmup, func() {
		from = b.usage()
		b.counts.Store(true)
	})
	defer begun.Stop()
	ended := make(chan struct{})
	time.AfterFunc(total, func() {
		b.counts.Store(false)
		to = b.usage()
		close(ended)
	})
	if b.cmd.Rate > 0 {
		res.Mode = fmt.Sprintf("open loop, %.0f flows/s", b.cmd.Rate)
		b.open(ctx, ended)
	} else {
		res.Mode = fmt.Sprintf("closed loop, %d in flight", b.cmd.Flight)
		b.closed(ctx, ended)
	}
	if len(b.groups) > 0 {
		res.Mode += fmt.Sprintf(", groups of %d", b.cmd.Group)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	res.Flows, res.Failures, res.Seconds = b.count.Load(), b.failed.Load(), to.at.Sub(from.at).Seconds()
	res.FlowsPerSecond = float64(res.Flows) / res.Seconds
	b.quantiles(res)
	res.RSS = residentBytes(b.cmd.PID...)
	if res.Flows > 0 {
		res.spent(from, to)
	}
	return nil
}

func (b *bench) quantiles(res *benchResult) {
	ms := func(q float64) float64 { return milliseconds(b.latency, q) }
	res.P50, res.P90, res.P99, res.Max = ms(50), ms(90), ms(99), float64(b.latency.Max())/1000
}

// closed keeps a number of flows in flight.
func (b *bench) closed(ctx context.Context, ended <-chan struct{}) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range b.cmd.Flight {
		wg.Go(func() {
			for {
				select {
				case <-ended:
					return
				case <-ctx.Done():
					return
				default:
					b.begin(ctx, int(next.Add(1)), time.Now())
				}
			}
		})
	}
	wg.Wait()
}

// open starts flows at a fixed rate, independently of the end of earlier ones.
func (b *bench) open(ctx context.Context, ended <-chan struct{}) {
	var wg sync.WaitGroup
	start, tick := time.Now(), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := 0; ; {
		select {
		case <-ended:
			wg.Wait()
			return
		case <-ctx.Done():
			wg.Wait()
			return
		case now := <-tick.C:
			for due := start.Add(time.Duration(float64(n) / b.cmd.Rate * float64(time.Second))); !due.After(now); {
				wg.Go(func() { b.begin(ctx, n, due) })
				n++
				due = start.Add(time.Duration(float64(n) / b.cmd.Rate * float64(time.Second)))
			}
		}
	}
}

func (b *bench) makeGroups(ctx context.Context) error {
	if b.cmd.Group == 0 {
		return nil
	}
	if b.cmd.Group < 2 || b.cmd.Group > len(b.users) {
		return fmt.Errorf("--group %d needs at least 2 and at most --users %d members", b.cmd.Group, len(b.users))
	}
	for at := 0; at+b.cmd.Group <= len(b.users); at += b.cmd.Group {
		var members []string
		for i := 1; i < b.cmd.Group; i++ {
			members = append(members, b.name(at+i))
		}
		first := members[:min(len(members), 500)]
		res, err := b.users[at].CreateGroup(ctx, protocol.CreateGroupRequest{Type: "Community", MemberList: first})
		if err != nil {
			return err
		}
		for rest := members[len(first):]; len(rest) > 0; {
			n := min(len(rest), 500)
			if _, err := b.users[at].InviteUserToGroup(ctx, res.Group.GroupID, rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		b.groups = append(b.groups, res.Group.GroupID)
	}
	return nil
}

// Pauses after connecting: until the server has subscribed the users to their groups, and until memory is read.
const (
	subscribeTime = 2 * time.Second
	settleTime    = 13 * time.Second
)

// idle reports the cost of a connect, and the server's memory per idle connection.
func (b *bench) idle(ctx context.Context, res *benchResult, before int64, from usage) error {
	if err := sleepUntil(ctx, time.Now().Add(subscribeTime)); err != nil {
		return err
	}
	res.connected(from, b.usage())
	if err := sleepUntil(ctx, time.Now().Add(settleTime)); err != nil {
		return err
	}
	if to := b.collected(ctx); len(b.cmd.Collect) > 0 {
		res.LivePerUser = (to.live() - from.live()) / float64(len(b.users))
	}
	res.Mode = "idle connections"
	res.RSS = residentBytes(b.cmd.PID...)
	res.BytesPerUser = float64(res.RSS-before) / float64(len(b.users))
	res.Note = fmt.Sprintf("resident before connecting: %.1f MiB", float64(before)/(1<<20))
	return nil
}

// deadlines opens invitations without answers and reports the delay of their timeouts.
func (b *bench) deadlines(ctx context.Context, res *benchResult) error {
	var left atomic.Int64
	left.Store(int64(b.cmd.Deadline))
	all := make(chan struct{})
	var mu sync.Mutex
	due := make(map[string]int64, b.cmd.Deadline)
	twice := 0
	b.onEnd = func(m protocol.Signaling) {
		mu.Lock()
		defer mu.Unlock()
		at, open := due[m.InviteID]
		if !open {
			return
		}
		if at == 0 {
			twice++
			return
		}
		_ = b.latency.RecordValue(max(1, (m.Time-at)*1000))
		due[m.InviteID] = 0
		if left.Add(-1) == 0 {
			close(all)
		}
	}
	begun := time.Now()
	lead := time.Duration(b.cmd.Deadline) * time.Second / 2500 // approximate time to open them
	err := b.openMany(ctx, b.cmd.Deadline, func(n int) time.Time {
		return begun.Add(lead + time.Duration(float64(b.cmd.Spread)*float64(n)/float64(b.cmd.Deadline)))
	}, func(id string, at int64) { mu.Lock(); due[id] = at; mu.Unlock() })
	if err != nil {
		return err
	}
	opened := time.Since(begun)
	select {
	case <-all:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(b.cmd.Spread + 5*time.Minute):
		return fmt.Errorf("%d timeouts were not received", left.Load())
	}
	b.quantiles(res)
	res.Mode = fmt.Sprintf("%d deadlines over %s", b.cmd.Deadline, b.cmd.Spread)
	res.Flows, res.Seconds = int64(b.cmd.Deadline), time.Since(begun).Seconds()
	res.FlowsPerSecond = float64(b.cmd.Deadline) / opened.Seconds()
	res.RSS = residentBytes(b.cmd.PID...)
	res.Note = fmt.Sprintf(
		"latency is deadline to decision by the server's clock; flows per second counts invites; %d duplicates", twice)
	return nil
}

// leaveOpen opens invitations with a deadline in an hour, and reports the server's memory.
func (b *bench) leaveOpen(ctx context.Context, res *benchResult) error {
	begun := time.Now()
	hour := begun.Add(time.Hour)
	if err := b.openMany(ctx, b.cmd.Open, func(int) time.Time { return hour }, func(string, int64) {}); err != nil {
		return err
	}
	res.Mode, res.RSS = fmt.Sprintf("%d invitations opened in %.1f s", b.cmd.Open,
		time.Since(begun).Seconds()), residentBytes(b.cmd.PID...)
	return nil
}

// openMany opens n invitations without answers; target returns the deadline of each, in whole seconds.
func (b *bench) openMany(ctx context.Context, n int, target func(int) time.Time, note func(id string, at int64)) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(256)
	data := string(make7bit(b.cmd.Payload))
	for i := range n {
		g.Go(func() error {
			wait := max(1, int64(time.Until(target(i))/time.Second))
			id := client.NewID()
			res, err := b.users[i%len(b.users)].Invite(ctx, protocol.InviteRequest{Invitee: b.name((i + 1) % len(b.users)),
				InviteOptions: protocol.InviteOptions{InviteID: id, Data: data, Timeout: wait}})
			if err == nil {
				note(id, res.Invitation.Deadline)
			}
			return err
		})
	}
	return g.Wait()
}
