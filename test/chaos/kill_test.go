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

const pairs = 12 // pairs that call each other continuously

// server is the server process.
type server struct {
	t       *testing.T
	program string
	addr    string
	data    string
	wrap    []string // a command that runs the program
	args    []string // additional arguments
	cmd     *exec.Cmd
}

func newServer(t *testing.T) *server {
	t.Helper()
	return &server{t: t, program: program.Build(t, program.Beckon), addr: program.FreeAddress(t),
		data: filepath.Join(t.TempDir(), "data")}
}

func (v *server) start() {
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

func (v *server) kill() {
	v.t.Helper()
	if err := v.cmd.Process.Kill(); err != nil { // SIGKILL: no flush, no goodbye
		v.t.Fatal(err)
	}
	_ = v.cmd.Wait() // its error is "signal: killed"
}

// call is one invitation with the outcomes of the calls about it.
type call struct {
	id, caller, callee string
	acked              bool   // the invite
	ended              string // the acknowledged action: accept, reject, cancel; "" = timeout, or unknown
	endedBy            string
}

// history is the acknowledgements and the received events.
type history struct {
	mu          sync.Mutex
	invitations map[string]*call
	counts      map[string]map[string]int // number of events by user, and by ID and action
}

func (h *history) record(user string) func(protocol.Signaling) {
	return func(m protocol.Signaling) {
		action := fmt.Sprintf("%d", m.ActionType)
		if len(m.Answers) > 0 {
			action = fmt.Sprintf("%d", m.Answers[0].ActionType)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.counts[user][m.InviteID+" "+action]++
	}
}

func TestKill9(t *testing.T) {
	v := newServer(t)
	v.start()
	h := &history{invitations: map[string]*call{}, counts: map[string]map[string]int{}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	clients := map[string]*client.Client{}
	for i := range pairs {
		for _, user := range []string{fmt.Sprintf("caller%d", i), fmt.Sprintf("callee%d", i)} {
			clients[user] = v.connect(user, h)
		}
	}
	var load sync.WaitGroup
	for i := range pairs {
		load.Go(func() { h.run(ctx, clients, fmt.Sprintf("caller%d", i), fmt.Sprintf("callee%d", i)) })
	}
	for range *kills {
		pause := time.NewTimer(time.Duration(300+rand.IntN(500)) * time.Millisecond) // load, not a wait for an outcome
		<-pause.C
		v.kill()
		v.start()
	}
	stop()
	load.Wait()
	h.settle(t, clients)
	h.check(t, clients)
	for _, p := range clients {
		p.Close()
	}
	v.kill()
	report, err := beckon.Inspect(t.Context(), v.data, "")
	if err != nil || len(report.Faults) > 0 {
		t.Errorf("the database after the last kill: %+v, %v", report, err)
	}
}

// token is signed with the key that the server makes at its first start.
func (v *server) token(user string) (string, error) {
	for limit := time.Now().Add(30 * time.Second); ; {
		token, err := beckon.MintToken(v.data, "", user, "", 0)
		if err == nil || time.Now().After(limit) {
			return token, err
		}
		<-time.After(20 * time.Millisecond)
	}
}

func (v *server) connect(user string, h *history) *client.Client {
	v.t.Helper()
	token, err := v.token(user)
	if err != nil {
		v.t.Fatal(err)
	}
	h.counts[user] = map[string]int{}
	c, err := client.New(client.Options{Server: "http://" + v.addr, Token: token, DeviceID: user + "-1",
		CallTimeout: time.Minute, Listener: client.Listener{OnSignaling: h.record(user)}})
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

// run makes calls and ends them in random ways until ctx ends. Calls in progress are completed.
func (h *history) run(ctx context.Context, clients map[string]*client.Client, caller, callee string) {
	for n := 0; ctx.Err() == nil; n++ {
		d := &call{id: fmt.Sprintf("%s-%d", caller, n), caller: caller, callee: callee}
		h.mu.Lock()
		h.invitations[d.id] = d
		h.mu.Unlock()
		call := context.Background() // a call that was begun is retried to its end, over every crash
		if _, err := clients[caller].Invite(call,
			protocol.InviteRequest{Invitee: callee,
				InviteOptions: protocol.InviteOptions{InviteID: d.id, Timeout: 2}}); err != nil {
			continue
		}
		how := []string{"accept", "reject", "cancel", ""}[rand.IntN(4)]
		var err error
		by := callee
		switch how {
		case "accept":
			_, err = clients[callee].Accept(call, d.id, "")
		case "reject":
			_, err = clients[callee].Reject(call, d.id, "", "")
		case "cancel":
			by = caller
			_, err = clients[caller].Cancel(call, protocol.CancelRequest{InviteID: d.id})
		}
		h.mu.Lock()
		d.acked = true
		if err == nil && how != "" {
			d.ended, d.endedBy = how, by
		}
		h.mu.Unlock()
	}
}

// settle waits until no invitation is open and each client has all events: the clients of a pair call each other once
// more.
func (h *history) settle(t *testing.T, clients map[string]*client.Client) {
	t.Helper()
	limit := time.Now().Add(time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for open := 1; open > 0; <-tick.C {
		open = 0
		for user, p := range clients {
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
		h.last(t, clients, a, b)
		h.last(t, clients, b, a)
	}
}

// last makes a call and waits for its event: all earlier events of that timeline have arrived then.
func (h *history) last(t *testing.T, clients map[string]*client.Client, from, to string) {
	t.Helper()
	id := "last-" + from
	if _, err := clients[from].Invite(t.Context(),
		protocol.InviteRequest{Invitee: to, InviteOptions: protocol.InviteOptions{InviteID: id}}); err != nil {
		t.Fatal(err)
	}
	limit := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		h.mu.Lock()
		n := h.counts[to][id+" 1"]
		h.mu.Unlock()
		if n > 0 {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("%s did not receive the last call of %s", to, from)
		}
		<-tick.C
	}
}

// check compares the acknowledgements with the stored state and with the events of all clients.
func (h *history) check(t *testing.T, clients map[string]*client.Client) {
	t.Helper()
	acked, answered, timedOut := 0, 0, 0
	outcomes := map[invite.State]string{invite.Accepted: "accept", invite.Rejected: "reject", invite.Cancelled: "cancel",
		invite.TimedOut: "timeout"}
	number := map[string]string{"cancel": "2", "accept": "3", "reject": "4", "timeout": "5"}
	for _, d := range h.invitations {
		res, err := clients[d.caller].GetInvitation(t.Context(), protocol.GetInvitationRequest{InviteID: d.id})
		var e *protocol.Error
		if errors.As(err, &e) && e.Code == im.CodeOver && !d.acked {
			continue // not acknowledged, and not stored
		}
		if err != nil {
			t.Errorf("%s, acknowledged=%v, is not stored: %v", d.id, d.acked, err)
			continue
		}
		acked++
		final := outcomes[res.Invitation.Invitees[0].State]
		if d.ended != "" && final != d.ended {
			t.Errorf("%s: %s by %s was acknowledged, and its state is %s", d.id, d.ended, d.endedBy, final)
		}
		if d.ended == "" {
			timedOut++
		} else {
			answered++
		}
		if n := h.counts[d.callee][d.id+" 1"]; n != 1 {
			t.Errorf("%s received the call %s %d times", d.callee, d.id, n)
		}
		for _, user := range []string{d.caller, d.callee} {
			if user == d.endedBy {
				continue // the acting user has the acknowledgement
			}
			if n := h.counts[user][d.id+" "+number[final]]; n != 1 {
				t.Errorf("%s received %d events that %s ended by %s", user, n, d.id, final)
			}
		}
		for _, other := range number {
			for _, user := range []string{d.caller, d.callee} {
				if n := h.counts[user][d.id+" "+other]; other != number[final] && n != 0 {
					t.Errorf("%s received %d events of another ending (action %s) of %s than %s", user, n, other, d.id, final)
				}
			}
		}
	}
	if answered == 0 || timedOut == 0 {
		t.Errorf("the load was too small: %d answered, %d timed out", answered, timedOut)
	}
	t.Logf("%d kills: %d invitations, %d acknowledged answers and cancels, %d timeouts; nothing lost, nothing twice",
		*kills, acked, answered, timedOut)
}
