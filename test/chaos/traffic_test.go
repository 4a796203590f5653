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
	clusterPairs = 8                     // people who call each other all the time
	pace         = 20 * time.Millisecond // between what one does and does next, so that the load has a bound
	classmates   = 5                     // people of a group who talk, and are asked by their teacher
)

// crowd is the people of a house, and all that they do and hear.
type crowd struct {
	*chronicle
	t    *testing.T
	url  string        // of the server
	data string        // a directory with its keys
	long time.Duration // for which a call rings that nobody answers

	punctual bool // no timeout may be late: every node and the database are there, but for moments
	people   map[string]*client.Client
	mu       sync.Mutex
	deeds    map[string]*act
	said     map[string]bool // messages to the group: whether it is known that they were sent
}

// act is an invitation as those know it who act on it.
type act struct {
	id, group string
	caller    string
	invitees  []string
	timeout   time.Duration
	acked     bool
	refused   bool              // the invite, and it is known
	ended     map[string]string // what was acknowledged, by invitee: accept, reject, cancel; "?" = it is not known
	by        map[string]string // who did it
}

// newCrowd connects everybody to the server at an address. long is the time for which a call rings that nobody answers.
func newCrowd(t *testing.T, url, data string, long time.Duration) *crowd {
	w := &crowd{chronicle: newChronicle(), t: t, url: url, data: data, long: long, people: map[string]*client.Client{},
		deeds: map[string]*act{}, said: map[string]bool{}}
	for i := range clusterPairs {
		w.connect(fmt.Sprintf("caller%d", i))
		w.connect(fmt.Sprintf("callee%d", i))
	}
	w.connect("patient")
	w.connect("silent")
	w.connect("teacher")
	var members []string
	for i := range classmates {
		members = append(members, fmt.Sprintf("student%d", i))
		w.connect(members[i])
	}
	if _, err := w.people["teacher"].CreateGroup(t.Context(),
		protocol.CreateGroupRequest{GroupID: "class", Type: "Work", MemberList: members}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *crowd) connect(user string) {
	w.t.Helper()
	token, err := beckon.MintToken(w.data, "", user, "", 0)
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := client.New(client.Options{Server: w.url, Token: token, DeviceID: user + "-1", CallTimeout: 2 * time.Minute,
		Listener: w.listener(user)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(p.Close)
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	if err := p.Connect(ctx); err != nil {
		w.t.Fatal(err)
	}
	w.people[user] = p
}

// sure does a call until its outcome is known, as a careful program would: a refusal that leaves it open is asked
// again, with the same names. It returns how it was refused, and whether that is known.
func (w *crowd) sure(who, what, id string, call func(context.Context) error) (refusal error, known bool) {
	a := attempt{Who: who, What: what, ID: id, Begin: w.now()}
	defer func() {
		if refusal != nil {
			a.Told = refusal.Error()
		}
		w.did(a)
	}()
	limit := time.Now().Add(2 * time.Minute)
	for {
		err := call(context.Background())
		var e *protocol.Error
		switch {
		case err == nil:
			return nil, true
		case errors.As(err, &e) && e.Code != im.CodeInternal:
			return err, true
		case time.Now().After(limit):
			return err, false
		}
		<-time.After(100 * time.Millisecond)
	}
}

// live does everything until ctx ends; what is under way then is finished.
func (w *crowd) live(ctx context.Context) {
	var all sync.WaitGroup
	for i := range clusterPairs {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				w.call(fmt.Sprintf("c%d-%d", i, n), fmt.Sprintf("caller%d", i), fmt.Sprintf("callee%d", i))
				<-time.After(pace)
			}
		})
	}
	for i := range classmates {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				w.say(fmt.Sprintf("student%d", i), n)
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
			w.ask(fmt.Sprintf("hands-%d", n))
			<-time.After(pace)
		}
	})
	all.Wait()
}

func (w *crowd) begin(a *act) *act {
	a.ended, a.by = map[string]string{}, map[string]string{}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deeds[a.id] = a
	return a
}

// decided notes what was acknowledged to somebody about an invitee.
func (w *crowd) decided(a *act, invitee, what, by string, refusal error, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !known:
		a.ended[invitee] = "?"
	case refusal == nil && a.ended[invitee] != "" && a.ended[invitee] != "?":
		w.t.Errorf("%s: both %s by %s and %s by %s were acknowledged", a.id, a.ended[invitee], a.by[invitee], what, by)
	case refusal == nil:
		a.ended[invitee], a.by[invitee] = what, by
	}
}

// call makes one call and ends it in one of many ways.
func (w *crowd) call(id, caller, callee string) {
	a := w.begin(&act{id: id, caller: caller, invitees: []string{callee}, timeout: 3 * time.Second})
	if !w.invite(a) {
		return
	}
	accept := func() { w.answer(a, callee, "accept") }
	cancel := func() {
		err, known := w.sure(caller, "cancel", id, func(ctx context.Context) error {
			_, err := w.people[caller].Cancel(ctx, protocol.CancelRequest{InviteID: id, RequestID: "c-" + id})
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
func (w *crowd) invite(a *act) bool {
	callee := a.invitees[0]
	req := protocol.InviteRequest{Invitee: callee, InviteOptions: protocol.InviteOptions{InviteID: a.id,
		RequestID: "r-" + a.id, Timeout: int64(a.timeout / time.Second)}}
	err, known := w.sure(a.caller, "invite", a.id,
		func(ctx context.Context) error { _, err := w.people[a.caller].Invite(ctx, req); return err })
	if err != nil && !known {
		w.decided(a, callee, "", "", err, false)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	a.refused, a.acked = err != nil && known, err == nil
	return err == nil
}

// ring makes a call that nobody answers, and waits for its end.
func (w *crowd) ring(id string) {
	a := w.begin(&act{id: id, caller: "patient", invitees: []string{"silent"}, timeout: w.long})
	if w.invite(a) && !w.until("patient", "timeout", id, w.long+time.Minute) {
		w.t.Errorf("%s does not end", id)
	}
}

func (w *crowd) answer(a *act, who, what string) {
	err, known := w.sure(who, what, a.id, func(ctx context.Context) error {
		req := protocol.AnswerRequest{InviteID: a.id, RequestID: what + a.id}
		return w.people[who].Call(ctx, what, req, &protocol.ActionResponse{})
	})
	w.decided(a, who, what, who, err, known)
}

// ask makes the teacher ask everybody; some raise a hand, some refuse, some do nothing.
func (w *crowd) ask(id string) {
	a := &act{id: id, group: "class", caller: "teacher", timeout: 2 * time.Second}
	for i := range classmates {
		a.invitees = append(a.invitees, fmt.Sprintf("student%d", i))
	}
	w.begin(a)
	req := protocol.InviteInGroupRequest{GroupID: "class", Everyone: true,
		InviteOptions: protocol.InviteOptions{InviteID: id, RequestID: "r-" + id, Timeout: 2}}
	if err, known := w.sure("teacher", "invite", id,
		func(ctx context.Context) error { _, err := w.people["teacher"].InviteInGroup(ctx, req); return err }); err != nil {
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

// say says something to the group.
func (w *crowd) say(who string, n int) {
	id := fmt.Sprintf("%s-%d", who, n)
	req := protocol.SendMessageRequest{GroupID: "class", MessageID: id, RequestID: id, Body: protocol.Body{Text: id}}
	err, known := w.sure(who, "message", id,
		func(ctx context.Context) error { _, err := w.people[who].SendMessage(ctx, req); return err })
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil || !known {
		w.said[id] = known
	} else {
		w.t.Errorf("%s could not say %s: %v", who, id, err)
	}
}
