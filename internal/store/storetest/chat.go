package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/holder"
	"github.com/beckon-im/beckon/internal/store/receipt"
	"github.com/beckon-im/beckon/internal/tables"
	"github.com/beckon-im/beckon/internal/txn"
)

// say appends a message to both timelines of two users, as the methods do.
func say(t testing.TB, s *store.Store, from, to, id, text string) {
	t.Helper()
	a, b := im.UserTopic(from), im.UserTopic(to)
	err := Do(t, s, txn.ReadSet{Topics: []string{a, b}, Contacts: []txn.ContactKey{{UserID: to, Peer: from}},
		Messages: []txn.MessageKey{{Topic: a, ID: id}}}, func(tx *txn.Tx) error {
		side := tx.Contact(to, from)
		side.Counted++
		tx.PutContact(*side)
		d := txn.Draft{Body: &note{text}, Message: id, Sender: from}
		mine, theirs := d, d
		mine.Peer, mine.Words, mine.Finders = to, text, []string{a, b}
		theirs.Peer, theirs.Ord = from, side.Counted
		tx.AppendPair(a, mine, b, theirs)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func pairs(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	say(t, s, "a", "x", "m0", "elsewhere")
	say(t, s, "a", "b", "m1", "one")
	say(t, s, "b", "a", "m2", "two")
	for _, c := range []struct {
		topic, id string
		seq, pair uint64
	}{{"user:a", "m1", 2, 1}, {"user:b", "m1", 1, 2}, {"user:a", "m2", 3, 2}, {"user:b", "m2", 2, 3}} {
		m, err := s.Message(t.Context(), c.topic, c.id)
		if err != nil || m == nil || m.Seq != c.seq || m.Pair != c.pair {
			t.Errorf("%s on %s is %+v, %v", c.id, c.topic, m, err)
		}
	}
	f, err := s.ReadMark(t.Context(), "a", "b", "", 0)
	if err != nil || f.Last != 3 || f.Pair != 2 || f.Ord != 1 || f.UpTo != 3 {
		t.Errorf("reading all is %+v, %v", f, err)
	}
	if f, err = s.ReadMark(t.Context(), "a", "b", "", 2); err != nil || f.Last != 2 || f.Pair != 1 || f.Ord != 0 {
		t.Errorf("reading one's own is %+v, %v", f, err)
	}
}

func history(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	for i := range 10 {
		say(t, s, "a", "b", fmt.Sprint("m", i), fmt.Sprint(i))
		say(t, s, "a", "c", fmt.Sprint("n", i), "other")
	}
	if err := Do(t, s, txn.ReadSet{Topics: []string{"user:a"}}, func(tx *txn.Tx) error {
		tx.Upsert(tables.Deletions, "a", "user:a", 5)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	read := func(h store.HistoryRange) string {
		h.Topic = "user:a"
		list, err := s.History(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, l := range list {
			out = append(out, strings.Trim(string(l.Body), `"`))
		}
		return strings.Join(out, " ")
	}
	for want, h := range map[string]store.HistoryRange{
		"9 8 7":       {User: "a", Peer: "b", From: 1 << 40, Limit: 3},
		"3 1 0":       {User: "a", Peer: "b", From: 9, Limit: 9}, // 2 stands at 5 and is deleted
		"3 2 1 0":     {User: "z", Peer: "b", From: 9, Limit: 9},
		"4 5":         {User: "a", Peer: "b", From: 8, Newer: true, Limit: 2},
		"6 7 8 9":     {User: "a", Peer: "b", Newer: true, After: 11, Limit: 9},
		"other other": {User: "a", Peer: "c", Newer: true, Limit: 2},
		"":            {User: "a", Peer: "nobody", Newer: true, Limit: 2},
	} {
		if got := read(h); got != want {
			t.Errorf("%+v reads %q, want %q", h, got, want)
		}
	}
}

func counts(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	group := im.GroupTopic("g")
	speak := func(who string, n int) {
		for range n {
			if err := Do(t, s, txn.ReadSet{Topics: []string{group}, Groups: []string{"g"},
				Members: []txn.MemberKey{{GroupID: "g", UserID: who}}}, func(tx *txn.Tx) error {
				if tx.Group("g") == nil {
					tx.PutGroup(im.Group{ID: "g", Type: im.Work})
				}
				m := tx.Member("g", who)
				if m == nil {
					m = &im.Member{GroupID: "g", UserID: who, Role: im.RoleMember}
				}
				m.Own++
				tx.PutMember(*m)
				tx.Append(group, txn.Draft{Body: &note{who}, Peer: txn.GroupPeer, Counts: true, Sender: who})
				tx.Append(group, txn.Draft{Body: &note{"tip"}, Peer: txn.GroupPeer})
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	speak("a", 2)
	speak("b", 3)
	speak("a", 1)
	f, err := s.ReadMark(t.Context(), "a", "", "g", 6) // two of a's, one of b's, and their tips
	if err != nil || f.Last != 6 || f.Ord != 3 || f.Own != 2 {
		t.Errorf("reading half is %+v, %v", f, err)
	}
	sides, own, err := s.Conversations(t.Context(), "a")
	if err != nil || len(sides) != 1 || own != 0 || sides[0].Counted != 6 ||
		sides[0].Member.Unread(sides[0].Group, 6) != 3 || sides[0].Last.Seq != 12 {
		t.Errorf("the side of a is %+v, %d, %v", sides, own, err)
	}
}

func words(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	say(t, s, "a", "b", "m1", "the quick fox")
	say(t, s, "a", "c", "m2", "the quick hare")
	find := func(topics []string, words ...string) string {
		list, err := s.Search(t.Context(), words, topics, 1<<62, 10)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, f := range list {
			ids = append(ids, f.Msg)
		}
		return strings.Join(ids, " ")
	}
	for want, got := range map[string]string{
		"m2 m1": find([]string{"user:a"}, "quick"), "m1": find([]string{"user:b"}, "quick"),
		"":   find([]string{"user:d"}, "quick"),
		"m2": find([]string{"user:a"}, "the", "har"),
	} {
		if got != want {
			t.Errorf("found %q, want %q", got, want)
		}
	}
	if err := Do(t, s, txn.ReadSet{Topics: []string{"user:a"}}, func(tx *txn.Tx) error {
		tx.Find(sqldb.Phrase{Topic: "user:a", Message: "m1", Words: "slow", Finders: []string{"user:a"}})
		tx.Find(sqldb.Phrase{Topic: "user:a", Message: "m2"})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := find([]string{"user:a"}, "quick") + "|" + find([]string{"user:a"}, "slow"); got != "|m1" {
		t.Errorf("after the changes: %q", got)
	}
}

func reopenChat(t *testing.T, open Engine) {
	s := open(t)
	stop := Run(t, s, nil)
	contact := im.Contact{UserID: "a", Peer: "b", Counted: 3, PeerRead: 2, BlockedAt: 9,
		Reading: im.Reading{ReadSeq: 4, ReadOrd: 2, PinnedAt: 7, Opt: im.OptQuiet, HiddenSeq: 1, ClearedSeq: 1,
			Skipped: "4-5"}}
	group := im.Group{ID: "g", Type: im.Public, Owner: "a", Members: 1, MaxMembers: 9, Muted: true, CreatedAt: 5,
		Info: im.GroupInfo{Name: "n", Introduction: "i", Notification: "o", FaceURL: "f", Custom: "c", Join: im.WayApproval,
			Invite: im.WayFree}}
	member := im.Member{GroupID: "g", UserID: "a", Role: im.RoleOwner, JoinedAt: 5, JoinedSeq: 2, NameCard: "A",
		Custom: "c", MutedUntil: 8, BannedUntil: 6, Marks: 3, Own: 4, OwnRead: 2, Extra: "9", Reading: contact.Reading}
	extra := txn.Extra{GroupID: "g", Attributes: map[string]string{"k": "v"}, Version: 2,
		Counters: map[string]int64{"n": -1}, Recent: []string{"r"}}
	settings := txn.User{UserID: "a", Profile: `{"nick":"A"}`, Status: "busy", DND: "{}"}
	asks := txn.Application{GroupID: "g", UserID: "z", Inviter: "y", Reason: "r", State: txn.Refused, AppliedAt: 1,
		Handler: "a", Answer: "no", HandledAt: 2}
	file := txn.File{ID: "f", Owner: "a", Kind: "image", Name: "n", Type: "image/png", Size: 3, Hash: "h", Width: 1,
		Height: 2, Thumb: "t"}
	need := txn.ReadSet{Topics: []string{"user:a", "group:g"}, Contacts: []txn.ContactKey{{UserID: "a", Peer: "b"}},
		Extras: []string{"g"}, Users: []string{"a"}, Applications: []txn.MemberKey{{GroupID: "g", UserID: "z"}}}
	if err := Do(t, s, need, func(tx *txn.Tx) error {
		tx.PutContact(contact)
		tx.PutGroup(group)
		tx.PutMember(member)
		tx.PutExtra(extra)
		tx.PutUser(settings)
		tx.PutApplication(asks)
		tx.PutFollow(txn.Follow{UserID: "a", Target: "b"})
		tx.PutFollow(txn.Follow{UserID: "a", Target: "c"})
		tx.PutReceipt(txn.Receipt{Topic: "group:g", ID: "m", UserID: "b", At: 3})
		tx.PutFile(file)
		holder.Hold(tx, holder.Holder{File: "f", Topic: "group:g", Message: "m"})
		for _, id := range []string{"x", "y", "m"} {
			tx.Append("group:g", txn.Draft{Body: &note{"a picture"}, Peer: txn.GroupPeer, Message: id, Sender: "a"})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := Do(t, s, txn.ReadSet{Topics: []string{"user:a"}, Follows: []txn.ContactKey{{UserID: "a", Peer: "c"}}},
		func(tx *txn.Tx) error {
			tx.PutFollow(txn.Follow{UserID: "a", Target: "c", Gone: true})
			return nil
		}); err != nil {
		t.Fatal(err)
	}
	stop()
	s = open(t)
	Run(t, s, nil)
	ctx := t.Context()
	c, err := s.Contact(ctx, "a", "b")
	same(t, "the contact", *c, contact, err)
	g, err := s.Group(ctx, "g")
	same(t, "the group", *g, group, err)
	m, err := s.Member(ctx, "g", "a")
	same(t, "the member", *m, member, err)
	x, err := s.Extra(ctx, "g")
	same(t, "the extra", x, extra, err)
	p, err := s.User(ctx, "a")
	same(t, "the user", *p, settings, err)
	list, err := s.Applications(ctx, "a", "", "", 9)
	same(t, "the applications", list, []txn.Application{asks}, err)
	follows, err := s.Follows(ctx, "a")
	same(t, "the subscriptions", follows, []string{"b"}, err)
	readers, err := receipt.Readers(ctx, s, &txn.Message{Topic: "group:g", ID: "m"}, "", 9)
	same(t, "the readers", readers, []receipt.Reader{{UserID: "b", At: 3}}, err)
	f, err := s.File(ctx, "f")
	same(t, "the file", *f, file, err)
	for user, want := range map[string]bool{"a": true, "b": false} {
		may, err := holder.MayRead(ctx, s, "f", user)
		same(t, "whether "+user+" may read the file", may, want, err)
	}
	blocked, err := s.Blocked(ctx, "a", "", 9)
	if err != nil || !slices.Equal(blocked, []string{"b"}) {
		t.Errorf("blocked are %v, %v", blocked, err)
	}
}

// same compares a read value with the written one.
func same(t *testing.T, name string, got, want any, err error) {
	t.Helper()
	if a, b := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); a != b || err != nil {
		t.Errorf("%s is %s, %v; want %s", name, a, err, b)
	}
}
