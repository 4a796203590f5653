//go:build linux

// Package abuse attacks the real program in every way at once, beside people who call each other.
package abuse

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/test/program"
)

var (
	length = flag.Duration("abuse.time", 3*time.Second,
		"how long the server is under attack; in quiet it is measured as long, and at most a minute")
	rate  = flag.Int("abuse.connects", 1000, "bare connects per second, beside the rest")
	only  = flag.String("abuse.only", "", "only the ways whose name contains this")
	alone = flag.Bool("abuse.alone", false,
		"before all attacks together, each of those of ordinary accounts alone, at most a minute each")
	names = flag.Int("abuse.names", 1000, "invented members of the group to which large invitations go")
	serve = flag.String("abuse.serve", "", "more arguments for the server, such as --pprof=127.0.0.1:6060")
	judge = flag.Bool("abuse.judge", false,
		"fail when calls under attack take over five times as long as in quiet (99 of 100)")
)

func TestMain(m *testing.M) { beckontest.VerifyNoLeaks(m) }

// target is the program, with the limits that it has by itself.
type target struct {
	t    *testing.T
	addr string
	data string
	cmd  *exec.Cmd
}

func start(t *testing.T, args ...string) *target {
	t.Helper()
	v := &target{t: t, addr: program.FreeAddress(t), data: filepath.Join(t.TempDir(), "data")}
	if _, err := beckon.LoadKeys(v.data); err != nil {
		t.Fatal(err)
	}
	v.cmd = exec.Command(program.Build(t, program.Beckon), "serve", "--listen", v.addr, "--data", v.data)
	v.cmd.Args = append(append(v.cmd.Args, args...), strings.Fields(*serve)...)
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = v.cmd.Process.Signal(os.Interrupt)
		if err := v.cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return v
}

func (v *target) token(user string) string {
	v.t.Helper()
	token, err := beckon.MintToken(v.data, "", user, "", 0)
	if err != nil {
		v.t.Fatal(err)
	}
	return token
}

// memory is what the server holds, in bytes.
func (v *target) memory() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", v.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	kb, _ := strconv.ParseInt(strings.Fields(rest + " 0")[0], 10, 64)
	return kb << 10
}

// callers are people who call each other, and note how long an accept took from the invite.
type callers struct {
	v      *target
	people []*client.Client
	mu     sync.Mutex
	took   []time.Duration
	ids    []string
	busy   atomic.Int64 // calls that were refused because the server was busy
	rings  map[string]*atomic.Int64
	pushes *pushService
}

const pairs = 10

func (v *target) callers() *callers {
	v.t.Helper()
	c := &callers{v: v, rings: map[string]*atomic.Int64{}, pushes: v.pushService()}
	for i := range 2 * pairs {
		user := fmt.Sprint("caller", i)
		n := &atomic.Int64{}
		c.rings[user] = n
		p, err := client.New(client.Options{Server: "http://" + v.addr, Token: v.token(user), DeviceID: "d",
			CallTimeout: time.Minute, NoRepeat: true,
			Listener: client.Listener{OnSignaling: func(m protocol.Signaling) {
				if m.ActionType == protocol.ActionInvite {
					n.Add(1)
				}
			}}})
		if err != nil {
			v.t.Fatal(err)
		}
		v.t.Cleanup(p.Close)
		ctx, cancel := context.WithTimeout(v.t.Context(), 30*time.Second)
		defer cancel()
		if err := p.Connect(ctx); err != nil {
			v.t.Fatal(err)
		}
		c.people = append(c.people, p)
	}
	return c
}

// times are what 99 of 100 took at most, and the longest call.
type times struct{ call, push, longest time.Duration }

// refused counts a call that the server refused for being busy, and waits as long as the refusal says.
func (c *callers) refused(ctx context.Context, err error) bool {
	var e *protocol.Error
	if !errors.As(err, &e) || e.Code != im.CodeTooOften {
		return false
	}
	c.busy.Add(1)
	select {
	case <-time.After(time.Duration(e.RetryAfter) * time.Millisecond):
	case <-ctx.Done():
	}
	return true
}

// talk makes calls for a time, ten a second of each pair, and one a second that rings by push.
func (c *callers) talk(name string, d time.Duration) times {
	c.v.t.Helper()
	c.took = nil
	ctx, stop := context.WithTimeout(c.v.t.Context(), d)
	defer stop()
	var g errgroup.Group
	for i := range pairs {
		g.Go(func() error {
			for n := 0; ctx.Err() == nil; n++ {
				id := fmt.Sprintf("%s-%d-%d", name, i, n)
				begin := time.Now()
				if _, err := c.people[2*i].Invite(context.Background(), protocol.InviteRequest{
					Invitee: fmt.Sprint("caller", 2*i+1), InviteOptions: protocol.InviteOptions{InviteID: id, Timeout: 600},
				}); c.refused(ctx, err) {
					continue
				} else if err != nil {
					return fmt.Errorf("invite %s: %w", id, err)
				}
				if _, err := c.people[2*i+1].Accept(context.Background(), id, ""); err != nil {
					return fmt.Errorf("accept %s: %w", id, err)
				}
				c.mu.Lock()
				c.took, c.ids = append(c.took, time.Since(begin)), append(c.ids, id)
				c.mu.Unlock()
				<-time.After(100 * time.Millisecond) // a caller's pace
			}
			return nil
		})
	}
	c.pushes.measureAll(ctx, &g, c, name)
	if err := g.Wait(); err != nil {
		c.v.t.Fatal(err)
	}
	slices.Sort(c.took)
	slices.Sort(c.pushes.took)
	last := len(c.took) - 1
	return times{c.took[last*99/100], c.pushes.took[(len(c.pushes.took)-1)*99/100], c.took[last]}
}

// check makes sure that everything acknowledged is there, and was heard once.
func (c *callers) check() {
	c.v.t.Helper()
	for _, id := range c.ids {
		parts := strings.Split(id, "-")
		i, err := strconv.Atoi(parts[1])
		if err != nil {
			c.v.t.Fatal(err)
		}
		v, err := c.people[2*i].GetInvitation(c.v.t.Context(), protocol.GetInvitationRequest{InviteID: id})
		if err != nil || !v.Invitation.Over || v.Invitation.Counts.Accepted != 1 {
			c.v.t.Fatalf("%s: %+v, %v", id, v.Invitation, err)
		}
		<-time.After(2 * time.Millisecond) // within the rate that one user has
	}
	rang := func() (all int64) {
		for _, n := range c.rings {
			all += n.Load()
		}
		return all
	}
	for limit := time.Now().Add(20 * time.Second); rang() < int64(len(c.ids)) && time.Now().Before(limit); {
		<-time.After(10 * time.Millisecond)
	}
	if n := rang(); n != int64(len(c.ids)) {
		c.v.t.Errorf("%d invitations were heard %d times", len(c.ids), n)
	}
}

// attackers is a program of its own that attacks.
type attackers struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// outcome is what the attackers have done.
type outcome struct {
	Ways     map[string]struct{ Done, Failed int64 }
	Seconds  float64
	Connects int64
	Wrong    []string
}

// accounts are those that attack from within; the attacker has the same names.
func accounts() []string {
	list := []string{"dead", "slow", "odd", "replayer", "large", "crowd", "pictures", "popular"}
	for name, n := range map[string]int{"pictures": 8, "inviter": 2, "hanging": 200, "stranger": 100} {
		for i := range n {
			list = append(list, fmt.Sprint(name, i))
		}
	}
	return list
}

// attackers starts the attackers, and returns when they have prepared.
func (v *target) attackers(only string, wire bool, rate int) *attackers {
	v.t.Helper()
	a := &attackers{t: v.t, cmd: exec.Command(program.Build(v.t, "github.com/beckon-im/beckon/test/abuse/attacker"))}
	a.cmd.Stderr = os.Stderr
	in, err := a.cmd.StdinPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	a.in, a.out = in, json.NewDecoder(out)
	if err := a.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	tokens := map[string]string{}
	for _, user := range accounts() {
		tokens[user] = v.token(user)
	}
	if err := json.NewEncoder(in).Encode(map[string]any{
		"Addr": v.addr, "Tokens": tokens, "Rate": rate, "Only": only, "Wire": wire, "Names": *names,
	}); err != nil {
		v.t.Fatal(err)
	}
	var prepared outcome
	if err := a.out.Decode(&prepared); err != nil {
		v.t.Fatalf("the attackers did not prepare: %v", errors.Join(err, a.cmd.Wait()))
	}
	return a
}

// begin lets the attackers attack.
func (a *attackers) begin() {
	a.t.Helper()
	if err := json.NewEncoder(a.in).Encode("begin"); err != nil {
		a.t.Fatal(err)
	}
}

// end stops the attackers and returns what they have done.
func (a *attackers) end() (o outcome) {
	a.t.Helper()
	_ = a.in.Close()
	err := a.out.Decode(&o)
	if err := errors.Join(err, a.cmd.Wait()); err != nil {
		a.t.Fatalf("the attackers ended with %v", err)
	}
	return o
}

// run is a server, and what is done to it.
type run struct {
	name  string
	only  string // part of the name of the attacks
	rate  int    // bare connects per second
	time  time.Duration
	limit int64 // of memory, in MiB
	wire  bool  // only the attacks on the transport
	both  bool  // all attacks together: the ratio is reported, and not limited
}

// quietTime is how long the callers are measured before and after the attack.
func (r run) quietTime() time.Duration {
	if r.rate == 0 {
		return min(r.time, 20*time.Second)
	}
	return min(r.time, time.Minute)
}

// alones are the attacks of ordinary accounts, each to be played alone.
func alones() []run {
	var list []run
	for _, name := range []string{"large invitations", "pictures", "pushes", "strangers"} {
		list = append(list, run{name: name, only: name, time: min(*length, time.Minute), limit: accountsLimit})
	}
	return list
}

// The memory that the server may hold, in MiB.
const (
	accountsLimit = 300
	allLimit      = 600
)

// result is what came of a run.
type result struct {
	run
	quiet, under, after times
	before, peak        int64 // bytes
	busy                int64 // calls of the pairs that were refused
	done                outcome
}

// play measures callers in quiet, under attack and afterwards.
func (r run) play(t *testing.T) result {
	v := start(t, "--members-per-day=-1", "--push-private", fmt.Sprintf("--memory-limit=%dMiB", r.limit))
	c := v.callers()
	a := v.attackers(r.only, r.wire, r.rate)
	res := result{run: r, quiet: c.talk("quiet", r.quietTime())}
	res.before = v.memory()
	over, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		look := time.NewTicker(50 * time.Millisecond)
		defer look.Stop()
		for {
			select {
			case <-look.C:
				res.peak = max(res.peak, v.memory())
			case <-over:
				return
			}
		}
	}()
	a.begin()
	res.under = c.talk("attacked", r.time)
	res.done = a.end()
	if *judge { // else as short as can be
		res.after = c.talk("after", r.quietTime())
	}
	close(over)
	<-watched
	c.check()
	res.busy = c.busy.Load()
	return res
}

// The bounds of what a run may do to the callers.
const (
	slower      = 5               // times as long as in quiet
	slowerAfter = 2               // times as long, when the attack is over
	pushInTime  = 2 * time.Second // from an invite to its push
)

// report logs a run, and fails where it is over the bounds.
func (r *result) report(t *testing.T) {
	round := func(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
	for _, name := range slices.Sorted(maps.Keys(r.done.Ways)) {
		n := r.done.Ways[name]
		t.Logf("%s: %d times, and %d times in vain", name, n.Done, n.Failed)
		if n.Done == 0 {
			t.Errorf("%s was never done", name)
		}
	}
	if r.rate > 0 {
		t.Logf("bare connects: %d, %.0f a second", r.done.Connects, float64(r.done.Connects)/r.done.Seconds)
	}
	ratio, after := float64(r.under.call)/float64(r.quiet.call), float64(r.after.call)/float64(r.quiet.call)
	t.Logf("| %s | %v | %v, %v | %.1f | %v | %v, %v, %v | %d, %d of %d |", r.name, round(r.quiet.call),
		round(r.under.call), round(r.under.longest), ratio, round(r.after.call),
		round(r.quiet.push), round(r.under.push), round(r.after.push), r.before>>20, r.peak>>20, r.limit)
	if len(r.done.Wrong) > 0 {
		t.Errorf("the server did what it should not: %q", r.done.Wrong)
	}
	if r.busy > 0 {
		t.Errorf("%d calls of the pairs were refused", r.busy)
	}
	if r.peak > r.limit<<20/10*11 {
		t.Errorf("the server held %d MiB", r.peak>>20)
	}
	if !*judge {
		return
	}
	if ratio > slower && !r.both { // two processors cannot serve all attacks and the callers at this speed
		t.Errorf("calls take %.1f times as long under attack", ratio)
	}
	if after > slowerAfter {
		t.Errorf("calls take %.1f times as long after the attack", after)
	}
	if r.under.push > max(pushInTime, slower*r.quiet.push) {
		t.Errorf("pushes take %v under attack", r.under.push)
	}
}

// TestAbuse: slow readers, dead links, floods of connects, oversized, malformed, replayed and forged things, and what
// ordinary accounts may do, all at once, from other addresses than that of the callers, cost the callers nothing that
// was acknowledged, and little time. The columns of the rows that it logs: attack; p99 of the pairs' calls in quiet;
// p99 and longest under attack; ratio of the p99s; p99 afterwards; p99 of the pairs' pushes in quiet, under attack,
// afterwards; MiB before, at most, and allowed.
func TestAbuse(t *testing.T) {
	all := run{name: "all at once", only: *only, rate: *rate, time: *length, limit: allLimit, both: true}
	runs := []run{all}
	if *alone {
		wire := all
		wire.name, wire.wire, wire.both = "transport at once", true, false
		runs = append(alones(), wire, all)
	}
	for _, r := range runs {
		t.Run(r.name, func(t *testing.T) {
			res := r.play(t)
			res.report(t)
		})
	}
}
