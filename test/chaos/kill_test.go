// Package chaos kills the real program under load and checks the histories of its clients, not its logs.
package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/test/program"
)

var kills = flag.Int("chaos.kills", 20, "how often the server is killed")

const pairs = 12 // people who call each other all the time

// victim is the server process.
type victim struct {
	t       *testing.T
	program string
	addr    string
	data    string
	wrap    []string // a command that runs the program
	args    []string // additional arguments
	cmd     *exec.Cmd
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	return &victim{t: t, program: program.Build(t, program.Beckon), addr: program.FreeAddress(t),
		data: filepath.Join(t.TempDir(), "data")}
}

func (v *victim) start() {
	v.t.Helper()
	args := append(slices.Clone(v.wrap), v.program, "serve", "--listen", v.addr, "--data", v.data, "--user-rate", "100000",
		"--user-burst", "100000", "--address-rate", "1000000", "--address-burst", "1000000")
	args = append(args, v.args...)
	v.cmd = exec.Command(args[0], args[1:]...)
	v.cmd.Stderr = os.Stderr
	if err := v.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
}

func (v *victim) kill() {
	v.t.Helper()
	if err := v.cmd.Process.Kill(); err != nil { // SIGKILL: nothing is flushed, nothing is said
		v.t.Fatal(err)
	}
	_ = v.cmd.Wait() // it says "signal: killed"
}

// deed is one invitation as its makers know it.
type deed struct {
	id, caller, callee string
	acked              bool   // the invite
	ended              string // what was acknowledged: accept, reject, cancel; "" = left to time out, or not known
	endedBy            string
}

// history is everything that was acknowledged, and everything that was heard.
type history struct {
	mu    sync.Mutex
	deeds map[string]*deed
	heard map[string]map[string]int // by user, what they heard how often
}

func (h *history) hear(user string) func(protocol.Signaling) {
	return func(m protocol.Signaling) {
		what := fmt.Sprintf("%d", m.ActionType)
		if len(m.Answers) > 0 {
			what = fmt.Sprintf("%d", m.Answers[0].ActionType)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.heard[user][m.InviteID+" "+what]++
	}
}

func TestKill9(t *testing.T) {
	v := newVictim(t)
	v.start()
	h := &history{deeds: map[string]*deed{}, heard: map[string]map[string]int{}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	people := map[string]*client.Client{}
	for i := range pairs {
		for _, user := range []string{fmt.Sprintf("caller%d", i), fmt.Sprintf("callee%d", i)} {
			people[user] = v.connect(user, h)
		}
	}
	var load sync.WaitGroup
	for i := range pairs {
		load.Go(func() { h.live(ctx, people, fmt.Sprintf("caller%d", i), fmt.Sprintf("callee%d", i)) })
	}
	for range *kills {
		pause := time.NewTimer(time.Duration(300+rand.IntN(500)) * time.Millisecond) // load, not a wait for an outcome
		<-pause.C
		v.kill()
		v.start()
	}
	stop()
	load.Wait()
	h.settle(t, people)
	h.check(t, people)
	for _, p := range people {
		p.Close()
	}
	v.kill()
	report, err := beckon.Inspect(t.Context(), v.data, "")
	if err != nil || len(report.Faults) > 0 {
		t.Errorf("the database after the last kill: %+v, %v", report, err)
	}
}

// token is signed with the key that the server makes at its first start.
func (v *victim) token(user string) (string, error) {
	for limit := time.Now().Add(30 * time.Second); ; {
		token, err := beckon.MintToken(v.data, "", user, "", 0)
		if err == nil || time.Now().After(limit) {
			return token, err
		}
		<-time.After(20 * time.Millisecond)
	}
}

func (v *victim) connect(user string, h *history) *client.Client {
	v.t.Helper()
	token, err := v.token(user)
	if err != nil {
		v.t.Fatal(err)
	}
	h.heard[user] = map[string]int{}
	c, err := client.New(client.Options{Server: "http://" + v.addr, Token: token, DeviceID: user + "-1",
		CallTimeout: time.Minute, Listener: client.Listener{OnSignaling: h.hear(user)}})
	if err != nil {
		v.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(v.t.Context(), 30*time.Second)
	defer cancel()
	if err := c.Connect(ctx); err != nil {
		v.t.Fatal(err)
	}
	return c
}

// live makes calls and ends them in every way, until ctx ends. What is under way then is finished.
func (h *history) live(ctx context.Context, people map[string]*client.Client, caller, callee string) {
	for n := 0; ctx.Err() == nil; n++ {
		d := &deed{id: fmt.Sprintf("%s-%d", caller, n), caller: caller, callee: callee}
		h.mu.Lock()
		h.deeds[d.id] = d
		h.mu.Unlock()
		call := context.Background() // a call that was begun is retried to its end, over every crash
		if _, err := people[caller].Invite(call,
			protocol.InviteRequest{Invitee: callee,
				InviteOptions: protocol.InviteOptions{InviteID: d.id, Timeout: 2}}); err != nil {
			continue
		}
		how := []string{"accept", "reject", "cancel", ""}[rand.IntN(4)]
		var err error
		by := callee
		switch how {
		case "accept":
			_, err = people[callee].Accept(call, d.id, "")
		case "reject":
			_, err = people[callee].Reject(call, d.id, "", "")
		case "cancel":
			by = caller
			_, err = people[caller].Cancel(call, protocol.CancelRequest{InviteID: d.id})
		}
		h.mu.Lock()
		d.acked = true
		if err == nil && how != "" {
			d.ended, d.endedBy = how, by
		}
		h.mu.Unlock()
	}
}

// settle waits until nothing is open any more and everybody has heard everything: after a last call from each to the
// other.
func (h *history) settle(t *testing.T, people map[string]*client.Client) {
	t.Helper()
	limit := time.Now().Add(time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for open := 1; open > 0; <-tick.C {
		open = 0
		for user, p := range people {
			res, err := p.ListInvitations(t.Context())
			if err != nil {
				t.Fatalf("%s cannot list: %v", user, err)
			}
			open += len(res.Invitations)
		}
		if time.Now().After(limit) {
			t.Fatalf("%d invitations are still open a minute after the last kill", open)
		}
	}
	for i := range pairs {
		a, b := fmt.Sprintf("caller%d", i), fmt.Sprintf("callee%d", i)
		h.last(t, people, a, b)
		h.last(t, people, b, a)
	}
}

// last calls and waits until it is heard: what came before it on that timeline has been heard then.
func (h *history) last(t *testing.T, people map[string]*client.Client, from, to string) {
	t.Helper()
	id := "last-" + from
	if _, err := people[from].Invite(t.Context(),
		protocol.InviteRequest{Invitee: to, InviteOptions: protocol.InviteOptions{InviteID: id}}); err != nil {
		t.Fatal(err)
	}
	limit := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		h.mu.Lock()
		n := h.heard[to][id+" 1"]
		h.mu.Unlock()
		if n > 0 {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("%s never heard the last call of %s", to, from)
		}
		<-tick.C
	}
}

// check compares what was acknowledged with what is there and with what everybody heard.
func (h *history) check(t *testing.T, people map[string]*client.Client) {
	t.Helper()
	acked, answered, timedOut := 0, 0, 0
	word := map[invite.State]string{invite.Accepted: "accept", invite.Rejected: "reject", invite.Cancelled: "cancel",
		invite.TimedOut: "timeout"}
	number := map[string]string{"cancel": "2", "accept": "3", "reject": "4", "timeout": "5"}
	for _, d := range h.deeds {
		res, err := people[d.caller].GetInvitation(t.Context(), protocol.GetInvitationRequest{InviteID: d.id})
		var e *protocol.Error
		if errors.As(err, &e) && e.Code == im.CodeOver && !d.acked {
			continue // it was never acknowledged, and it never was
		}
		if err != nil {
			t.Errorf("%s was acknowledged=%v and is not there: %v", d.id, d.acked, err)
			continue
		}
		acked++
		final := word[res.Invitation.Invitees[0].State]
		if d.ended != "" && final != d.ended {
			t.Errorf("%s: %s by %s was acknowledged, and it stands as %s", d.id, d.ended, d.endedBy, final)
		}
		if d.ended == "" {
			timedOut++
		} else {
			answered++
		}
		if n := h.heard[d.callee][d.id+" 1"]; n != 1 {
			t.Errorf("%s heard the call %s %d times", d.callee, d.id, n)
		}
		for _, user := range []string{d.caller, d.callee} {
			if user == d.endedBy {
				continue // it acted, and has the ack
			}
			if n := h.heard[user][d.id+" "+number[final]]; n != 1 {
				t.Errorf("%s heard %d times that %s ended by %s", user, n, d.id, final)
			}
		}
		for _, other := range number {
			for _, user := range []string{d.caller, d.callee} {
				if n := h.heard[user][d.id+" "+other]; other != number[final] && n != 0 {
					t.Errorf("%s heard %d times of an ending (action %s) of %s that is not its own, %s", user, n, other, d.id, final)
				}
			}
		}
	}
	if answered == 0 || timedOut == 0 {
		t.Errorf("too little happened: %d answered, %d timed out", answered, timedOut)
	}
	t.Logf("%d kills: %d invitations, %d acknowledged answers and cancels, %d timeouts; nothing lost, nothing twice",
		*kills, acked, answered, timedOut)
}
