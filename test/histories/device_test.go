package histories

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"
)

// outcome is what became of one invitee.
type outcome struct {
	user  string
	state string // accepted, rejected, cancelled, timedOut
}

// The kinds of records in the log of a device.
const (
	kindWelcome  = "welcome"  // a connect reply; fresh: without positions
	kindEvent    = "event"    // an event
	kindRequest  = "request"  // a call was sent
	kindResponse = "response" // a call was answered
	kindFound    = "found"    // how an invitation stands, as asked for after a reconnect, or in what has ended
	kindReload   = "reload"   // too much was missed of some timelines
)

// record is one line of the log of a device.
type record struct {
	kind     string
	link     int // the connection
	fresh    bool
	time     int64 // welcome: the server's time
	at       int64 // when it was received, in ms of this machine
	asked    int64 // welcome: when the connect command was sent
	more     bool
	open     []view // welcome: the snapshot
	channel  string
	offset   uint64
	id       string
	version  int64
	action   int
	method   string
	call     int64 // of a request and its response
	repeat   bool
	over     bool
	online   bool
	notice   bool
	everyone bool
	list     []string
	ended    []outcome
}

// device is one device of one user, over all of its connections and restarts.
type device struct {
	user, name, token string
	addr              func() string

	mu        sync.Mutex
	log       []record
	negative  []string // frames with time that remains and is less than none
	link      *link    // nil while there is none
	active    *link    // the link of the running program: what another brings is not received
	links     int
	up        chan struct{} // closed while connected
	seen      map[string]uint64
	epoch     string
	subs      map[string]recoverFrom
	held      map[string]bool // invitations that are open for what this device knows; true: online-only
	doubt     []string        // online-only invitations that could not be asked for
	asked     int64           // when the connect command of this connection was sent
	restarted bool            // the next connection is of a program that was started again
}

func newDevice(user, name, token string, addr func() string) *device {
	d := &device{user: user, name: name, token: token, addr: addr, up: make(chan struct{})}
	d.forget()
	d.restarted = true
	return d
}

// forget is what a restart without positions does.
func (d *device) forget() {
	d.doubt = nil
	d.seen, d.epoch, d.held = map[string]uint64{}, "", map[string]bool{}
}

func (d *device) String() string { return d.user + "/" + d.name }

func (d *device) note(r record) {
	r.link, r.at = d.links, time.Now().UnixMilli()
	d.log = append(d.log, r)
}

// run keeps the device connected until ctx ends.
func (d *device) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := d.session(ctx); err != nil && ctx.Err() == nil {
			wait := time.NewTimer(time.Duration(20+rand.IntN(80)) * time.Millisecond) // as clients do before they come again
			select {
			case <-wait.C:
			case <-ctx.Done():
			}
		}
	}
}

func (d *device) session(ctx context.Context) error {
	l, err := dial(d.addr())
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, l.die)
	defer stop()
	defer d.lost(l)
	d.mu.Lock()
	d.active = l
	c := &connectCommand{Token: d.token, Data: hello{DeviceID: d.name, Platform: "test"}}
	fresh := false
	if d.restarted {
		d.subs = map[string]recoverFrom{}
		c.Data.Epoch, c.Data.Positions = d.epoch, d.seen
		fresh = len(d.seen) == 0
	} else {
		c.Subs = d.subs
	}
	for id := range d.held {
		if len(c.Data.Held) < 200 {
			c.Data.Held = append(c.Data.Held, id)
		}
	}
	d.asked = time.Now().UnixMilli()
	err = l.send(command{ID: 1, Connect: c})
	d.mu.Unlock()
	for first := true; err == nil; first = false {
		var frames []json.RawMessage
		frames, err = l.read()
		for _, f := range frames {
			if e := d.take(l, f, first, fresh); e != nil {
				return e
			}
			first = false
		}
	}
	return err
}

// lost ends a connection.
func (d *device) lost(l *link) {
	l.die()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.link == l {
		d.link, d.up = nil, make(chan struct{})
	}
}

// take takes in one reply of the server.
func (d *device) take(l *link, text json.RawMessage, first, fresh bool) error {
	var r reply
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("an unreadable frame: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.active != l {
		return errLost // the program was ended
	}
	if negative.Match(text) {
		d.negative = append(d.negative, string(text))
	}
	switch {
	case first && r.Connect == nil:
		return fmt.Errorf("connect was refused: %s", text)
	case r.Connect != nil:
		d.connected(l, r.Connect, fresh)
	case r.Push != nil:
		d.pushed(&r)
	case r.ID != 0:
		var data json.RawMessage
		if r.RPC != nil {
			data = r.RPC.Data
		} else if r.Error != nil {
			data = fmt.Appendf(nil, `{"code":%d,"message":%q}`, r.Error.Code, r.Error.Message)
		}
		d.response(r.ID, data)
		l.answered(r.ID, data)
	}
	return nil
}

// negative finds time that remains and is less than none.
var negative = regexp.MustCompile(`\\?"remaining\\?":-`)

func (d *device) connected(l *link, c *connectReply, fresh bool) {
	w := &c.Data
	d.links++
	d.note(record{kind: kindWelcome, fresh: fresh, time: w.ServerTime, asked: d.asked, more: w.More, open: w.Invitations})
	for i := range w.Ended {
		d.found(&w.Ended[i])
	}
	if len(w.Reload) > 0 {
		d.note(record{kind: kindReload, list: w.Reload, time: w.ServerTime})
	}
	for t, seq := range w.Positions {
		if _, ok := d.seen[t]; !ok || slices.Contains(w.Reload, t) {
			d.seen[t] = seq
		}
	}
	d.epoch, d.restarted = w.Epoch, false
	for _, v := range w.Invitations {
		if _, ok := d.held[v.InviteID]; !ok {
			d.held[v.InviteID] = v.OnlineOnly
		}
	}
	for channel, s := range c.Subs {
		if s.WasRecovering && !s.Recovered {
			d.note(record{kind: kindReload, list: []string{channel}, time: w.ServerTime})
		}
		for _, p := range s.Publications {
			d.publication(channel, p)
		}
		d.subs[channel] = recoverFrom{true, s.Epoch, max(s.Offset, d.subs[channel].Offset)}
	}
	for channel := range d.subs {
		if _, ok := c.Subs[channel]; !ok && !fresh && len(c.Subs) > 0 {
			delete(d.subs, channel)
		}
	}
	d.link = l
	close(d.up)
	ids := d.doubt // before the events of this connection end some of them
	for id, online := range d.held {
		if online {
			ids = append(ids, id)
		}
	}
	if d.doubt = nil; len(ids) > 0 {
		go d.catchUp(ids)
	}
}

// catchUp asks for the online-only invitations that this device holds: their events are not stored.
func (d *device) catchUp(ids []string) {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for part := range slices.Chunk(ids, 200) {
		a, err := d.once(ctx, "listInvitations", map[string]any{"inviteIDs": part})
		if err != nil || a.Code != 0 {
			d.mu.Lock()
			d.doubt = append(d.doubt, part...) // with the next connection
			d.mu.Unlock()
			continue
		}
		d.mu.Lock()
		for i := range a.Invitations {
			if slices.Contains(part, a.Invitations[i].InviteID) {
				d.found(&a.Invitations[i])
			}
		}
		d.mu.Unlock()
	}
}

func (d *device) found(v *view) {
	r := record{kind: kindFound, id: v.InviteID, version: v.Version, over: v.Over, online: v.OnlineOnly}
	for _, p := range v.Invitees {
		if p.State != "open" {
			r.ended = append(r.ended, outcome{p.UserID, p.State})
		}
	}
	d.note(r)
	if v.Over {
		delete(d.held, v.InviteID)
	}
}

func (d *device) pushed(r *reply) {
	p := r.Push
	switch {
	case p.Pub != nil:
		d.publication(p.Channel, *p.Pub)
	case p.Subscribe != nil:
		d.subs[p.Channel] = recoverFrom{true, p.Subscribe.Epoch, p.Subscribe.Offset}
	case p.Unsubscribe != nil:
		delete(d.subs, p.Channel)
		delete(d.seen, p.Channel)
	case p.Message != nil && p.Message.Data.Type == "reload":
		d.note(record{kind: kindReload, list: p.Message.Data.Timelines})
	}
}

func (d *device) publication(channel string, p publication) {
	if p.Offset > 0 {
		if s, ok := d.subs[channel]; ok && p.Offset > s.Offset {
			s.Offset = p.Offset
			d.subs[channel] = s
		}
		d.seen[channel] = max(d.seen[channel], p.Offset)
	}
	if !bytes.Contains(p.Data, []byte(`"signaling"`)) {
		return
	}
	var m signaling
	if json.Unmarshal(p.Data, &m) != nil || m.Type != "signaling" {
		return
	}
	d.note(eventRecord(channel, p.Offset, &m))
	switch {
	case m.Over:
		delete(d.held, m.InviteID)
	case m.ActionType == actionInvite || m.ActionType == actionAdd:
		d.held[m.InviteID] = m.OnlineOnly
	}
}

// The action types of PROTOCOL.md section 3.
const (
	actionInvite, actionCancel, actionAccept, actionReject, actionTimeout = 1, 2, 3, 4, 5
	actionModify, actionAdd, actionRinging, actionDigest                  = 6, 7, 8, 9
)

func eventRecord(channel string, offset uint64, m *signaling) record {
	r := record{kind: kindEvent, channel: channel, offset: offset, id: m.InviteID, version: m.Version,
		action: m.ActionType, over: m.Over,
		online: m.OnlineOnly, notice: m.Notice, everyone: m.Everyone, list: m.InviteeList}
	for _, a := range m.Answers {
		state := "accepted"
		if a.ActionType == actionReject {
			state = "rejected"
		}
		r.ended = append(r.ended, outcome{a.Invitee, state})
	}
	for _, u := range m.InviteeList {
		switch m.ActionType {
		case actionCancel:
			r.ended = append(r.ended, outcome{u, "cancelled"})
		case actionTimeout:
			r.ended = append(r.ended, outcome{u, "timedOut"})
		}
	}
	return r
}

// response notes the answer to a call in its place among the events.
func (d *device) response(call int64, data json.RawMessage) {
	for _, r := range slices.Backward(d.log) {
		if r.kind == kindRequest && r.call == call && r.link == d.links {
			var a answer
			if json.Unmarshal(data, &a) != nil || a.Code != 0 {
				return
			}
			done := record{kind: kindResponse, call: call, method: r.method, id: r.id, version: a.Version, repeat: a.Repeat,
				ended: r.ended}
			if a.Invitation != nil {
				done.version, done.over = a.Invitation.Version, a.Invitation.Over
				if !a.Invitation.Over {
					d.held[a.InviteID] = a.Invitation.OnlineOnly
				}
			}
			if a.Merged {
				done.id, done.method = a.InviteID, "merge"
				done.ended = []outcome{{d.user, "accepted"}}
			}
			for _, u := range a.InviteeList {
				done.ended = append(done.ended, outcome{u, "cancelled"})
			}
			d.note(done)
			return
		}
		if r.kind == kindWelcome {
			return
		}
	}
}

// once makes a call over the present connection.
func (d *device) once(ctx context.Context, method string, fields map[string]any) (a answer, err error) {
	text, err := d.raw(ctx, method, fields)
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	return a, err
}

func (d *device) raw(ctx context.Context, method string, fields map[string]any) (json.RawMessage, error) {
	body, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	up := d.up
	d.mu.Unlock()
	select {
	case <-up:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	d.mu.Lock()
	l := d.link
	if l == nil {
		d.mu.Unlock()
		return nil, errLost
	}
	id, done := l.expect()
	if name, ok := fields["inviteID"].(string); ok {
		r := record{kind: kindRequest, method: method, call: id, id: name}
		switch method {
		case "accept":
			r.ended = []outcome{{d.user, "accepted"}}
		case "reject":
			r.ended = []outcome{{d.user, "rejected"}}
		}
		d.note(r)
	}
	err = l.send(command{ID: id, RPC: &rpcCommand{method, body}})
	d.mu.Unlock()
	if err != nil {
		return nil, errLost
	}
	select {
	case data, ok := <-done:
		if !ok {
			return nil, errLost
		}
		return data, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// do makes a call and repeats it, over lost connections and restarts, until it is answered.
func (d *device) do(ctx context.Context, method string, fields map[string]any) (answer, error) {
	fields["requestID"] = "q" + strconv.FormatUint(rand.Uint64(), 36)
	final := method == "invite" || method == "inviteInGroup" // refused as too often, it is not tried again
	for {
		a, err := d.once(ctx, method, fields)
		switch {
		case err != nil && ctx.Err() != nil:
			return a, fmt.Errorf("%s by %s: %w", method, d, err)
		case err != nil:
			final = false                                // it may have been carried out
			wait := time.NewTimer(10 * time.Millisecond) // the link is lost, and the next one is on its way
			<-wait.C
		case a.Code == 10002 || a.Code == 9506 && !final:
			final = final && a.Code != 10002
			wait := time.NewTimer(time.Duration(max(20, a.RetryAfter)) * time.Millisecond) // as the server asks
			<-wait.C
		default:
			return a, nil
		}
	}
}

// cut ends the connection in the middle of what comes or goes.
func (d *device) cut(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.link != nil {
		d.link.tcp.sever(bytes)
	}
}

// restart ends the program and starts it again, with its positions or without.
func (d *device) restart(positions bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.restarted = true
	if !positions {
		d.forget()
	}
	if l := d.active; l != nil {
		go l.die()
	}
	if d.link != nil {
		d.link, d.up = nil, make(chan struct{})
	}
	d.active = nil
}
