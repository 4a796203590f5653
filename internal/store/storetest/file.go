package storetest

import (
	"testing"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/holder"
	"github.com/beckon-im/beckon/internal/store/retention"
	"github.com/beckon-im/beckon/internal/tables"
	"github.com/beckon-im/beckon/internal/txn"
)

// holders checks the readers of a file while messages that hold it are added and removed. b has a one-to-one message of
// a; d joined the group after its first message.
func holders(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	b, group := "user:b", "group:g"
	step := func(what string, readable string, decide func(*txn.Tx)) {
		t.Helper()
		need := txn.ReadSet{Topics: []string{b, group}, Contacts: []txn.ContactKey{{UserID: "b", Peer: "a"}},
			Messages: []txn.MessageKey{{Topic: b, ID: "m"}, {Topic: b, ID: "n"}, {Topic: group, ID: "p"}}}
		if err := Do(t, s, need, func(tx *txn.Tx) error { decide(tx); return nil }); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, user := range []string{"a", "b", "c", "d", "z"} {
			if may, err := holder.MayRead(t.Context(), s, "f", user); err != nil {
				t.Fatal(err)
			} else if may {
				got += user
			}
		}
		if got != readable {
			t.Errorf("%s: %q may read the file, want %q", what, got, readable)
		}
	}
	send := func(tx *txn.Tx, topic, id, audience string) {
		d := txn.Draft{Body: &note{"picture"}, Peer: "a", Message: id, Sender: "a", Audience: audience}
		if topic == group {
			d.Peer = txn.GroupPeer
		}
		tx.Append(topic, d)
		holder.Hold(tx, holder.Holder{File: "f", Topic: topic, Message: id})
	}
	step("two messages hold it", "b", func(tx *txn.Tx) { send(tx, b, "m", ""); send(tx, b, "n", "") })
	step("one is replaced", "b", func(tx *txn.Tx) { holder.Release(tx, b, "m") })
	step("it comes back", "b", func(tx *txn.Tx) { holder.Hold(tx, holder.Holder{File: "f", Topic: b, Message: "m"}) })
	step("the other is revoked", "b", func(tx *txn.Tx) { revoke(tx, b, "n") })
	step("b deletes the last", "", func(tx *txn.Tx) { tx.Upsert(tables.Deletions, "b", b, 1) })
	step("a third", "b", func(tx *txn.Tx) { send(tx, b, "o", "") })
	step("b clears the conversation", "", func(tx *txn.Tx) {
		tx.PutContact(im.Contact{UserID: "b", Peer: "a", Reading: im.Reading{ClearedSeq: 3}})
	})
	step("held and released in the same unit", "", func(tx *txn.Tx) {
		send(tx, b, "q", "")
		holder.Release(tx, b, "q")
	})
	step("it is in a group", "ac", func(tx *txn.Tx) {
		tx.PutGroup(im.Group{ID: "g", Type: im.Work, Owner: "a", Members: 4})
		tx.PutMember(im.Member{GroupID: "g", UserID: "a", Role: im.RoleOwner})
		tx.PutMember(im.Member{GroupID: "g", UserID: "c", Role: im.RoleMember})
		tx.PutMember(im.Member{GroupID: "g", UserID: "d", Role: im.RoleMember, JoinedSeq: 1})
		tx.PutMember(im.Member{GroupID: "g", UserID: "z", Role: im.RoleMember, Gone: true})
		send(tx, group, "p", "")
	})
	step("a message for c alone", "ac", func(tx *txn.Tx) { send(tx, group, "q", " a c ") })
	step("the first is revoked", "ac", func(tx *txn.Tx) { revoke(tx, group, "p") })
	step("c deletes it", "a", func(tx *txn.Tx) { tx.Upsert(tables.Deletions, "c", group, 2) })
	step("an onlineUserOnly message", "acd", func(tx *txn.Tx) {
		holder.Hold(tx, holder.Holder{File: "f", Topic: group, Message: "r", Until: s.Now() + 1<<40})
	})
	step("its time is over", "a", func(tx *txn.Tx) {
		holder.Release(tx, group, "r")
		holder.Hold(tx, holder.Holder{File: "f", Topic: group, Message: "r", Until: 1})
	})
	if err := retention.New(s, retention.Options{}).Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	step("the group is dismissed", "", func(tx *txn.Tx) {
		tx.PutGroup(im.Group{ID: "g", Type: im.Work, Owner: "a", Dismissed: true})
	})
	emptied(t, s)
}

func revoke(tx *txn.Tx, topic, id string) {
	m := *tx.Message(topic, id)
	m.Flags |= txn.FlagRevoked
	tx.PutMessage(m)
}

// emptied checks that no message of an emptied timeline holds a file.
func emptied(t *testing.T, s *store.Store) {
	t.Helper()
	if err := Do(t, s, txn.ReadSet{Topics: []string{"user:b"}}, func(tx *txn.Tx) error {
		tx.Append("user:b", txn.Draft{Body: &note{"picture"}, Peer: "x", Message: "r", Sender: "x"})
		// of an earlier one that was not stored
		holder.Hold(tx, holder.Holder{File: "f", Topic: "user:b", Message: "r", Until: 1})
		holder.Hold(tx, holder.Holder{File: "f", Topic: "user:b", Message: "r"})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := retention.New(s, retention.Options{}).Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if may, err := holder.MayRead(t.Context(), s, "f", "b"); err != nil || !may {
		t.Errorf("b may not read the file: %v", err)
	}
	if err := s.EmptyTimeline(t.Context(), "user:b"); err != nil {
		t.Fatal(err)
	}
	if may, err := holder.MayRead(t.Context(), s, "f", "b"); err != nil || may {
		t.Errorf("b may read a file whose message is gone: %v", err)
	}
}
