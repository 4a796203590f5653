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
	"net"
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
	"github.com/beckon-im/beckon/protocol"
)

var (
	length = flag.Duration("abuse.time", 4*time.Second, "how long the server is under attack; in quiet it is measured as long, and at most a minute")
	rate   = flag.Int("abuse.connects", 1000, "bare connects per second, beside the rest")
	only   = flag.String("abuse.only", "", "only the ways whose name contains this")
	serve  = flag.String("abuse.serve", "", "more arguments for the server, such as --pprof=127.0.0.1:6060")
	judge  = flag.Bool("abuse.judge", false, "fail when calls under attack take over five times as long as in quiet (99 of 100)")
)

func TestMain(m *testing.M) { beckontest.VerifyNoLeaks(m) }

// target is the program, with the limits that it has by itself.
type target struct {
	t    *testing.T
	addr string
	data string
	cmd  *exec.Cmd
}

func build(t *testing.T, dir, name, from string) string {
	t.Helper()
	program := filepath.Join(dir, name)
	if out, err := exec.Command("go", "build", "-o", program, from).CombinedOutput(); err != nil {
		t.Fatalf("%s does not build: %v\n%s", from, err, out)
	}
	return program
}

func start(t *testing.T) *target {
	t.Helper()
	dir := t.TempDir()
	program := build(t, dir, "beckon", "github.com/beckon-im/beckon/cmd/beckon")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &target{t: t, addr: ln.Addr().String(), data: filepath.Join(dir, "data")}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := beckon.LoadKeys(v.data); err != nil {
		t.Fatal(err)
	}
	v.cmd = exec.Command(program, "serve", "--listen", v.addr, "--data", v.data)
	v.cmd.Args = append(v.cmd.Args, strings.Fields(*serve)...)
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
	rings  map[string]*atomic.Int64
}

const pairs = 10

func (v *target) callers() *callers {
	v.t.Helper()
	c := &callers{v: v, rings: map[string]*atomic.Int64{}}
	for i := range 2 * pairs {
		user := fmt.Sprint("caller", i)
		n := &atomic.Int64{}
		c.rings[user] = n
		p, err := client.New(client.Options{Server: "http://" + v.addr, Token: v.token(user), DeviceID: "d", CallTimeout: time.Minute,
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

// talk makes calls for a time, ten a second, and returns the time that 99 of 100 took at most.
func (c *callers) talk(name string, d time.Duration) time.Duration {
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
				if _, err := c.people[2*i].Invite(context.Background(), protocol.InviteRequest{Invitee: fmt.Sprint("caller", 2*i+1), InviteOptions: protocol.InviteOptions{InviteID: id, Timeout: 600}}); err != nil {
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
	if err := g.Wait(); err != nil {
		c.v.t.Fatal(err)
	}
	slices.Sort(c.took)
	return c.took[len(c.took)*99/100]
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

func (v *target) attack() *attackers {
	v.t.Helper()
	a := &attackers{t: v.t, cmd: exec.Command(build(v.t, filepath.Dir(v.data), "attacker", "github.com/beckon-im/beckon/test/abuse/attacker"))}
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
	for _, user := range []string{"dead", "slow", "odd", "replayer"} {
		tokens[user] = v.token(user)
	}
	if err := json.NewEncoder(in).Encode(map[string]any{"Addr": v.addr, "Tokens": tokens, "Rate": *rate, "Only": *only}); err != nil {
		v.t.Fatal(err)
	}
	return a
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

// TestAbuse: slow readers, dead links, floods of connects, oversized, malformed, replayed and forged things, all at once, from other
// addresses than that of the callers, cost the callers nothing that was acknowledged.
func TestAbuse(t *testing.T) {
	v := start(t)
	c := v.callers()
	quiet := c.talk("quiet", min(*length, time.Minute))
	before := v.memory()
	a := v.attack()
	most := int64(0)
	over, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		look := time.NewTicker(50 * time.Millisecond)
		defer look.Stop()
		for {
			select {
			case <-look.C:
				most = max(most, v.memory())
			case <-over:
				return
			}
		}
	}()
	under := c.talk("attacked", *length)
	done := a.end()
	close(over)
	<-watched
	c.check()
	t.Logf("99 of 100 calls took %v in quiet and %v under attack, %.1f times as long; the server held %d MiB and %d at most",
		quiet.Round(100*time.Microsecond), under.Round(100*time.Microsecond), float64(under)/float64(quiet), before>>20, most>>20)
	t.Logf("bare connects: %d, %.0f a second", done.Connects, float64(done.Connects)/done.Seconds)
	for name, n := range done.Ways {
		t.Logf("%s: %d times, and %d times in vain", name, n.Done, n.Failed)
		if n.Done == 0 && strings.Contains(name, *only) {
			t.Errorf("%s was never done", name)
		}
	}
	if len(done.Wrong) > 0 {
		t.Errorf("what must be refused was taken: %q", done.Wrong)
	}
	if most > 1<<30 {
		t.Errorf("the server held %d MiB", most>>20)
	}
	if *judge && under > 5*quiet {
		t.Errorf("calls take %.1f times as long under attack", float64(under)/float64(quiet))
	}
}
