// Package linear checks, from the clients' side, that the four answers to one invitation have one winner.
//
// Accept, reject, cancel and timeout race for each invitation from several devices. What every client saw is a history;
// porcupine decides whether one order of events explains it.
package linear

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

var (
	races = flag.Int("linear.races", 10_000, "how many invitations race")
	nodes = flag.Int("linear.nodes", 1, "on how many nodes")
)

func TestMain(m *testing.M) { beckontest.VerifyNoLeaks(m) }

// input is one client's attempt.
type input struct {
	action string // accept, reject, cancel, look
	device string
}

// output is what it was answered: whether it took effect, and else who had won.
type output struct {
	won    bool
	winner string // action that decided, "" = still open
	device string // of the winner, when it is told
}

// state of the one invitee: which action decided, by which device.
type state struct{ action, device string }

// model is the specification: an open invitee is decided once; afterwards everybody is told the same. A timeout may
// happen between any two steps, because the server's clock does it.
func model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{}} },
		Step: func(s, in, out any) []any { return step(s.(state), in.(input), out.(output)) },
	}
	return m.ToModel()
}

func step(s state, in input, out output) []any {
	var next []any
	for _, now := range []state{s, {action: "timeout"}} {
		if now.action == "timeout" && s.action != "" && s.action != "timeout" {
			continue // what was decided does not time out
		}
		switch {
		case in.action == "look":
			if out.winner == now.action {
				next = append(next, now)
			}
		case now.action == "" && out.won:
			next = append(next, state(in))
		case now.action != "" && !out.won && out.winner == now.action && (out.device == "" || out.device == now.device):
			next = append(next, now)
		}
	}
	return next
}

// racer is one device that takes part in every race.
type racer struct {
	action, device string
	do             func(ctx context.Context, id string) error
}

// TestTheModelCanFail shows the checker histories that must not be: two winners, and two who were told different
// things.
func TestTheModelCanFail(t *testing.T) {
	at := func(client int, in input, out output) porcupine.Operation {
		return porcupine.Operation{ClientId: client, Input: in, Output: out, Call: 0, Return: 10}
	}
	for name, ops := range map[string][]porcupine.Operation{
		"two winners": {at(0, input{"accept", "b1"}, output{won: true}), at(1, input{"cancel", "a1"}, output{won: true})},
		"two truths": {at(0, input{"accept", "b1"}, output{won: true}),
			at(1, input{"cancel", "a1"}, output{winner: "reject"})},
		"another device": {at(0, input{"accept", "b1"}, output{won: true}),
			at(1, input{"reject", "b2"}, output{winner: "accept", device: "b2"})},
	} {
		if porcupine.CheckOperations(model(), ops) {
			t.Errorf("the checker takes a history with %s", name)
		}
	}
}

func TestOneWinner(t *testing.T) {
	h := beckontest.StartNodes(t, *nodes, beckon.Config{UserRate: 1e6, UserBurst: 1_000_000})
	const lanes = 16 // pairs that race at the same time
	var wg sync.WaitGroup
	for lane := range lanes {
		wg.Go(func() { race(t, h, lane, *races/lanes+1) })
	}
	wg.Wait()
	t.Logf("%d invitations raced, four attempts and a look each; every history has one winner", lanes*(*races/lanes+1))
}

// race runs the races of one pair, one after another, and checks each.
func race(t *testing.T, h *beckontest.Cluster, lane, n int) {
	caller, callee := fmt.Sprintf("caller%d", lane), fmt.Sprintf("callee%d", lane)
	heard := newEar()
	alice := h.Device(caller, "a1", client.Listener{OnSignaling: heard.hear})
	phone, tablet := h.Device(callee, "b1", client.Listener{}), h.Device(callee, "b2", client.Listener{})
	racers := []racer{
		{"accept", "b1", func(ctx context.Context, id string) error { return second(phone.Accept(ctx, id, "")) }},
		{"accept", "b2", func(ctx context.Context, id string) error { return second(tablet.Accept(ctx, id, "")) }},
		{"reject", "b2", func(ctx context.Context, id string) error { return second(tablet.Reject(ctx, id, "", "")) }},
		{"cancel", "a1", func(ctx context.Context, id string) error {
			return second(alice.Cancel(ctx, protocol.CancelRequest{InviteID: id}))
		}},
	}
	for i := range n {
		id := fmt.Sprintf("l%d-%d", lane, i)
		req := protocol.InviteRequest{Invitee: callee, InviteOptions: protocol.InviteOptions{InviteID: id, Timeout: 60}}
		mortal := i%100 == 0 // some races are against the clock as well
		if mortal {
			req.Timeout = 1
		}
		res, err := alice.Invite(t.Context(), req)
		if err != nil {
			t.Errorf("%s: %v", id, err)
			return
		}
		if mortal {
			wait := time.NewTimer(time.Until(time.UnixMilli(res.Invitation.Deadline)) - time.Millisecond)
			<-wait.C // the race begins as the deadline passes
		}
		ops := run(t, racers, id)
		ops = append(ops, look(t, alice, id, len(racers)))
		if !porcupine.CheckOperations(model(), ops) {
			t.Errorf("%s: no order of events explains what the clients saw:\n%s", id, describe(ops))
			return
		}
		heard.check(t, id, ops)
	}
}

func second[A any](_ A, err error) error { return err }

func run(t *testing.T, racers []racer, id string) []porcupine.Operation {
	ops := make([]porcupine.Operation, len(racers))
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i, r := range racers {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			begun := time.Now().UnixNano()
			err := r.do(context.Background(), id)
			ops[i] = porcupine.Operation{ClientId: i, Input: input{r.action, r.device}, Call: begun, Output: judge(t, err),
				Return: time.Now().UnixNano()}
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	return ops
}

func judge(t *testing.T, err error) output {
	if err == nil {
		return output{won: true}
	}
	var e *protocol.Error
	if !errors.As(err, &e) || e.Code != im.CodeOver || e.Won == nil {
		t.Errorf("a loser was told %v", err)
		return output{}
	}
	return output{winner: e.Won.Action, device: e.Won.Device}
}

// look reads the outcome once all have been answered.
func look(t *testing.T, c *client.Client, id string, n int) porcupine.Operation {
	begun := time.Now().UnixNano()
	res, err := c.GetInvitation(t.Context(), protocol.GetInvitationRequest{InviteID: id})
	out := output{}
	if err != nil {
		t.Errorf("%s: %v", id, err)
	} else {
		word := map[string]string{"accepted": "accept", "rejected": "reject", "cancelled": "cancel", "timedOut": "timeout"}
		out.winner = word[res.Invitation.Invitees[0].State.String()]
	}
	return porcupine.Operation{ClientId: n, Input: input{action: "look"}, Call: begun, Output: out,
		Return: time.Now().UnixNano()}
}

func describe(ops []porcupine.Operation) (s string) {
	for _, o := range ops {
		s += fmt.Sprintf("  %+v → %+v  [%d, %d]\n", o.Input, o.Output, o.Call, o.Return)
	}
	return s
}

// ear remembers the endings that the inviter heard.
type ear struct {
	mu   sync.Mutex
	ends map[string][]string
}

func newEar() *ear { return &ear{ends: map[string][]string{}} }

func (e *ear) hear(m protocol.Signaling) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case len(m.Answers) > 0 && m.Answers[0].ActionType == protocol.ActionAccept:
		e.ends[m.InviteID] = append(e.ends[m.InviteID], "accept")
	case len(m.Answers) > 0:
		e.ends[m.InviteID] = append(e.ends[m.InviteID], "reject")
	case m.ActionType == protocol.ActionTimeout:
		e.ends[m.InviteID] = append(e.ends[m.InviteID], "timeout")
	}
}

// check compares what was heard so far with the outcome: never more than one ending, and never another one.
func (e *ear) check(t *testing.T, id string, ops []porcupine.Operation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	final := ops[len(ops)-1].Output.(output).winner
	for _, end := range e.ends[id] {
		if end != final {
			t.Errorf("%s ended with %s, and the inviter heard of %v", id, final, e.ends[id])
		}
	}
	if len(e.ends[id]) > 1 {
		t.Errorf("%s: the inviter heard %d endings: %v", id, len(e.ends[id]), e.ends[id])
	}
}
