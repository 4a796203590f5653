package schedules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/test/cluster"
)

// device is one device of a user. Its program may be killed and started again. mu guards the fields below it.
type device struct {
	user, id string
	others   []string // users; messages go to the first
	renews   bool     // tokens come from OnTokenExpired and Renew, else from GetToken
	token    func() (string, error)
	link     *cluster.Link
	store    store
	pending  sync.WaitGroup // calls
	busy     atomic.Bool    // without a network, or being started

	mu       sync.Mutex
	client   *client.Client
	run      int                          // of the program
	known    map[string]bool              // the invitations that were open when the running program learned of them
	outcomes map[string]map[string]string // of invitees, by invitation, from all runs of the program
	ringing  string                       // the last new invitation
	calling  string                       // the last own invitation
	raised   [][]string                   // messages of each run
	sent     map[string]bool
	stored   []string          // acknowledged messages
	refused  map[string]string // refused messages, with the error
	faults   []string
	log      []string
	lossless bool // the storage never failed
}

// store is a storage in memory that can fail.
type store struct {
	mu    sync.Mutex
	text  []byte
	fails bool
}

var errStorage = errors.New("the storage fails")

func (s *store) Load() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text, nil
}

func (s *store) Save(text []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails {
		return errStorage
	}
	s.text = text
	return nil
}

func (s *store) fail(fails bool) (before bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, s.fails = s.fails, fails
	return before
}

func newDevice(t *testing.T, addr, user, id string, others []string, renews bool,
	token func() (string, error)) *device {
	t.Helper()
	link, err := cluster.NewLink(addr, false)
	if err != nil {
		t.Fatal(err)
	}
	return &device{user: user, id: id, others: others, renews: renews, token: token, link: link, lossless: true,
		sent: map[string]bool{}, refused: map[string]string{}, outcomes: map[string]map[string]string{}}
}

func (d *device) String() string { return d.user + " " + d.id }

func (d *device) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, time.Now().Format("05.000 ")+d.String()+" "+fmt.Sprintf(format, args...))
}

// start starts the program, without waiting for its connection.
func (d *device) start() error {
	d.mu.Lock()
	d.run++
	run := d.run
	d.known, d.ringing, d.calling = map[string]bool{}, "", ""
	d.raised = append(d.raised, nil)
	d.mu.Unlock()
	opt := client.Options{Server: "http://" + d.link.Addr(), DeviceID: d.id, Store: &d.store, Listener: d.listener(run)}
	token, err := d.token()
	if err != nil {
		return err
	}
	if opt.Token = token; !d.renews {
		opt.GetToken = func(context.Context) (string, error) { return d.token() }
	}
	c, err := client.New(opt)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.client = c
	d.mu.Unlock()
	d.pending.Go(func() {
		if err := c.Connect(context.Background()); err != nil {
			d.note("connect: %v", err)
		}
	})
	return nil
}

// kill ends the program; unsaved state is lost.
func (d *device) kill(away time.Duration) error {
	failed := d.store.fail(true)
	d.link.Cut()
	d.current().Close()
	<-time.After(away)
	d.store.fail(failed)
	d.link.Heal()
	return d.start()
}

func (d *device) current() *client.Client {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.client
}

// listener follows the events of one run of the program.
func (d *device) listener(run int) client.Listener {
	answered := func(state string) func(client.InvitationEvent) {
		return func(e client.InvitationEvent) { d.ended(run, e.InviteID, state, e.Invitee) }
	}
	closed := func(state string) func(client.InvitationEvent) {
		return func(e client.InvitationEvent) { d.ended(run, e.InviteID, state, e.InviteeList...) }
	}
	states := map[string]string{"accept": "accepted", "reject": "rejected"}
	return client.Listener{
		OnConnected: func(w protocol.Welcome) {
			d.note("connected")
			for i := range w.Invitations {
				d.learn(run, w.Invitations[i].InviteID)
			}
			for _, v := range append(w.Invitations, w.Ended...) {
				for _, p := range v.Invitees {
					if p.State != invite.Open {
						d.ended(run, v.InviteID, stateOf(p), p.UserID)
					}
				}
			}
		},
		OnDisconnected: func(_ int, reason string) { d.note("disconnected: %s", reason) },
		OnReceiveNewInvitation: func(e client.InvitationEvent) {
			d.learn(run, e.InviteID)
			d.mu.Lock()
			defer d.mu.Unlock()
			d.ringing = e.InviteID
		},
		OnInviteeAccepted: answered("accepted"), OnInviteeRejected: answered("rejected"),
		OnInvitationCancelled: closed("cancelled"), OnInvitationTimeout: closed("timedOut"),
		OnInvitationHandledByOtherDevice: func(e client.InvitationEvent) {
			if e.Action == "cancel" {
				d.ended(run, e.InviteID, "cancelled", e.InviteeList...)
			} else {
				d.ended(run, e.InviteID, states[e.Action], d.user)
			}
		},
		OnSignaling: func(m protocol.Signaling) { // while this user is open, no callback has the ends of others
			states := map[protocol.ActionType]string{protocol.ActionCancel: "cancelled", protocol.ActionTimeout: "timedOut"}
			others := slices.DeleteFunc(slices.Clone(m.InviteeList), func(u string) bool { return u == d.user })
			if state := states[m.ActionType]; state != "" {
				d.ended(run, m.InviteID, state, others...)
			}
		},
		OnReceiveMessage: func(_ string, _ uint64, m protocol.Message) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.raised[run-1] = append(d.raised[run-1], m.MessageID)
		},
		OnTokenExpired: func(int, string) {
			if c := d.current(); d.renews {
				d.pending.Go(func() { d.renew(c) })
			}
		},
	}
}

func (d *device) renew(c *client.Client) {
	token, err := d.token()
	if err == nil {
		err = c.Renew(context.Background(), token)
	}
	if err != nil {
		d.note("renew: %v", err)
	}
}

// learn keeps an open invitation of the running program.
func (d *device) learn(run int, id string) {
	d.note("%s", id)
	d.mu.Lock()
	defer d.mu.Unlock()
	if run == d.run {
		d.known[id] = true
	}
}

// ended keeps the outcome of an invitation for invitees.
func (d *device) ended(run int, id, state string, invitees ...string) {
	d.note("%s %s %v", id, state, invitees)
	d.mu.Lock()
	defer d.mu.Unlock()
	if run != d.run {
		return
	}
	if d.outcomes[id] == nil {
		d.outcomes[id] = map[string]string{}
	}
	for _, u := range invitees {
		if before := d.outcomes[id][u]; before != "" && before != state {
			d.faults = append(d.faults, fmt.Sprintf("%s: %s %s, then %s", id, u, before, state))
		}
		d.outcomes[id][u] = state
	}
}

func stateOf(p protocol.Invitee) string {
	text, _ := json.Marshal(p.State)
	return strings.Trim(string(text), `"`)
}

// act makes a call that may end after the schedule.
func (d *device) act(name string) {
	d.mu.Lock()
	c, run, ringing, calling := d.client, d.run, d.ringing, d.calling
	d.mu.Unlock()
	d.note("%s", name)
	ctx := context.Background()
	d.pending.Go(func() {
		var err error
		switch {
		case name == "send":
			err = d.send(c)
		case name == "invite" || name == "invite both":
			id := client.NewID()
			d.mu.Lock()
			d.calling = id
			d.mu.Unlock()
			var res protocol.InviteResponse
			req := protocol.InviteRequest{Invitee: d.others[0], MergeGlare: true}
			if name != "invite" {
				req = protocol.InviteRequest{InviteeList: d.others}
			}
			req.InviteOptions = protocol.InviteOptions{InviteID: id, Timeout: 3}
			res, err = c.Invite(ctx, req)
			switch {
			case err == nil && res.Merged:
				d.ended(run, res.InviteID, "accepted", d.user)
			case err == nil:
				d.learn(run, id)
			}
		case name == "accept" && ringing != "":
			if _, err = c.Accept(ctx, ringing, ""); err == nil {
				d.ended(run, ringing, "accepted", d.user)
			}
		case name == "reject" && ringing != "":
			if _, err = c.Reject(ctx, ringing, "", ""); err == nil {
				d.ended(run, ringing, "rejected", d.user)
			}
		case name == "cancel" && calling != "":
			var res protocol.ActionResponse
			if res, err = c.Cancel(ctx, protocol.CancelRequest{InviteID: calling}); err == nil {
				d.ended(run, calling, "cancelled", res.InviteeList...)
			}
			if res.Repeat { // the response lacks the users that the first call cancelled
				d.mu.Lock()
				delete(d.known, calling)
				d.mu.Unlock()
			}
		}
		if err != nil {
			d.note("%s: %v", name, err)
		}
	})
}

// send sends a message. Only a refusal of the server means that it is not stored: a call that ended with an expired
// token may have taken effect.
func (d *device) send(c *client.Client) error {
	id := client.NewID()
	d.mu.Lock()
	d.sent[id] = true
	d.mu.Unlock()
	req := protocol.SendMessageRequest{UserID: d.others[0], MessageID: id}
	req.Text = id
	_, err := c.SendMessage(context.Background(), req)
	d.mu.Lock()
	defer d.mu.Unlock()
	if refusal := (*protocol.Error)(nil); errors.As(err, &refusal) && refusal.Cause == nil {
		d.refused[id] = refusal.Message
	} else if err == nil {
		d.stored = append(d.stored, id)
	}
	return err
}

// away takes the network away, with or without an error for the device.
func (d *device) away(length time.Duration, silent bool) {
	if silent {
		d.link.Freeze()
	} else {
		d.link.Cut()
	}
	<-time.After(length)
	d.link.Heal()
}

func (d *device) stop() {
	d.current().Close()
	d.pending.Wait()
	d.link.Close()
}
