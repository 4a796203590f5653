package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

const (
	clusterPairs = 8                     // pairs that call each other continuously
	pace         = 20 * time.Millisecond // between two actions of a user, which bounds the load
	students     = 5                     // members of a group with messages and invitations by a teacher
)

// workload is the clients of a cluster, their actions, and the events that they received.
type workload struct {
	*recorder
	t        *testing.T
	url      string        // of the server
	data     string        // a directory with its keys
	ringTime time.Duration // timeout of calls without an answer

	punctual    bool // no timeout may be late: all nodes and the database are available, but for moments
	clients     map[string]*client.Client
	mu          sync.Mutex
	invitations map[string]*invitation
	messages    map[string]bool // to the group: whether the outcome is known
}

// invitation is an invitation with the outcomes of the calls about it.
type invitation struct {
	id, group string
	caller    string
	invitees  []string
	timeout   time.Duration
	acked     bool
	refused   bool              // the invite, for certain
	ended     map[string]string // the acknowledged action, by invitee: accept, reject, cancel; "?" = unknown
	by        map[string]string // the acting user, by invitee
}

// newWorkload connects all clients to the server at an address. ringTime is the timeout of calls without an answer.
func newWorkload(t *testing.T, url, data string, ringTime time.Duration) *workload {
	w := &workload{recorder: newRecorder(), t: t, url: url, data: data, ringTime: ringTime,
		clients: map[string]*client.Client{}, invitations: map[string]*invitation{}, messages: map[string]bool{}}
	for i := range clusterPairs {
		w.connect(fmt.Sprintf("caller%d", i))
		w.connect(fmt.Sprintf("callee%d", i))
	}
	w.connect("patient")
	w.connect("silent")
	w.connect("teacher")
	var members []string
	for i := range students {
		members = append(members, fmt.Sprintf("student%d", i))
		w.connect(members[i])
	}
	if _, err := w.clients["teacher"].CreateGroup(t.Context(),
		protocol.CreateGroupRequest{GroupID: "class", Type: "Work", MemberList: members}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *workload) connect(user string) {
	w.t.Helper()
	token, err := beckon.MintToken(w.data, "", user, "", 0)
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := client.New(client.Options{Server: w.url, Token: token, DeviceID: user + "-1", CallTimeout: 2 * time.Minute,
		Listener: w.record(user)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(p.Close)
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	if err := p.Connect(ctx); err != nil {
		w.t.Fatal(err)
	}
	w.clients[user] = p
}

// retry repeats a call with the same IDs until its outcome is known. It returns the error, and whether the outcome is
// known.
func (w *workload) retry(user, action, id string, call func(context.Context) error) (refusal error, known bool) {
	a := attempt{User: user, Action: action, ID: id, Begin: w.now()}
	defer func() {
		if refusal != nil {
			a.Error = refusal.Error()
		}
		w.add(a)
	}()
	limit := time.Now().Add(2 * time.Minute)
	for {
		err := call(context.Background())
		var e *protocol.Error
		switch {
		case err == nil:
			return nil, true
		case errors.As(err, &e) && e.Cause == nil && e.Code != im.CodeInternal:
			return err, true
		case time.Now().After(limit):
			return err, false
		}
		<-time.After(100 * time.Millisecond)
	}
}

// run runs the load until ctx ends. Calls in progress are completed.
func (w *workload) run(ctx context.Context) {
	var all sync.WaitGroup
	for i := range clusterPairs {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				w.call(fmt.Sprintf("c%d-%d", i, n), fmt.Sprintf("caller%d", i), fmt.Sprintf("callee%d", i))
				<-time.After(pace)
			}
		})
	}
	for i := range students {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				w.sendMessage(fmt.Sprintf("student%d", i), n)
				<-time.After(pace)
			}
		})
	}
	all.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			w.ring(fmt.Sprintf("long-%d", n))
		}
	})
	all.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			w.askGroup(fmt.Sprintf("hands-%d", n))
			<-time.After(pace)
		}
	})
	all.Wait()
}

func (w *workload) begin(a *invitation) *invitation {
	a.ended, a.by = map[string]string{}, map[string]string{}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.invitations[a.id] = a
	return a
}

// decided records the outcome of an action on an invitee.
func (w *workload) decided(a *invitation, invitee, action, by string, refusal error, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !known:
		a.ended[invitee] = "?"
	case refusal == nil && a.ended[invitee] != "" && a.ended[invitee] != "?":
		w.t.Errorf("%s: both %s by %s and %s by %s were acknowledged", a.id, a.ended[invitee], a.by[invitee], action, by)
	case refusal == nil:
		a.ended[invitee], a.by[invitee] = action, by
	}
}

// call makes one call and ends it in a random way.
func (w *workload) call(id, caller, callee string) {
	a := w.begin(&invitation{id: id, caller: caller, invitees: []string{callee}, timeout: 3 * time.Second})
	if !w.invite(a) {
		return
	}
	accept := func() { w.answer(a, callee, "accept") }
	cancel := func() {
		err, known := w.retry(caller, "cancel", id, func(ctx context.Context) error {
			_, err := w.clients[caller].Cancel(ctx, protocol.CancelRequest{InviteID: id, RequestID: "c-" + id})
			return err
		})
		w.decided(a, callee, "cancel", caller, err, known)
	}
	switch rand.IntN(5) {
	case 0:
		accept()
	case 1:
		w.answer(a, callee, "reject")
	case 2:
		cancel()
	case 3: // both at once: one of them wins
		var both sync.WaitGroup
		both.Go(accept)
		both.Go(cancel)
		both.Wait()
	}
}

// invite makes a call, and reports whether it was acknowledged.
func (w *workload) invite(a *invitation) bool {
	callee := a.invitees[0]
	req := protocol.InviteRequest{Invitee: callee, InviteOptions: protocol.InviteOptions{InviteID: a.id,
		RequestID: "r-" + a.id, Timeout: int64(a.timeout / time.Second)}}
	err, known := w.retry(a.caller, "invite", a.id,
		func(ctx context.Context) error { _, err := w.clients[a.caller].Invite(ctx, req); return err })
	if err != nil && !known {
		w.decided(a, callee, "", "", err, false)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	a.refused, a.acked = err != nil && known, err == nil
	return err == nil
}

// ring makes a call that is not answered, and waits for its end.
func (w *workload) ring(id string) {
	a := w.begin(&invitation{id: id, caller: "patient", invitees: []string{"silent"}, timeout: w.ringTime})
	if w.invite(a) && !w.waitFor("patient", "timeout", id, w.ringTime+time.Minute) {
		w.t.Errorf("%s does not end", id)
	}
}

func (w *workload) answer(a *invitation, user, action string) {
	err, known := w.retry(user, action, a.id, func(ctx context.Context) error {
		req := protocol.AnswerRequest{InviteID: a.id, RequestID: action + a.id}
		return w.clients[user].Call(ctx, action, req, &protocol.ActionResponse{})
	})
	w.decided(a, user, action, user, err, known)
}

// askGroup invites all students; some accept, some reject, some do not answer.
func (w *workload) askGroup(id string) {
	a := &invitation{id: id, group: "class", caller: "teacher", timeout: 2 * time.Second}
	for i := range students {
		a.invitees = append(a.invitees, fmt.Sprintf("student%d", i))
	}
	w.begin(a)
	req := protocol.InviteInGroupRequest{GroupID: "class", Everyone: true,
		InviteOptions: protocol.InviteOptions{InviteID: id, RequestID: "r-" + id, Timeout: 2}}
	if err, known := w.retry("teacher", "invite", id,
		func(ctx context.Context) error { _, err := w.clients["teacher"].InviteInGroup(ctx, req); return err }); err != nil {
		w.mu.Lock()
		a.refused = known
		w.mu.Unlock()
		for _, u := range a.invitees {
			if !known {
				w.decided(a, u, "", "", err, false)
			}
		}
		return
	}
	w.mu.Lock()
	a.acked = true
	w.mu.Unlock()
	var all sync.WaitGroup
	for _, u := range a.invitees {
		switch rand.IntN(3) {
		case 0:
			all.Go(func() { w.answer(a, u, "accept") })
		case 1:
			all.Go(func() { w.answer(a, u, "reject") })
		}
	}
	all.Wait()
}

// sendMessage sends a message to the group.
func (w *workload) sendMessage(user string, n int) {
	id := fmt.Sprintf("%s-%d", user, n)
	req := protocol.SendMessageRequest{GroupID: "class", MessageID: id, RequestID: id, Body: protocol.Body{Text: id}}
	err, known := w.retry(user, "message", id,
		func(ctx context.Context) error { _, err := w.clients[user].SendMessage(ctx, req); return err })
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil || !known {
		w.messages[id] = known
	} else {
		w.t.Errorf("%s could not send %s: %v", user, id, err)
	}
}
