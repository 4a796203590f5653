package histories

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// truth is an invitation as the server says, in the end, that it stands.
type truth struct {
	id, inviter, group string
	participants       bool // in a group: only they are notified
	online, notice     bool
	removed            bool  // online only, and over for so long that nothing of it is kept: its outcomes are not judged
	known              int64 // when a device first received anything of it, in ms of this machine
	invitees           map[string]fate
	audience           []string         // who is notified
	added              map[string]int64 // invitees that came later, by the version at which they came
}

type fate struct {
	state   string
	decided int64 // by the server's time
	known   int64 // when a device first received it, in ms of this machine
}

// entry is a signaling entry in the history of a conversation.
type entry struct {
	id             string
	version        int64
	action         int
	online, notice bool
	inviter        string
}

// conversation is a user's conversation in the end.
type conversation struct {
	user, id string
	unread   int64
	entries  []entry
}

// judge compares what the devices have received with the truth.
type judge struct {
	truths        map[string]*truth
	devices       []*device
	conversations []conversation
	faults        []string
	versions      map[string]map[int64]bool // by invitation, what was announced
	events        int                       // that were looked at
	outcomes      int                       // that a device had to receive
	responses     int
	snapshots     int
	entries       int
	repeats       int
	killed        []int64 // when a node was killed, in milliseconds
}

func (j *judge) fault(format string, args ...any) {
	j.faults = append(j.faults, fmt.Sprintf(format, args...))
}

// slack is how far apart, in ms, the server's time in a welcome and the moment of its snapshot may be.
const slack = 100

func (j *judge) check() {
	for _, d := range j.devices {
		j.onceEach(d)
		j.order(d)
		j.snapshot(d)
		for _, text := range d.negative {
			j.fault("%s: less than no time remains: %.300s", d, text)
		}
		j.outcomesOf(d)
	}
	for i := range j.conversations {
		j.history(&j.conversations[i])
	}
}

// onceEach: no event comes twice on one timeline, and none about an invitation after its end.
func (j *judge) onceEach(d *device) {
	type place struct {
		channel string
		offset  uint64
	}
	seen, links := map[place]bool{}, map[place]int{}
	ends := map[string]int64{}
	for _, r := range d.log {
		if r.kind == kindWelcome && r.fresh { // a program without positions may receive what it has forgotten
			clear(seen)
		}
		if r.kind != kindEvent {
			continue
		}
		j.events++
		if at := (place{r.channel, r.offset}); r.offset > 0 {
			if again := seen[at]; again && r.link != links[at] && strings.HasPrefix(r.channel, "invitation:") {
				j.repeats++ // after a reconnect, of an invitation that the device had left: rule 4 of PROTOCOL.md
			} else if again {
				j.fault("%s received %s %d twice (%s, action %d); it has\n%s", d, r.channel, r.offset, r.id, r.action,
					d.about(r.id))
			}
			seen[at], links[at] = true, r.link
		}
		if r.over {
			if was, ok := ends[r.id]; ok && was != r.version {
				j.fault("%s was told the end of %s twice, with versions %d and %d", d, r.id, was, r.version)
			}
			ends[r.id] = r.version
		}
	}
	for _, r := range d.log {
		if end, ok := ends[r.id]; ok && r.kind == kindEvent && r.version > end && r.action != actionDigest {
			j.fault("%s received version %d of %s, which was over with version %d", d, r.version, r.id, end)
		}
	}
}

// order: the response to an action comes before any event that the action, or a later one, has made.
func (j *judge) order(d *device) {
	type request struct {
		link int
		call int64
	}
	begun := map[request]int{}
	for at, r := range d.log {
		switch r.kind {
		case kindRequest:
			begun[request{r.link, r.call}] = at
		case kindResponse:
			j.responses++
			if r.repeat || r.method == "getInvitation" {
				continue // a read; or it was done before, and what it made may have come before
			}
			for _, e := range d.log[begun[request{r.link, r.call}]:at] {
				if e.kind == kindEvent && e.id == r.id && e.version >= r.version && r.version > 0 {
					j.fault("%s received version %d of %s (action %d) before the response to its %s (version %d)", d, e.version, r.id,
						e.action, r.method, r.version)
				}
			}
		}
	}
}

// opened is the log of a device from its last start without positions on, and the server's time of that.
func (d *device) opened() (from int, at int64) {
	for i, r := range d.log {
		if r.kind == kindWelcome && r.fresh {
			from, at = i, r.time
		}
	}
	return from, at
}

// about writes what a device has of an invitation.
func (d *device) about(id string) string {
	var b strings.Builder
	for _, r := range d.log {
		switch {
		case r.kind == kindWelcome:
			own := slices.IndexFunc(r.open, func(v view) bool { return v.InviteID == id })
			fmt.Fprintf(&b, "      connection %d at %d, fresh %v, in the snapshot %v\n", r.link, r.time, r.fresh, own >= 0)
		case r.id == id:
			fmt.Fprintf(&b, "      %s %s version %d, action %d, %s %d, repeat %v, over %v, %v %v\n", r.kind, r.method, r.version,
				r.action, r.channel, r.offset, r.repeat, r.over, r.list, r.ended)
		}
	}
	return b.String()
}

// told is what a device knows of an invitation.
type told struct {
	events    map[string]map[int64]string // of each invitee, the state that each version told
	known     map[string]string           // of each invitee, the state that the device decided or was answered
	everyone  map[string]bool             // states that whoever was open came to
	holds     bool                        // the device received the invitation, or made it
	over      bool                        // its invite was answered as a repeat, which says that it is over
	cancelled bool                        // its cancel was answered as a repeat, which does not say whom it ended
}

func newTold() *told {
	return &told{events: map[string]map[int64]string{}, known: map[string]string{}, everyone: map[string]bool{}}
}

func (d *device) told() map[string]*told {
	from, _ := d.opened()
	all := map[string]*told{}
	of := func(id string) *told {
		if all[id] == nil {
			all[id] = newTold()
		}
		return all[id]
	}
	for at, r := range d.log {
		if r.id == "" {
			continue
		}
		t := of(r.id)
		switch r.kind {
		case kindEvent:
			t.holds = t.holds || at > from && (r.action == actionInvite || r.action == actionAdd &&
				slices.Contains(r.list, d.user))
			for _, o := range r.ended {
				if t.events[o.user] == nil {
					t.events[o.user] = map[int64]string{}
				}
				t.events[o.user][r.version] = o.state
			}
			if r.everyone && (r.action == actionCancel || r.action == actionTimeout) {
				t.everyone[map[int]string{actionCancel: "cancelled", actionTimeout: "timedOut"}[r.action]] = true
			}
		case kindResponse, kindFound:
			t.holds = t.holds || at > from && (r.method == "invite" || r.method == "inviteInGroup")
			t.cancelled = t.cancelled || r.method == "cancel" && r.repeat
			t.over = t.over || r.repeat && r.over
			for _, o := range r.ended {
				if was := t.known[o.user]; was == "" || r.kind == kindFound {
					t.known[o.user] = o.state
				}
			}
		}
	}
	return all
}

// outcomesOf: a device receives every final outcome exactly once, or finds it; none twice, none that is not so.
func (j *judge) outcomesOf(d *device) {
	_, since := d.opened()
	reloaded := slices.IndexFunc(d.log, func(r record) bool { return r.kind == kindReload }) >= 0
	all := d.told()
	for id, t := range j.truths {
		if t.removed {
			continue
		}
		if !slices.Contains(t.audience, d.user) {
			if got := all[id]; got != nil && len(got.events) > 0 {
				j.fault("%s received events of %s, which is not theirs", d, id)
			}
			continue
		}
		got := all[id]
		if got == nil {
			got = newTold()
		}
		for user, f := range t.invitees {
			heard := map[string]int{}
			for _, state := range got.events[user] {
				heard[state]++
			}
			for state, n := range heard {
				if state != f.state {
					j.fault("%s was told that %s is %s for %s, who is %s", d, id, state, user, f.state)
				}
				if n > 1 {
					j.fault("%s was told %d times that %s is %s for %s", d, n, id, state, user)
				}
			}
			if known := got.known[user]; known != "" && known != f.state {
				j.fault("%s was answered that %s is %s for %s, who is %s", d, id, known, user, f.state)
			}
			must := f.decided > since+slack && !reloaded && !t.notice && (!t.online || got.holds) && t.added[d.user] == 0
			if !must || t.online && (got.over || j.killedAt(f.decided)) || got.cancelled && f.state == "cancelled" {
				continue
			}
			j.outcomes++
			if len(heard) == 0 && got.known[user] == "" && !got.everyone[f.state] {
				j.fault("%s was never told that %s is %s for %s (decided %d, the program has run since %d, %+v); it has\n%s", d, id,
					f.state, user, f.decided, since, *t, d.about(id))
			}
		}
	}
}

// killedAt reports whether a node was killed about then. What it had decided online-only and not sent yet is lost: it
// is not stored.
func (j *judge) killedAt(decided int64) bool {
	return slices.ContainsFunc(j.killed, func(at int64) bool { return decided > at-500 && decided < at+500 })
}

// snapshot: a device that begins without positions finds what is open for its user, and nothing that is online-only.
func (j *judge) snapshot(d *device) {
	for _, r := range d.log {
		if r.kind != kindWelcome || !r.fresh {
			continue
		}
		j.snapshots++
		listed := map[string]view{}
		for _, v := range r.open {
			listed[v.InviteID] = v
			if v.OnlineOnly {
				j.fault("%s connected and found %s, which is online-only", d, v.InviteID)
			}
		}
		if r.more {
			continue
		}
		for id, t := range j.truths {
			v, ok := listed[id]
			if want, state := t.standing(d.user, &r); want && !ok {
				j.fault("%s connected at %d (connection %d) and did not find %s, which was open and %s for them: %+v; it has\n%s",
					d, r.time, r.link, id, cmp.Or(state, "their own"), *t, d.about(id))
			} else if ok && state != "" {
				own := slices.IndexFunc(v.Invitees, func(p invitee) bool { return p.UserID == d.user })
				if own < 0 || v.Invitees[own].State != state {
					j.fault("%s connected and found %s without its own state, which was %s: %+v", d, id, state, v.Invitees)
				}
			}
		}
	}
}

// standing says whether an invitation must be in the snapshot of a welcome, and what is certain of the user's own
// state: what a device knew before this one connected, and what was decided after.
func (t *truth) standing(user string, w *record) (want bool, state string) {
	own, invited := t.invitees[user]
	if t.online || t.notice || len(t.added) > 0 || t.known == 0 || t.known >= w.asked || !invited && t.inviter != user {
		return false, ""
	}
	open := false
	for _, f := range t.invitees {
		open = open || f.decided > w.time+slack
	}
	switch {
	case !open:
		return false, ""
	case !invited:
		return true, ""
	case own.decided > w.time+slack:
		return true, "open"
	case own.known > 0 && own.known < w.asked && (own.state == "accepted" || own.state == "rejected"):
		return true, own.state
	}
	return false, ""
}

// history: each action stands once in the conversation of each participant, and what counts as unread is what was
// missed.
func (j *judge) history(c *conversation) {
	versions := map[string]map[int64]int{}
	counted := map[string]bool{}
	for _, e := range c.entries {
		j.entries++
		if versions[e.id] == nil {
			versions[e.id] = map[int64]int{}
		}
		versions[e.id][e.version]++
		t := j.truths[e.id]
		if e.online {
			j.fault("%s has the online-only %s in the history of %s", c.user, e.id, c.id)
		}
		if t == nil {
			j.fault("%s has %s in the history of %s, which is not known", c.user, e.id, c.id)
			continue
		}
		if !slices.Contains(t.audience, c.user) {
			j.fault("%s has %s in the history of %s, which is not theirs", c.user, e.id, c.id)
		}
		own := t.invitees[c.user].state
		rings := e.action == actionInvite || e.action == actionAdd && t.added[c.user] == e.version
		if rings && e.inviter != c.user && own != "accepted" && own != "rejected" && !counted[e.id] {
			counted[e.id] = true // missed: it counts once
		}
	}
	unread := int64(len(counted))
	for id, list := range versions {
		for v, n := range list {
			if n > 1 {
				j.fault("%s has version %d of %s %d times in the history of %s", c.user, v, id, n, c.id)
			}
		}
	}
	j.complete(c, versions)
	if c.unread != unread {
		j.fault("%s has %d unread in %s; %d were missed", c.user, c.unread, c.id, unread)
	}
}

// complete: what was announced of an invitation stands in each conversation that it belongs to.
func (j *judge) complete(c *conversation, versions map[string]map[int64]int) {
	for id, t := range j.truths {
		if t.online || t.added[c.user] > 0 || !slices.Contains(t.audience, c.user) || !t.in(c) {
			continue
		}
		for _, v := range j.announced(id) {
			if versions[id][v] == 0 {
				j.fault("%s lacks version %d of %s in the history of %s", c.user, v, id, c.id)
			}
		}
	}
}

// in says whether an invitation belongs to a conversation.
func (t *truth) in(c *conversation) bool {
	if t.group != "" {
		return c.id == "group_"+t.group
	}
	peer, one := strings.CutPrefix(c.id, "c2c_")
	if !one {
		return false
	}
	if c.user == t.inviter {
		_, invited := t.invitees[peer]
		return invited && t.added[peer] == 0
	}
	return peer == t.inviter
}

// announced lists the versions of an invitation that devices received as actions of a history.
func (j *judge) announced(id string) []int64 {
	if j.versions == nil {
		j.versions = map[string]map[int64]bool{}
		for _, d := range j.devices {
			for _, r := range d.log {
				if r.kind == kindEvent && r.action != actionRinging && r.action != actionDigest {
					if j.versions[r.id] == nil {
						j.versions[r.id] = map[int64]bool{}
					}
					j.versions[r.id][r.version] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(j.versions[id]))
}
