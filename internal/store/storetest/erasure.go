package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/personaldata"
	"github.com/beckon-im/beckon/internal/txn"
)

// said is a body that is not merged.
type said struct{ json string }

func (s *said) JSON() []byte         { return []byte(s.json) }
func (s *said) Absorb(txn.Body) bool { return false }

func message(from, text string) *said {
	return &said{fmt.Sprintf(`{"type":"message","messageType":"text","from":%q,"text":%q}`, from, text)}
}

// forwarded is a message with a message of another user in it.
func forwarded(from, author, text string) *said {
	return &said{fmt.Sprintf(`{"type":"message","messageType":"merged","from":%q,"merged":{"messages":[{"from":%q,`+
		`"messageType":"text","text":%q}]}}`, from, author, text)}
}

// write appends records of a sender, as one unit.
func write(t testing.TB, s *store.Store, topic, peer, sender string, list ...*said) {
	t.Helper()
	if err := Do(t, s, txn.ReadSet{Topics: []string{topic}}, func(tx *txn.Tx) error {
		for _, b := range list {
			tx.Append(topic, txn.Draft{Body: b, Peer: peer, Sender: sender})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// bodies returns the records of all timelines but invitations.
func bodies(t testing.TB, s *store.Store) string {
	t.Helper()
	return list(t, s, "SELECT body FROM record ORDER BY topic, seq")
}

// fillForErasure writes a conversation of two users, messages that a third user forwarded, and more records than one
// page of a scan has.
func fillForErasure(t *testing.T, s *store.Store) {
	t.Helper()
	secrets := []*said{message("ann", "secret of ann"), message("bob", "kept"), message("ann", "secret of ann too")}
	write(t, s, im.UserTopic("bob"), "ann", "", secrets...)
	write(t, s, im.UserTopic("ann"), "bob", "", secrets...)
	var many []*said
	for i := range 2100 {
		many = append(many, message("cem", fmt.Sprint("kept ", i)))
	}
	write(t, s, im.UserTopic("many"), "cem", "cem", many...)
	both := &said{`{"type":"message","messageType":"merged","from":"cem","merged":{"messages":[` +
		`{"from":"ann","messageType":"text","text":"secret of ann"},{"from":"bob","messageType":"text","text":"kept so far"}]}}`}
	write(t, s, im.UserTopic("zoe"), "cem", "cem", both, forwarded("cem", "bob", "secret of bob"))
	if err := Do(t, s, txn.ReadSet{Contacts: []txn.ContactKey{{UserID: "ann", Peer: "bob"}}}, func(tx *txn.Tx) error {
		tx.PutContact(im.Contact{UserID: "ann", Peer: "bob"})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// erasures erases two users, with a restart in the middle of their scan.
func erasures(t *testing.T, open Engine) {
	s := open(t)
	stop := Run(t, s, nil)
	fillForErasure(t, s)
	for _, user := range []string{"ann", "bob"} {
		if _, err := personaldata.Start(t.Context(), s, user); err != nil {
			t.Fatal(err)
		}
	}
	mine := claimed(t, s, "one", 2)
	if again, err := personaldata.Start(t.Context(), s, "ann"); err != nil || again.At != mine[0].At {
		t.Errorf("a second start returns %+v, %v", again, err)
	}
	claimed(t, s, "two", 0) // another node has them
	ann, bob := &mine[0], &mine[1]
	indexed(t, s, ann)
	if text := bodies(t, s); strings.Count(text, "secret of ann") != 1 || !strings.Contains(text, "kept") {
		t.Errorf("after the stages with an index %d of ann's texts are left; only the forwarded one may be",
			strings.Count(text, "secret of ann"))
	}
	indexed(t, s, bob)
	ann.Until = s.Now() - 1
	write(t, s, im.UserTopic("zoe"), "ann", "ann", message("ann", "new words"))
	write(t, s, im.UserTopic("zoe"), "cem", "cem", forwarded("cem", "ann", "secret of ann"))
	if n, err := personaldata.ScanCopies(t.Context(), s, []*personaldata.Erasure{ann, bob}); err != nil || n != 2000 {
		t.Fatalf("the first page of the scan has %d rows, %v", n, err)
	}
	if err := personaldata.Save(t.Context(), s, ann, bob); err != nil {
		t.Fatal(err)
	}
	late := *ann
	stop()

	s = open(t)
	Run(t, s, nil)
	run(t, s, "UPDATE erasure SET owned_until = 0") // a minute later
	mine = claimed(t, s, "two", 2)
	if mine[0].Place != ann.Place || mine[0].Place == "" || mine[0].Records != 2 {
		t.Errorf("after a restart it continues at %+v; it was at %+v", mine[0], *ann)
	}
	if err := personaldata.Save(t.Context(), s, &late); !errors.Is(err, personaldata.ErrTaken) {
		t.Errorf("the node before saves its progress: %v", err)
	}
	ann, bob = &mine[0], &mine[1]
	pages := 0
	for ; ann.Stage == personaldata.StageCopies && pages < 50; pages++ {
		if _, err := personaldata.ScanCopies(t.Context(), s, []*personaldata.Erasure{ann, bob}); err != nil {
			t.Fatal(err)
		}
	}
	if err := personaldata.Save(t.Context(), s, ann, bob); err != nil {
		t.Fatal(err)
	}
	if text := bodies(t, s); strings.Contains(text, "secret") || strings.Count(text, "kept") != 2100 ||
		!strings.Contains(text, "new words") {
		t.Errorf("%d texts of the users are left, and %d of others", strings.Count(text, "secret"),
			strings.Count(text, "kept"))
	}
	if ann.Stage != personaldata.StageDone || ann.EndedAt == 0 || ann.Records != 4 || bob.Records != 2 {
		t.Errorf("after %d pages: %+v, %+v", pages, *ann, *bob)
	}
	claimed(t, s, "two", 0)
	if all, err := personaldata.List(t.Context(), s, "ann", 10); err != nil || len(all) != 1 || all[0].UserID != "bob" {
		t.Errorf("after ann are %+v, %v", all, err)
	}
	if again, err := personaldata.Start(t.Context(), s, "ann"); err != nil || again.Records != 0 || again.EndedAt != 0 {
		t.Errorf("a new erasure is %+v, %v", again, err)
	}
}

func claimed(t *testing.T, s *store.Store, node string, want int) []personaldata.Erasure {
	t.Helper()
	list, err := personaldata.Claim(t.Context(), s, node, 10)
	if err != nil || len(list) != want {
		t.Fatalf("%s claims %+v, %v; want %d", node, list, err, want)
	}
	return list
}

// indexed runs the stages of the store that come before the scan.
func indexed(t *testing.T, s *store.Store, e *personaldata.Erasure) {
	t.Helper()
	e.Move(personaldata.StageTimeline)
	for e.Stage < personaldata.StageCopies {
		step := personaldata.RemoveRows
		switch e.Stage {
		case personaldata.StageTimeline:
			step = personaldata.RewriteTimeline
		case personaldata.StageConversations:
			step = personaldata.RewriteConversations
		}
		if err := step(t.Context(), s, e); err != nil {
			t.Fatal(err)
		}
	}
}
