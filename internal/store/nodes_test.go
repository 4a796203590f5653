package store_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
)

// TestSharesOfDeadlines: the shares of the nodes together are all deadlines, once; late ones are in every share.
func TestSharesOfDeadlines(t *testing.T) {
	s := newShared(t, 1, store.Options{})
	now := s.stores[0].Now()
	const n = 100
	for i := range n {
		id := fmt.Sprint("i", i)
		if err := s.do(0, txn.ReadSet{Topics: []string{"user:ann"}, Invitations: []string{id}}, func(tx *txn.Tx) error {
			v, _ := invite.New(invite.Terms{ID: id, Inviter: "ann"}, nil, invite.Actor{}, "p", tx.Now)
			v.Counts.Open, v.Due = 1, now+int64(i)
			tx.PutInvitation(v)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	read := func(share store.Share, late int64) (ids []string) {
		for after := (store.Deadline{}); ; {
			list, err := s.stores[0].DueSoon(t.Context(), now+n, after, share, late, 7)
			if err != nil {
				t.Fatal(err)
			}
			for _, after = range list {
				ids = append(ids, after.InviteID)
			}
			if len(list) < 7 {
				return ids
			}
		}
	}
	var all []string
	for i := range 3 {
		all = append(all, read(store.Share{Index: i, Count: 3}, now)...)
		if got := len(read(store.Share{Index: i, Count: 3}, now+60)); got < 60+13 || got > 60+14 {
			t.Errorf("the share %d has %d deadlines when 60 are late", i, got)
		}
	}
	slices.Sort(all)
	if len(all) != n || len(slices.Compact(all)) != n {
		t.Errorf("the shares have %d deadlines, %d of them different, want %d", len(all), len(slices.Compact(all)), n)
	}
}

// TestListOfNodes: a node is in the list from its first entry until it leaves.
func TestListOfNodes(t *testing.T) {
	s := newShared(t, 2, store.Options{})
	attend := func(i int, node string, want ...string) {
		t.Helper()
		list, err := s.stores[i].Register().Attend(t.Context(), node)
		if slices.Sort(list); err != nil || !slices.Equal(list, want) {
			t.Errorf("the list is %v, %v; want %v", list, err, want)
		}
	}
	attend(0, "a", "a")
	attend(1, "b", "a", "b")
	attend(0, "a", "a", "b")
	if err := s.stores[0].Register().Leave(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	attend(1, "b", "b")
	s.links[1].Cut()
	if _, err := s.stores[1].Register().Attend(t.Context(), "b"); err == nil {
		t.Error("it reads a list over a cut link")
	}
	s.links[1].Heal()
	attend(1, "b", "b")
}
