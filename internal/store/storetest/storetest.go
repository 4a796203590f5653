// Package storetest holds the conformance suite of the storage engines.
//
// It has no engine of its own and no SQL.
package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/retention"
	"github.com/beckon-im/beckon/internal/store/userstate"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
)

// Engine opens a store over the same data each time it is called.
type Engine func(t testing.TB) *store.Store

// Exercise runs the suite. fresh returns an engine over data of its own.
func Exercise(t *testing.T, fresh func(t testing.TB) Engine) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Engine)
	}{
		{"TimelinesAreContiguous", contiguous},
		{"ARefusalChangesNothing", refusal},
		{"UnitsOfABatchSeeEachOther", batch},
		{"MoreIsLoadedOnTheWay", more},
		{"AcksComeBeforeRecords", order},
		{"APanicIsOneUnitsRefusal", panics},
		{"AnUnwritableUnitFailsAlone", poison},
		{"EverythingSurvivesReopening", reopen},
		{"SnapshotsAreOfOneMoment", snapshots},
		{"ALargePageLeavesSpaceForOthers", pages},
		{"MarksExpire", tombstones},
		{"OnlineRecordsAreNotKept", online},
		{"GlareIsSeenInTheSameBatch", glare},
		{"PairsKnowEachOther", pairs},
		{"HistoryGoesBothWays", history},
		{"WhatCountsIsCounted", counts},
		{"MessagesAreFoundByWords", words},
		{"GroupsAndPeopleSurviveReopening", reopenChat},
		{"FilesAreReadWhereAMessageHoldsThem", holders},
		{"EverythingPastItsRetentionGoes", retained},
		{"EmptyTimelinesAreLeftAlone", emptyTimelines},
		{"AnInviteIDIsUsedAgain", reusedIDs},
		{"RetentionTakesSmallSteps", chunks},
		{"AnErasureContinuesAfterARestart", erasures},
		{"PushTokensKeepTheirHealth", pushHealth},
		{"PushTestsAreKeptForAnHour", pushTests},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, fresh(t)) })
	}
}

func contiguous(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	const writers, each = 8, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				mine, all := fmt.Sprintf("user:%d", w), "group:all"
				if err := Do(t, s, txn.ReadSet{Topics: []string{mine, all}}, func(tx *txn.Tx) error {
					tx.Append(all, txn.Draft{Body: &note{"x"}})
					tx.Append(mine, txn.Draft{Body: &note{fmt.Sprint(i)}})
					return nil
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(records(t, s, "group:all", 0)); n != writers*each {
		t.Errorf("%d records of %d", n, writers*each)
	}
	for w := range writers {
		for i, b := range records(t, s, fmt.Sprintf("user:%d", w), 0) {
			if b != fmt.Sprintf("%q", fmt.Sprint(i)) {
				t.Fatalf("writer %d: record %d is %s", w, i, b)
			}
		}
	}
}

func refusal(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, func(r []txn.Record) { t.Errorf("a refusal was announced: %v", r) })
	no := errors.New("no")
	err := Do(t, s, txn.ReadSet{Topics: []string{"user:a"}, Invitations: []string{"i"}}, func(tx *txn.Tx) error {
		tx.Append("user:a", txn.Draft{Body: &note{"x"}})
		tx.PutInvitation(invite.Invitation{Terms: invite.Terms{ID: "i", Inviter: "a"}})
		tx.PutTombstone(txn.Tombstone{InviteID: "i", UserID: "a", ExpiresAt: tx.Now + 1000})
		return no
	})
	if !errors.Is(err, no) {
		t.Errorf("the refusal came back as %v", err)
	}
	if v, err := s.Invitation(t.Context(), "i"); v != nil || err != nil {
		t.Errorf("it is there: %v %v", v, err)
	}
	if list := records(t, s, "user:a", 0); len(list) != 0 {
		t.Errorf("records: %v", list)
	}
}

func newInvitation(id string, users ...string) (invite.Invitation, []invite.Invitee) {
	return invite.New(invite.Terms{ID: id, Inviter: "a", GroupID: "g", Timeout: 60, Data: "d",
		Push: &invite.Push{Title: "t"}}, users, invite.Actor{User: "a", Device: "d1", RequestID: "r1"}, "print", 1<<42)
}

func put(tx *txn.Tx, v invite.Invitation, list []invite.Invitee) {
	tx.PutInvitation(v)
	for _, p := range list {
		tx.PutInvitee(p)
	}
}

func batch(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	v, list := newInvitation("i", "b", "c")
	errs := together(t, s,
		&store.Unit{Reads: txn.ReadSet{Topics: []string{"group:g"}, Invitations: []string{"i"}},
			Decide: func(tx *txn.Tx) error { put(tx, v, list); return nil }},
		&store.Unit{Reads: txn.ReadSet{Topics: []string{"group:g"}, Invitations: []string{"i"},
			Invitees: []txn.InviteeKey{{InviteID: "i", UserID: "b"}}, OpenInvitees: []string{"i"}},
			Decide: func(tx *txn.Tx) error {
				if n := len(tx.OpenInvitees("i")); n != 2 {
					return fmt.Errorf("%d are open after the first unit", n)
				}
				st, err := invite.Apply(*tx.Invitation("i"), tx.Invitee("i", "b"), invite.Answer{By: invite.Actor{User: "b"}},
					tx.Now)
				if err != nil {
					return err
				}
				tx.PutInvitation(st.Invitation)
				tx.PutInvitee(st.Invitee)
				tx.Append("group:g", txn.Draft{Device: "1", Body: &note{"+b"}})
				return nil
			}},
		&store.Unit{Reads: txn.ReadSet{Topics: []string{"group:g"}, OpenInGroup: []string{"g"}, OpenInvitees: []string{"i"},
			OpenOfMember: []txn.MemberKey{{GroupID: "g", UserID: "c"}}}, Decide: func(tx *txn.Tx) error {
			if n := tx.OpenInvitees("i"); len(n) != 1 || n[0].UserID != "c" {
				return fmt.Errorf("open after the second unit: %v", n)
			}
			if ids := tx.OpenInGroup("g"); !slices.Equal(ids, []string{"i"}) {
				return fmt.Errorf("open in the group: %v", ids)
			}
			if ids := tx.OpenOfMember(txn.MemberKey{GroupID: "g", UserID: "c"}); !slices.Equal(ids, []string{"i"}) {
				return fmt.Errorf("open of the member: %v", ids)
			}
			tx.Append("group:g", txn.Draft{Device: "2", Body: &note{"+c"}})
			return nil
		}})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	p, err := s.Records(t.Context(), "group:g", 0, 10, 1<<20)
	if err != nil || len(p.Records) != 1 || string(p.Records[0].Body) != `"+b+c"` || p.Records[0].Device != "" {
		t.Errorf("what was decided together is %+v, %v; want one record of both, for all devices", p.Records, err)
	}
}

func more(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	v, list := newInvitation("i", "b", "c")
	if err := Do(t, s, txn.ReadSet{Invitations: []string{"i"}, Topics: []string{"group:g"}},
		func(tx *txn.Tx) error { put(tx, v, list); return nil }); err != nil {
		t.Fatal(err)
	}
	runs := 0
	err := Do(t, s, txn.ReadSet{Topics: []string{"group:g"}}, func(tx *txn.Tx) error {
		runs++
		tx.Append("group:g", txn.Draft{Body: &note{"once"}})
		if tx.Invitation("i") == nil {
			return &txn.NeedReads{Reads: txn.ReadSet{Invitations: []string{"i"}}}
		}
		if !tx.HasOpen("i") || len(tx.Missing([]string{"user:z"})) > 0 {
			return &txn.NeedReads{Reads: txn.ReadSet{OpenInvitees: []string{"i"}, Topics: []string{"user:z"}}}
		}
		tx.Append("user:z", txn.Draft{Body: &note{fmt.Sprint(len(tx.OpenInvitees("i")))}})
		return nil
	})
	if err != nil || runs < 2 { // a cached transaction has the invitation and its invitees already
		t.Errorf("%d runs, %v", runs, err)
	}
	if list := records(t, s, "group:g", 0); len(list) != 1 {
		t.Errorf("a unit that was run again appended %v", list)
	}
	if list := records(t, s, "user:z", 0); !slices.Equal(list, []string{`"2"`}) {
		t.Errorf("it saw %v", list)
	}
	err = Do(t, s, txn.ReadSet{}, func(*txn.Tx) error { return &txn.NeedReads{Reads: txn.ReadSet{Groups: []string{"g"}}} })
	if im.CodeOf(err) != im.CodeInternal {
		t.Errorf("a unit that never has enough: %v", err)
	}
}

func order(t *testing.T, open Engine) {
	s := open(t)
	var mu sync.Mutex
	var log []string
	say := func(what string) { mu.Lock(); log = append(log, what); mu.Unlock() }
	last := make(chan struct{})
	stop := Run(t, s, func(list []txn.Record) {
		for _, r := range list {
			say("event " + string(r.Body))
			if string(r.Body) == `"99"` {
				close(last)
			}
		}
	})
	for i := range 100 {
		if err := s.Submit(&store.Unit{Reads: txn.ReadSet{Topics: []string{"user:a"}},
			Decide: func(tx *txn.Tx) error {
				tx.Append("user:a", txn.Draft{Body: &note{fmt.Sprint(i)}})
				return nil
			},
			Done: func(error) { say(fmt.Sprintf("ack %d", i)) }}); err != nil {
			t.Fatal(err)
		}
	}
	<-last
	stop()
	for i := range 100 {
		ack, event := slices.Index(log, fmt.Sprintf("ack %d", i)), slices.Index(log, fmt.Sprintf("event %q", fmt.Sprint(i)))
		if ack < 0 || event < ack {
			t.Fatalf("unit %d: ack at %d, event at %d", i, ack, event)
		}
		if i > 0 && event < slices.Index(log, fmt.Sprintf("event %q", fmt.Sprint(i-1))) {
			t.Fatalf("event %d came before the one before it", i)
		}
	}
}

func panics(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	errs := together(t, s,
		&store.Unit{Reads: txn.ReadSet{Topics: []string{"user:a"}},
			Decide: func(tx *txn.Tx) error { tx.Append("user:undeclared", txn.Draft{Body: &note{"x"}}); return nil }},
		&store.Unit{Reads: txn.ReadSet{Topics: []string{"user:a"}},
			Decide: func(tx *txn.Tx) error { tx.Append("user:a", txn.Draft{Body: &note{"y"}}); return nil }})
	if im.CodeOf(errs[0]) != im.CodeInternal || errs[1] != nil {
		t.Errorf("%v", errs)
	}
}

func poison(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	good := func(topic string) *store.Unit {
		return &store.Unit{Reads: txn.ReadSet{Topics: []string{topic}},
			Decide: func(tx *txn.Tx) error { tx.Append(topic, txn.Draft{Body: &note{"y"}}); return nil }}
	}
	var many strings.Builder // more than PostgreSQL indexes of one message
	for i := range 200_000 {
		fmt.Fprintf(&many, "word%d ", i)
	}
	bad := &store.Unit{Reads: txn.ReadSet{Topics: []string{"user:a"},
		Messages: []txn.MessageKey{{Topic: "user:a", ID: "m"}}}, Decide: func(tx *txn.Tx) error {
		tx.Append("user:a", txn.Draft{Body: &note{"z"}, Peer: "b", Message: "m", Words: many.String(),
			Finders: []string{"user:a"}})
		return nil
	}}
	errs := together(t, s, good("user:b"), bad, good("user:c"))
	if errs[0] != nil || errs[1] != nil && im.CodeOf(errs[1]) != im.CodeInternal || errs[2] != nil ||
		(errs[1] == nil) != !s.Shared() {
		t.Errorf("%v", errs)
	}
	if there := len(records(t, s, "user:a", 0)); there != 0 && errs[1] != nil || there != 1 && errs[1] == nil {
		t.Errorf("it was told %v, and %d records are there", errs[1], there)
	}
	if len(records(t, s, "user:b", 0)) != 1 || len(records(t, s, "user:c", 0)) != 1 {
		t.Error("a neighbour of the unit was lost or doubled")
	}
}

func reopen(t *testing.T, open Engine) {
	s := open(t)
	stop := Run(t, s, nil)
	v, list := newInvitation("i", "b", "c")
	v.Modified = invite.Recent{Device: "m", Requests: [4]string{"r2", "r1"}}
	v.Added = invite.Recent{Requests: [4]string{"a1"}}
	if err := Do(t, s, txn.ReadSet{Invitations: []string{"i"}, Topics: []string{"group:g", "user:a"}},
		func(tx *txn.Tx) error {
			put(tx, v, list)
			tx.PutGroup(im.Group{ID: "g", Type: im.Meeting, Info: im.GroupInfo{Name: "n", Join: im.WayFree}, Owner: "a",
				Members: 1, CreatedAt: 5})
			tx.PutMember(im.Member{GroupID: "g", UserID: "a", Role: im.RoleOwner, JoinedAt: 5, JoinedSeq: 2})
			tx.Append("user:a", txn.Draft{Device: "dev", Listen: listen.To("group:g", 2), Body: &note{"x"}})
			return nil
		}); err != nil {
		t.Fatal(err)
	}
	epoch := s.Epoch()
	stop()
	s = open(t)
	Run(t, s, nil)
	if s.Epoch() != epoch || epoch == "" {
		t.Errorf("the epoch was %q and is %q", epoch, s.Epoch())
	}
	got, err := s.Invitation(t.Context(), "i")
	if err != nil || got == nil {
		t.Fatalf("%v %v", got, err)
	}
	if *got.Push != *v.Push {
		t.Errorf("push %+v", got.Push)
	}
	got.Push, v.Push = nil, nil
	if *got != v {
		t.Errorf("it came back as\n%+v, and was\n%+v", *got, v)
	}
	if p, err := s.Invitees(t.Context(), "i", 0, 10); err != nil || len(p) != 2 || p[0] != list[0] || p[1] != list[1] {
		t.Errorf("invitees %+v %v", p, err)
	}
	p, err := s.Records(t.Context(), "user:a", 0, 10, 1<<20)
	if err != nil || len(p.Records) != 1 || p.Records[0].Device != "dev" || p.Records[0].Listen != "+group:g@2" {
		t.Errorf("records %+v %v", p, err)
	}
	var due []store.Deadline
	if err := s.Deadlines(t.Context(), func(d store.Deadline) { due = append(due, d) }); err != nil || len(due) != 1 ||
		due[0] != (store.Deadline{InviteID: "i", Due: v.Due}) {
		t.Errorf("deadlines %+v %v", due, err)
	}
	if head, err := s.Head(t.Context(), "user:a"); head != 1 || err != nil {
		t.Errorf("head %d %v", head, err)
	}
}

func pages(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	var list []store.After
	large := strings.Repeat("x", 9500)
	for i := range 300 {
		topic, records, body := fmt.Sprint("group:", i), 2, "x"
		if i%100 == 0 {
			records, body = 5, large
		}
		if err := Do(t, s, txn.ReadSet{Topics: []string{topic}}, func(tx *txn.Tx) error {
			for range records {
				tx.Append(topic, txn.Draft{Body: &note{body}})
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		list = append(list, store.After{Topic: topic, Seq: 1, Limit: records - 1})
	}
	got, err := s.Pages(t.Context(), list, 35_000)
	if err != nil || len(got) != len(list) {
		t.Fatalf("%d pages, %v", len(got), err)
	}
	for i, p := range got {
		want := list[i].Limit
		if i%100 == 0 {
			want = 0 // they do not fit
		}
		if len(p.Records) != want || want > 0 && (p.Records[0].Seq != 2 || p.Head != 2) || p.Floor != 0 {
			t.Errorf("page %d: %d records, head %d; want %d records", i, len(p.Records), p.Head, want)
		}
	}
}

func snapshots(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	v, list := newInvitation("i", "b", "c")
	if err := Do(t, s, txn.ReadSet{Invitations: []string{"i"}, Topics: []string{"group:g", "user:b"}},
		func(tx *txn.Tx) error {
			put(tx, v, list)
			tx.PutMember(im.Member{GroupID: "g", UserID: "b", Role: im.RoleMember, JoinedSeq: 0})
			tx.Append("group:g", txn.Draft{Body: &note{"x"}})
			tx.Append("user:b", txn.Draft{Body: &note{"y"}})
			return nil
		}); err != nil {
		t.Fatal(err)
	}
	snap, err := userstate.ReadSnapshot(t.Context(), s, "b")
	if err != nil || snap.Head != 1 || len(snap.Groups) != 1 || snap.Groups[0].Head != 1 || len(snap.Invitations) != 1 ||
		snap.Invitations[0].Mine.UserID != "b" {
		t.Errorf("b sees %+v, %v", snap, err)
	}
	snap, err = userstate.ReadSnapshot(t.Context(), s, "a")
	if err != nil || len(snap.Invitations) != 1 || snap.Invitations[0].Mine != nil {
		t.Errorf("a sees %+v, %v", snap, err)
	}
	snap, err = userstate.ReadSnapshot(t.Context(), s, "stranger")
	if err != nil || snap.Head != 0 || len(snap.Invitations) != 0 {
		t.Errorf("a stranger sees %+v, %v", snap, err)
	}
}

func tombstones(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	need := txn.ReadSet{Tombstones: []txn.InviteeKey{{InviteID: "i", UserID: "a"}, {InviteID: "old", UserID: "a"}}}
	if err := Do(t, s, need, func(tx *txn.Tx) error {
		tx.PutTombstone(txn.Tombstone{InviteID: "i", UserID: "a", Target: "t", ExpiresAt: tx.Now + 60_000})
		tx.PutTombstone(txn.Tombstone{InviteID: "old", UserID: "a", ExpiresAt: tx.Now})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := retention.New(s, retention.Options{}).Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := Do(t, s, need, func(tx *txn.Tx) error {
		if m := tx.Tombstone("i", "a"); m == nil || m.Target != "t" {
			t.Errorf("the mark is %+v", m)
		}
		if m := tx.Tombstone("old", "a"); m != nil {
			t.Errorf("the expired mark is %+v", m)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func online(t *testing.T, open Engine) {
	s := open(t)
	got := make(chan txn.Record, 2)
	Run(t, s, func(list []txn.Record) {
		for _, r := range list {
			got <- r
		}
	})
	if err := Do(t, s, txn.ReadSet{Topics: []string{"user:a"}}, func(tx *txn.Tx) error {
		tx.Append("user:a", txn.Draft{Online: true, Body: &note{"now"}})
		tx.Append("user:a", txn.Draft{Body: &note{"kept"}})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if r := <-got; r.Seq != 0 || !strings.Contains(string(r.Body), "now") {
		t.Errorf("%+v", r)
	}
	if r := <-got; r.Seq != 1 {
		t.Errorf("%+v", r)
	}
	if list := records(t, s, "user:a", 0); len(list) != 1 {
		t.Errorf("kept: %v", list)
	}
}

func glare(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	terms := invite.Terms{ID: "i", Inviter: "a", Timeout: 60, MergeGlare: true}
	v, list := invite.New(terms, []string{"b"}, invite.Actor{User: "a"}, "p", 1000)
	key := txn.GlareKey{From: "a", To: "b"}
	look := func(want string) *store.Unit {
		return &store.Unit{Reads: txn.ReadSet{Topics: []string{"user:a", "user:b"}, Glare: []txn.GlareKey{key}},
			Decide: func(tx *txn.Tx) error {
				if got := tx.Glare(key); got != want {
					return fmt.Errorf("glare is %q, want %q", got, want)
				}
				return nil
			}}
	}
	open1 := &store.Unit{Reads: txn.ReadSet{Invitations: []string{"i"}, Topics: []string{"user:a", "user:b"}},
		Decide: func(tx *txn.Tx) error { put(tx, v, list); return nil }}
	if err := errors.Join(together(t, s, open1, look("i"))...); err != nil {
		t.Error(err)
	}
	if err := errors.Join(together(t, s, look("i"))...); err != nil {
		t.Error(err)
	}
	end := &store.Unit{Reads: txn.ReadSet{Topics: []string{"user:a", "user:b"}, Invitations: []string{"i"},
		OpenInvitees: []string{"i"}}, Decide: func(tx *txn.Tx) error {
		c := invite.Leave(*tx.Invitation("i"), tx.OpenInvitees("i"), 2000)
		put(tx, c.Invitation, c.Invitees)
		return nil
	}}
	if err := errors.Join(together(t, s, end, look(""))...); err != nil {
		t.Error(err)
	}
}
