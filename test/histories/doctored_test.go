package histories

import (
	"slices"
	"testing"
)

// sound is a history as it should be: ann invites bob and cat; bob accepts on his phone, for cat it times out.
func sound() *judge {
	ended := func(user, state string) []outcome { return []outcome{{user, state}} }
	event := func(version int64, action int, over bool, o []outcome) record {
		return record{kind: kindEvent, link: 1, channel: "invitation:i", offset: uint64(version), id: "i", version: version,
			action: action, over: over, ended: o}
	}
	invited := record{kind: kindEvent, link: 1, channel: "user", offset: 1, id: "i", version: 1, action: actionInvite,
		list: []string{"bob", "cat"}}
	hello := record{kind: kindWelcome, link: 1, fresh: true, time: 1000}
	accepted, timedOut := event(2, actionAccept, false, ended("bob", "accepted")), event(3, actionTimeout, true,
		ended("cat", "timedOut"))
	own := []record{{kind: kindRequest, link: 1, call: 2, method: "accept", id: "i", ended: ended("bob", "accepted")},
		{kind: kindResponse, link: 1, call: 2, method: "accept", id: "i", version: 2, ended: ended("bob", "accepted")}}
	invite := []record{{kind: kindRequest, link: 1, call: 2, method: "invite", id: "i"},
		{kind: kindResponse, link: 1, call: 2, method: "invite", id: "i", version: 1}}
	late := record{kind: kindWelcome, link: 1, fresh: true, time: 2500, asked: 2400,
		open: []view{{InviteID: "i", Invitees: []invitee{{UserID: "bob", State: "accepted"}}}}}
	all := []entry{{id: "i", version: 1, action: actionInvite, inviter: "ann"},
		{id: "i", version: 2, action: actionAccept, inviter: "ann"},
		{id: "i", version: 3, action: actionTimeout, inviter: "ann"}}
	return &judge{
		truths: map[string]*truth{"i": {id: "i", inviter: "ann", known: 1500,
			invitees: map[string]fate{"bob": {"accepted", 2000, 2100}, "cat": {"timedOut", 3000, 3100}},
			audience: []string{"ann", "bob", "cat"}, added: map[string]int64{}}},
		devices: []*device{
			{user: "ann", name: "pc", log: slices.Concat([]record{hello}, invite, []record{accepted, timedOut})},
			{user: "bob", name: "phone", log: slices.Concat([]record{hello, invited}, own, []record{timedOut})},
			{user: "bob", name: "late", log: []record{late, timedOut}},
			{user: "cat", name: "phone", log: []record{hello, invited, accepted, timedOut}},
		},
		conversations: []conversation{
			{user: "ann", id: "c2c_bob", entries: slices.Clone(all)}, {user: "ann", id: "c2c_cat", entries: slices.Clone(all)},
			{user: "bob", id: "c2c_ann", entries: slices.Clone(all)},
			{user: "cat", id: "c2c_ann", entries: slices.Clone(all), unread: 1},
		},
	}
}

// TestTheJudgeCanFail shows the judge histories that must not be, and one that is sound.
func TestTheJudgeCanFail(t *testing.T) {
	j := sound()
	if j.check(); len(j.faults) > 0 {
		t.Fatalf("a sound history is judged %q", j.faults)
	}
	ann, bob, late, cat := 0, 1, 2, 3
	drop := func(j *judge, device, at int) { j.devices[device].log = slices.Delete(j.devices[device].log, at, at+1) }
	add := func(j *judge, device int, r record) { j.devices[device].log = append(j.devices[device].log, r) }
	for name, doctor := range map[string]func(*judge){
		"an outcome was not told":                  func(j *judge) { drop(j, ann, 3) },
		"the end was not told to who has answered": func(j *judge) { drop(j, bob, 4) },
		"an outcome was told twice on a timeline":  func(j *judge) { add(j, ann, j.devices[ann].log[3]) },
		"an outcome was told with two versions": func(j *judge) {
			r := j.devices[ann].log[3]
			r.version, r.offset = 4, 4
			j.devices[ann].log = slices.Insert(j.devices[ann].log, 3, r)
		},
		"another's ending as one's own": func(j *judge) {
			j.devices[bob].log[4].ended = []outcome{{"cat", "timedOut"}, {"bob", "timedOut"}}
		},
		"the end came twice": func(j *judge) {
			r := j.devices[cat].log[3]
			r.version, r.offset, r.ended = 5, 5, nil
			add(j, cat, r)
		},
		"an event after the end": func(j *judge) {
			add(j, cat, record{kind: kindEvent, link: 1, channel: "invitation:i", offset: 9, id: "i", version: 9,
				action: actionModify})
		},
		"an event before the response": func(j *judge) {
			log := j.devices[ann].log
			log[2], log[3] = log[3], log[2]
		},
		"a device was answered what is not so": func(j *judge) {
			j.truths["i"].invitees["bob"] = fate{"cancelled", 2000,
				2100}
		},
		"less than no time remains":          func(j *judge) { j.devices[ann].negative = []string{`{"remaining":-5}`} },
		"not in the snapshot":                func(j *judge) { j.devices[late].log[0].open = nil },
		"in the snapshot with another state": func(j *judge) { j.devices[late].log[0].open[0].Invitees[0].State = "open" },
		"online-only in a snapshot":          func(j *judge) { j.devices[late].log[0].open[0].OnlineOnly = true },
		"online-only in a history":           func(j *judge) { j.conversations[0].entries[0].online = true },
		"an action is missing in a history":  func(j *judge) { j.conversations[2].entries = j.conversations[2].entries[:2] },
		"an action is twice in a history": func(j *judge) {
			j.conversations[2].entries = append(j.conversations[2].entries, j.conversations[2].entries[2])
		},
		"an answered invitation is unread":     func(j *judge) { j.conversations[2].unread = 1 },
		"a missed invitation is read":          func(j *judge) { j.conversations[3].unread = 0 },
		"somebody else's invitation was told":  func(j *judge) { j.truths["i"].audience = []string{"ann", "bob"} },
		"an online-only outcome was not found": func(j *judge) { j.truths["i"].online = true; drop(j, cat, 2) },
		"somebody else's invitation in history": func(j *judge) {
			j.conversations = append(j.conversations,
				conversation{user: "eve", id: "c2c_ann", entries: j.conversations[0].entries[:1], unread: 1})
		},
	} {
		j := sound()
		doctor(j)
		if j.check(); len(j.faults) == 0 {
			t.Errorf("the judge takes a history in which %s", name)
		}
	}
}
