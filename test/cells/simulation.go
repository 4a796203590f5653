package cells

import (
	"container/heap"
	"fmt"
	"math/rand/v2"

	"github.com/beckon-im/beckon/invite"
)

const (
	actUntil = 20_000 // milliseconds: the last new action
	healedAt = 30_000 // from now on no link loses messages, and no cell is down
	endsAt   = 60_000
	resend   = 1000 // interval of unacknowledged entries and of repeated actions
)

type kind int

const (
	doInvite kind = iota
	doCancel
	doAccept
	doReject
)

// action is an action of a user's device, repeated until it has a response.
type action struct {
	kind     kind
	inviteID string
	user     string
	device   string
	timeout  int64    // seconds, of an invite
	invitees []string // of an invite
	result   outcome
}

func (a *action) actor() invite.Actor {
	return invite.Actor{User: a.user, Device: a.device, RequestID: fmt.Sprint(a.kind, a.device)}
}

// simulation is one run.
type simulation struct {
	rng     *rand.Rand
	fault   fault
	now     int64 // milliseconds
	events  queue
	cells   []*cell
	users   []string
	home    map[string]int // cell of each user
	owner   map[string]int // cell of each invitation
	actions []*action
	waiting map[[2]int]bool // a resend is scheduled
	cut     [2]int64        // links lose everything in between
}

// event is a step of a run. Steps at the same time are in the order of their creation.
type event struct {
	at, n int64
	run   func()
}

type queue struct {
	list []event
	n    int64
}

func (q *queue) Len() int { return len(q.list) }
func (q *queue) Less(i, j int) bool {
	return q.list[i].at < q.list[j].at || q.list[i].at == q.list[j].at && q.list[i].n < q.list[j].n
}
func (q *queue) Swap(i, j int) { q.list[i], q.list[j] = q.list[j], q.list[i] }
func (q *queue) Push(x any)    { q.list = append(q.list, x.(event)) }
func (q *queue) Pop() any {
	last := q.list[len(q.list)-1]
	q.list = q.list[:len(q.list)-1]
	return last
}

// at runs f after some milliseconds.
func (w *simulation) at(in int64, f func()) {
	w.events.n++
	heap.Push(&w.events, event{w.now + in, w.events.n, f})
}

// transmit calls f in the other cell, never, once or twice, after a delay, unless that cell is down then.
func (w *simulation) transmit(from, to *cell, f func()) {
	times := 1
	if w.now < healedAt {
		switch n := w.rng.IntN(10); {
		case n < 3 || w.now >= w.cut[0] && w.now < w.cut[1]:
			times = 0
		case n == 3:
			times = 2
		}
	}
	if from == to {
		times = 1
	}
	for range times {
		w.at(1+w.rng.Int64N(400), func() {
			if !to.down {
				f()
			}
		})
	}
}

// flush sends what another cell has not acknowledged, and repeats that until it has.
func (w *simulation) flush(c *cell, to int) {
	if list := c.outbox[to]; len(list) > 0 && !c.down {
		other, batch := w.cells[to], append([]entry(nil), list...)
		if w.fault == unordered {
			batch = batch[len(batch)-1:]
		}
		w.transmit(c, other, func() {
			seq := other.receive(w, c.id, batch)
			w.transmit(other, c, func() { c.acknowledged(to, seq) })
		})
	}
	if k := [2]int{c.id, to}; !w.waiting[k] {
		w.waiting[k] = true
		w.at(resend, func() {
			w.waiting[k] = false
			if len(c.outbox[to]) > 0 {
				w.flush(c, to)
			}
		})
	}
}

// expire decides the timeouts of an invitation, in its owner's cell.
func (w *simulation) expire(c *cell, id string) {
	s := c.invitations[id]
	if c.down {
		w.at(resend, func() { w.expire(c, id) })
		return
	}
	var open []*invite.Invitee
	for _, user := range w.users {
		if p, ok := s.invitees[user]; ok && p.State == invite.Open {
			open = append(open, &p)
		}
	}
	change := invite.Expire(s.invitation, open, w.now+c.skew)
	if s.invitation = change.Invitation; len(change.Invitees) > 0 {
		c.commit(w, s, change.Invitees)
	}
	if !s.invitation.Over() {
		w.at(max(s.invitation.Due-w.now-c.skew, 1), func() { w.expire(c, id) })
	}
}

// do sends an action to the cell of its user, which forwards it to the owner's, until there is a response.
func (w *simulation) do(a *action) {
	if a.result != unavailable {
		return
	}
	home, owner := w.cells[w.home[a.user]], w.cells[w.owner[a.inviteID]]
	if !home.down {
		if w.fault == localVote && home != owner && (a.kind == doAccept || a.kind == doReject) {
			a.result = won
		}
		w.transmit(home, owner, func() {
			result := owner.act(w, a)
			w.transmit(owner, home, func() {
				if a.result == unavailable {
					a.result = result
				}
			})
		})
	}
	w.at(resend, func() { w.do(a) })
}

// newSimulation creates cells, users, and the schedule of actions and crashes.
func newSimulation(seed uint64, f fault) *simulation {
	w := &simulation{rng: rand.New(rand.NewPCG(seed, uint64(f))), fault: f, home: map[string]int{},
		owner: map[string]int{}, waiting: map[[2]int]bool{}}
	for i := range 2 + w.rng.IntN(3) {
		w.cells = append(w.cells, newCell(i, w.rng.Int64N(1_200_000)-600_000))
	}
	for i := range 3 + w.rng.IntN(4) {
		user := fmt.Sprint("u", i)
		w.users = append(w.users, user)
		w.home[user] = w.rng.IntN(len(w.cells))
	}
	w.cut[0] = w.rng.Int64N(healedAt)
	w.cut[1] = w.cut[0] + w.rng.Int64N(8000)
	for range w.rng.IntN(4) {
		c := w.cells[w.rng.IntN(len(w.cells))]
		w.at(w.rng.Int64N(healedAt-10_000), func() {
			c.down = true
			w.at(w.rng.Int64N(10_000), func() { c.down = false })
		})
	}
	for i := range 1 + w.rng.IntN(4) {
		w.invite(fmt.Sprint("i", i))
	}
	return w
}

// invite schedules an invitation with its answers.
func (w *simulation) invite(id string) {
	order := w.rng.Perm(len(w.users))
	inviter := w.users[order[0]]
	a := &action{kind: doInvite, inviteID: id, user: inviter, device: inviter + "/1", timeout: 2 + w.rng.Int64N(12)}
	for _, n := range order[1 : 2+w.rng.IntN(len(order)-1)] {
		a.invitees = append(a.invitees, w.users[n])
	}
	w.owner[id] = w.home[inviter]
	begin := w.rng.Int64N(actUntil / 2)
	w.schedule(begin, a)
	if w.rng.IntN(3) == 0 {
		w.schedule(begin+w.rng.Int64N(actUntil/2), &action{kind: doCancel, inviteID: id, user: inviter, device: a.device})
	}
	for _, user := range a.invitees {
		for device := range w.rng.IntN(3) { // devices that answer
			w.schedule(begin+w.rng.Int64N(actUntil/2), &action{kind: doAccept + kind(w.rng.IntN(2)), inviteID: id,
				user: user, device: fmt.Sprint(user, "/", device)})
		}
	}
}

func (w *simulation) schedule(at int64, a *action) {
	w.actions = append(w.actions, a)
	w.at(at, func() { w.do(a) })
}

// run plays the schedule to its end.
func (w *simulation) run() {
	for w.events.Len() > 0 {
		e := heap.Pop(&w.events).(event)
		if w.now = e.at; w.now > endsAt {
			return
		}
		e.run()
	}
}
