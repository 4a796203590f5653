// Package histories plays invitations with every option between clients that are written from PROTOCOL.md alone, while
// connections are cut in mid-frame, programs are restarted, and the server is killed. Afterwards it compares what
// every device received with how the server says that everything ended.
package histories

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/test/cluster"
	"github.com/beckon-im/beckon/test/program"
)

var (
	count   = flag.Int("histories.n", 2000, "invitations")
	nodes   = flag.Int("histories.nodes", 1, "nodes")
	seed    = flag.Uint64("histories.seed", 0, "seed of what is drawn; 0 draws one")
	kills   = flag.Int("histories.kills", 3, "how often the server, or one node, is killed")
	at      = flag.Int("histories.parallel", 160, "invitations at the same time")
	verbose = flag.Bool("histories.loud", false, "show what the server logs")
)

func TestMain(m *testing.M) { beckontest.VerifyNoLeaks(m) }

// server is what the devices connect to: one process, or three nodes.
type server struct {
	data string
	addr func() string
	kill func() error // kills it, or one node of it, and starts it again
	stop func() error
}

// limits of the server that would bound the load of the test.
func limits() []string {
	return []string{"--user-rate", "100000", "--user-burst", "100000", "--address-rate", "1000000", "--address-burst",
		"1000000"}
}

func oneNode(t *testing.T) *server {
	t.Helper()
	path, data := program.Build(t, program.Beckon), t.TempDir()
	addr := program.FreeAddress(t)
	var cmd *exec.Cmd
	start := func() error {
		cmd = exec.Command(path, append([]string{"serve", "--listen", addr, "--data", data}, limits()...)...)
		if *verbose {
			cmd.Stderr = os.Stderr
		}
		return cmd.Start()
	}
	stop := func() error {
		err := cmd.Process.Kill() // SIGKILL: nothing is flushed
		_ = cmd.Wait()            // "signal: killed"
		return err
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	return &server{data: data, addr: func() string { return addr }, stop: stop, kill: func() error {
		if err := stop(); err != nil {
			return err
		}
		return start()
	}}
}

func threeNodes(t *testing.T) *server {
	t.Helper()
	opt := cluster.Options{Program: program.Build(t, program.Beckon), Dir: t.TempDir(), Nodes: *nodes, Plain: true,
		Args: append(limits(), "--ping", "2s", "--drain", "1s")}
	if *verbose {
		opt.Log = os.Stderr
	}
	c, err := cluster.Start(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return &server{data: c.Nodes[0].Data, addr: c.Front.Addr, stop: c.Close, kill: func() error {
		n := c.Nodes[rand.IntN(len(c.Nodes))]
		if err := n.Stop(syscall.SIGKILL); err != nil {
			return err
		}
		if err := n.Start(); err != nil {
			return err
		}
		return n.Ready(context.Background())
	}}
}

const (
	userCount  = 24
	groupCount = 3
)

func TestHistories(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64() >> 32
	}
	t.Logf("seed %d", *seed)
	var srv *server
	if *nodes == 1 {
		srv = oneNode(t)
	} else {
		srv = threeNodes(t)
	}
	defer func() {
		if err := srv.stop(); err != nil {
			t.Error(err)
		}
	}()
	ctx, stop := context.WithCancel(t.Context())
	s := people(t, ctx, srv)
	var running sync.WaitGroup
	for _, list := range s.devices {
		for _, d := range list {
			running.Go(func() { d.run(ctx) })
		}
	}
	defer running.Wait()
	defer stop()
	s.groups(ctx, t)
	begun := time.Now()
	faults := s.trouble(t, srv, func() { s.playAll(ctx, t) })
	played := time.Since(begun)
	j := s.settle(ctx, t)
	j.check()
	for _, f := range j.faults[:min(len(j.faults), 60)] {
		t.Error(f)
	}
	t.Logf("seed %d, %d nodes: %d invitations in %v, %d merged, refused %v; %s; %d events (%d again after a reconnect), "+
		"%d outcomes to be told, %d responses, %d snapshots, %d entries of histories checked: %d faults",
		*seed, *nodes, len(j.truths), played.Round(time.Second), s.merged, s.refused, faults, j.events, j.repeats, j.outcomes,
		j.responses, j.snapshots, j.entries, len(j.faults))
}

// people makes users with two or three devices each.
func people(t *testing.T, ctx context.Context, srv *server) *stage {
	t.Helper()
	s := &stage{devices: map[string][]*device{}, refused: map[int]int{}}
	for i := range userCount {
		user := fmt.Sprintf("user%02d", i)
		token := ""
		for token == "" && ctx.Err() == nil { // the server makes its keys at its start
			var err error
			if token, err = beckon.MintToken(srv.data, "", user, "", 0); err != nil {
				<-time.After(50 * time.Millisecond)
			}
		}
		s.users = append(s.users, user)
		for n := range 2 + i%2 {
			s.devices[user] = append(s.devices[user], newDevice(user, fmt.Sprintf("%s-d%d", user, n), token, srv.addr))
		}
	}
	s.cast.groups = map[string][]string{}
	for i := range groupCount {
		s.cast.groups[fmt.Sprintf("g%d", i)] = s.users[i*8 : i*8+8]
	}
	return s
}

func (s *stage) groups(ctx context.Context, t *testing.T) {
	t.Helper()
	for id, members := range s.cast.groups {
		a, err := s.device(members[0], 0).once(ctx, "createGroup",
			map[string]any{"groupID": id, "type": "Public", "memberList": members[1:]})
		if err != nil || a.Code != 0 {
			t.Fatalf("the group %s: %v %s", id, err, a.Message)
		}
	}
}

func (s *stage) playAll(ctx context.Context, t *testing.T) {
	t.Helper()
	limit, cancel := context.WithTimeout(ctx, time.Minute+time.Duration(*count)*30*time.Millisecond)
	defer cancel()
	r := rand.New(rand.NewPCG(*seed, 1))
	var plays errgroup.Group
	plays.SetLimit(*at)
	for n := range *count {
		p, device := s.draw(r, *seed, n), r.IntN(3)
		plays.Go(func() error { return s.run(limit, p, device) })
	}
	if err := plays.Wait(); err != nil {
		t.Error(err)
	}
}

// trouble cuts connections, restarts programs and kills the server while f runs, and says how often.
func (s *stage) trouble(t *testing.T, srv *server, f func()) string {
	t.Helper()
	done := make(chan struct{})
	var making sync.WaitGroup
	cuts, restarts, killed := 0, 0, 0
	making.Go(func() {
		r := rand.New(rand.NewPCG(*seed, 2))
		tick := time.NewTicker(25 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			d := s.device(s.users[r.IntN(len(s.users))], r.IntN(3))
			switch k := r.IntN(10); {
			case k < 7:
				cuts++
				d.cut(int64(r.IntN(600)))
			default:
				restarts++
				d.restart(k < 9)
			}
		}
	})
	making.Go(func() {
		for range *kills {
			select {
			case <-done:
				return
			case <-time.After(2500 * time.Millisecond):
			}
			killed++
			s.killed = append(s.killed, time.Now().UnixMilli())
			if err := srv.kill(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	f()
	close(done)
	making.Wait()
	return fmt.Sprintf("%d cuts, %d restarts of programs, %d kills", cuts, restarts, killed)
}

// settle waits until everything is over and received, and reads how it stands.
func (s *stage) settle(ctx context.Context, t *testing.T) *judge {
	t.Helper()
	limit, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	j := &judge{truths: map[string]*truth{}, killed: s.killed}
	var mu sync.Mutex
	var reads errgroup.Group
	reads.SetLimit(8)
	for _, p := range s.played {
		reads.Go(func() error {
			v, err := s.final(limit, p)
			if err == nil {
				mu.Lock()
				j.truths[p.id] = v
				mu.Unlock()
			}
			return err
		})
	}
	if err := reads.Wait(); err != nil {
		t.Fatal(err)
	}
	s.last(limit, t)
	for _, user := range s.users {
		list, err := s.conversations(limit, user)
		if err != nil {
			t.Fatal(err)
		}
		j.conversations = append(j.conversations, list...)
	}
	for _, user := range s.users {
		for _, d := range s.devices[user] {
			d.mu.Lock() // nothing is received any more that matters: the log is read without the lock after this
			j.devices = append(j.devices, &device{user: d.user, name: d.name, log: slices.Clone(d.log), negative: d.negative})
			d.mu.Unlock()
		}
	}
	for _, d := range j.devices {
		d.teach(j.truths)
	}
	return j
}

// final waits until an invitation is over, and reads what became of everybody.
func (s *stage) final(ctx context.Context, p *play) (*truth, error) {
	d := s.device(p.inviter, 0)
	for {
		a, err := d.once(ctx, "getInvitation", map[string]any{"inviteID": p.id, "limit": 1000})
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%s does not end: %w", p.id, ctx.Err())
		case err != nil:
			<-time.After(10 * time.Millisecond)
			continue
		case a.Code != 0 && !p.online:
			return nil, fmt.Errorf("%s was acknowledged and is not there: %s", p.id, a.Message)
		case a.Code != 0:
			return &truth{id: p.id, inviter: p.inviter, online: true, removed: true}, nil
		case a.Invitation.Over:
			return s.truth(p, a.Invitation), nil
		}
		<-time.After(50 * time.Millisecond)
	}
}

func (s *stage) truth(p *play, v *view) *truth {
	t := &truth{id: p.id, inviter: v.Inviter, group: v.GroupID, participants: p.partic, online: p.online, notice: p.notice,
		invitees: map[string]fate{}, added: map[string]int64{}}
	t.audience = append(t.audience, v.Inviter)
	for _, q := range v.Invitees {
		f := fate{state: q.State, decided: q.DecidedAt}
		if deadline := cmp.Or(q.Deadline, v.Deadline); f.state == "timedOut" && deadline > 0 {
			f.decided = min(f.decided, deadline) // the rule decides, the timer announces
		}
		t.invitees[q.UserID] = f
		t.audience = append(t.audience, q.UserID)
		if slices.Contains(p.added, q.UserID) {
			t.added[q.UserID] = -1 // until it is known with which version
		}
	}
	if p.group != "" && !p.partic {
		t.audience = s.cast.groups[p.group]
	}
	if p.notice {
		t.invitees = map[string]fate{}
	}
	return t
}

// teach finds with which version invitees were added, and when devices first received what they did of it.
func (d *device) teach(truths map[string]*truth) {
	for _, r := range d.log {
		t := truths[r.id]
		if t == nil || r.kind == kindRequest {
			continue
		}
		if t.known == 0 || r.at < t.known {
			t.known = r.at
		}
		for _, o := range r.ended {
			if f, ok := t.invitees[o.user]; ok && f.state == o.state && (f.known == 0 || r.at < f.known) {
				f.known = r.at
				t.invitees[o.user] = f
			}
		}
		if r.kind == kindEvent && r.action == actionAdd {
			for _, u := range r.list {
				if t.added[u] == -1 {
					t.added[u] = r.version
				}
			}
		}
	}
}

// last sends something last on each timeline, and waits until every device has received it.
func (s *stage) last(ctx context.Context, t *testing.T) {
	t.Helper()
	mark := func(user, id string) bool {
		for _, d := range s.devices[user] {
			d.mu.Lock()
			got := slices.ContainsFunc(d.log, func(r record) bool { return r.id == id })
			d.mu.Unlock()
			if !got {
				return false
			}
		}
		return true
	}
	wait := func(user, id string) {
		for !mark(user, id) {
			if ctx.Err() != nil {
				t.Fatalf("a device of %s never received %s", user, id)
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	for i, user := range s.users {
		from, id := s.users[(i+1)%len(s.users)], "last-"+user
		if a, err := s.device(from, 0).do(ctx, "invite",
			map[string]any{"invitee": user, "inviteID": id, "timeout": 1}); err != nil || a.Code != 0 {
			t.Fatalf("%s: %v %s", id, err, a.Message)
		}
		wait(user, id)
	}
	for id, members := range s.cast.groups {
		last := "last-" + id
		if a, err := s.device(members[0], 0).do(ctx, "inviteInGroup",
			map[string]any{"groupID": id, "inviteeList": members[1:2], "inviteID": last, "timeout": 1}); err != nil ||
			a.Code != 0 {
			t.Fatalf("%s: %v %s", last, err, a.Message)
		}
		for _, user := range members[1:] {
			wait(user, last)
		}
	}
	<-time.After(1500 * time.Millisecond) // the last ones time out, and count
}

// conversations reads all conversations of a user with their histories.
func (s *stage) conversations(ctx context.Context, user string) ([]conversation, error) {
	d := s.device(user, 0)
	var list struct {
		Conversations []struct {
			ConversationID string `json:"conversationID"`
			Unread         int64  `json:"unread"`
		} `json:"conversations"`
	}
	if err := d.read(ctx, "getConversationList", map[string]any{"limit": 1000}, &list); err != nil {
		return nil, err
	}
	var out []conversation
	for _, v := range list.Conversations {
		c := conversation{user: user, id: v.ConversationID, unread: v.Unread}
		for seq := uint64(0); ; {
			var page struct {
				Messages []struct {
					Seq   uint64    `json:"seq"`
					Event signaling `json:"event"`
				} `json:"messages"`
				Complete bool   `json:"complete"`
				Next     uint64 `json:"next"`
			}
			if err := d.read(ctx, "getHistoryMessageList", map[string]any{"conversationID": c.id, "limit": 1000, "seq": seq},
				&page); err != nil {
				return nil, err
			}
			for _, m := range page.Messages {
				if seq = m.Seq; m.Event.Type == "signaling" && !strings.HasPrefix(m.Event.InviteID, "last-") {
					e := m.Event
					c.entries = append(c.entries, entry{e.InviteID, e.Version, e.ActionType, e.OnlineOnly, e.Notice, e.Inviter})
				} else if m.Event.Type == "signaling" && m.Event.ActionType == actionInvite && m.Event.Inviter != user {
					c.unread--
				}
			}
			if page.Next > 0 {
				seq = page.Next
			}
			if page.Complete {
				break
			}
		}
		out = append(out, c)
	}
	return out, nil
}

// read makes a call until it is answered, and decodes the answer.
func (d *device) read(ctx context.Context, method string, fields map[string]any, into any) error {
	for {
		text, err := d.raw(ctx, method, fields)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			<-time.After(10 * time.Millisecond)
			continue
		}
		var refused answer
		if json.Unmarshal(text, &refused) == nil && refused.Code != 0 {
			return fmt.Errorf("%s by %s: %s", method, d, refused.Message)
		}
		return json.Unmarshal(text, into)
	}
}
