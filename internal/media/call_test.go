package media

import (
	"context"
	"testing"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/storetest"
	"github.com/beckon-im/beckon/internal/txn"
)

func running(t *testing.T) (s *store.Store, do func(txn.ReadSet, func(*txn.Tx) error)) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, s, nil)
	return s, func(reads txn.ReadSet, decide func(*txn.Tx) error) {
		t.Helper()
		if err := storetest.Do(t, s, reads, decide); err != nil {
			t.Fatal(err)
		}
	}
}

func part(users ...string) (list []*im.Participant) {
	for _, u := range users {
		list = append(list, &im.Participant{CallID: "c", UserID: u})
	}
	return list
}

// TestARecordLeavesContactsAlone ends a one-to-one call when the writer has all its rows but the contacts in its
// cache.
func TestARecordLeavesContactsAlone(t *testing.T) {
	s, do := running(t)
	want := im.Contact{UserID: "o", Peer: "y", Counted: 7, PeerRead: 3, BlockedAt: 99}
	do(txn.ReadSet{Contacts: []txn.ContactKey{{UserID: "o", Peer: "y"}}},
		func(tx *txn.Tx) error { tx.PutContact(want); return nil })
	none := func(context.Context, *sqldb.Session, int64) error { return nil }
	if err := s.MaintainRows(t.Context(), none); err != nil { // empties the writer's cache
		t.Fatal(err)
	}
	for _, u := range []string{"user:o", "user:y"} {
		do(txn.ReadSet{Topics: []string{u}}, func(*txn.Tx) error { return nil })
	}
	call := &im.Call{ID: "c", RoomID: "r", InviteID: "i", Owner: "o", Peer: "y", OpenedAt: 1, BeganAt: 1}
	do(txn.ReadSet{Topics: []string{"room:r"}}, func(tx *txn.Tx) error { return appendEvent(tx, call, part("o", "y")) })
	if got, err := s.Contact(t.Context(), "o", "y"); err != nil || *got != want {
		t.Errorf("it was %+v and is %+v, %v", want, got, err)
	}
}

// TestACallWithoutItsInviter expects a record for each of the two participants, on the timeline of the absent
// inviter.
func TestACallWithoutItsInviter(t *testing.T) {
	s, do := running(t)
	call := &im.Call{ID: "c", RoomID: "r", InviteID: "i", Owner: "o", OpenedAt: 1, BeganAt: 1}
	do(txn.ReadSet{Topics: []string{"room:r"}}, func(tx *txn.Tx) error { return appendEvent(tx, call, part("y", "z")) })
	if p, err := s.Records(t.Context(), "user:o", 0, 10, 1<<20); err != nil || len(p.Records) != 2 {
		t.Errorf("the inviter has %d records, %v", len(p.Records), err)
	}
}

// TestComparisonsExtendNoGrace: a user alone in a call keeps the grace period that began with the leave of the other,
// however often the call is compared with LiveKit since.
func TestComparisonsExtendNoGrace(t *testing.T) {
	s, do := running(t)
	reads := callReads("r", "o")
	do(reads, func(tx *txn.Tx) error {
		r := im.Room{ID: "r", Owner: "o"}
		r.Open(nil, tx.Now)
		r.Occupy(2, tx.Now)
		tx.PutRoom(r)
		return nil
	})
	call := &im.Call{ID: "c", RoomID: "r", Owner: "o", OpenedAt: 1, BeganAt: 1, Total: 2}
	ends := func(present int) (at int64) {
		call.Present = present
		do(reads, func(tx *txn.Tx) error { put(tx, call); return nil })
		do(reads, func(tx *txn.Tx) error { at = tx.Room("r").CheckAt; return nil })
		for now := s.Now(); now == s.Now(); { // the clock has moved on
		}
		return at
	}
	first, second, together, again := ends(1), ends(1), ends(2), ends(1)
	if first == 0 || second != first || together != 0 || again <= first {
		t.Errorf("the grace period ends at %d, after a comparison at %d, with two users at %d, and alone again at %d", first,
			second, together, again)
	}
}
