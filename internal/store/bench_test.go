package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
)

// filled is a running store in which fill has put something.
func filled(b *testing.B, fill func(do func(txn.ReadSet, func(*txn.Tx)))) *store.Store {
	b.Helper()
	s, err := store.Open(b.Context(), store.Options{Dir: b.TempDir(), NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	b.Cleanup(func() { stop(); running.Wait(); _ = s.Close() })
	var all sync.WaitGroup
	fill(func(need txn.ReadSet, decide func(*txn.Tx)) {
		all.Add(1)
		u := &store.Unit{Reads: need, Decide: func(tx *txn.Tx) error { decide(tx); return nil }, Done: func(err error) {
			if err != nil {
				b.Error(err)
			}
			all.Done()
		}}
		if err := s.Submit(u); err != nil {
			b.Fatal(err)
		}
	})
	all.Wait()
	return s
}

const body = `{"type":"message","messageID":"01a2061c-4bac-70bc-bfe8-7297ce70e622",` +
	`"messageType":"text","from":"bob","groupID":"g","time":1795000000000,` +
	`"text":"a message of the usual length, neither long nor short"}`

// BenchmarkHistory reads a page of 50 from the middle of a conversation of a million messages.
func BenchmarkHistory(b *testing.B) {
	const messages, each = 1_000_000, 500
	s := filled(b, func(do func(txn.ReadSet, func(*txn.Tx))) {
		for n := range messages / each {
			do(txn.ReadSet{Topics: []string{"group:g"}}, func(tx *txn.Tx) {
				for i := range each {
					tx.Append("group:g", txn.Draft{Body: text(body), Peer: txn.GroupPeer, Counts: true, Message: fmt.Sprint(n, "-", i),
						Sender: "bob"})
				}
			})
		}
	})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		h := store.HistoryRange{User: "ann", Topic: "group:g", Peer: txn.GroupPeer, From: uint64(50 + (i*7919)%messages),
			Limit: 50}
		list, err := s.History(b.Context(), h)
		if err != nil || len(list) < 49 {
			b.Fatal(len(list), err)
		}
	}
}

// BenchmarkConversations lists the conversations of somebody who has a thousand of them, half of them groups.
func BenchmarkConversations(b *testing.B) {
	const conversations, each = 1000, 20
	s := filled(b, func(do func(txn.ReadSet, func(*txn.Tx))) {
		for n := range conversations / 2 {
			group, peer := fmt.Sprint("g", n), fmt.Sprint("p", n)
			do(txn.ReadSet{
				Topics: []string{"user:ann", im.GroupTopic(group)}, Contacts: []txn.ContactKey{{UserID: "ann", Peer: peer}},
			}, func(tx *txn.Tx) {
				tx.PutGroup(im.Group{ID: group, Type: im.Work, Members: 2})
				tx.PutMember(im.Member{GroupID: group, UserID: "ann", Role: im.RoleMember})
				tx.PutContact(im.Contact{UserID: "ann", Peer: peer, Counted: each})
				for i := range each {
					tx.Append(im.GroupTopic(group), txn.Draft{Body: text(body), Peer: txn.GroupPeer, Counts: true,
						Message: fmt.Sprint(group, "-", i), Sender: "bob"})
					tx.Append("user:ann", txn.Draft{Body: text(body), Peer: peer, Ord: int64(i + 1), Message: fmt.Sprint(peer, "-", i),
						Sender: peer})
				}
			})
		}
	})
	b.ReportAllocs()
	for b.Loop() {
		list, _, err := s.Conversations(b.Context(), "ann")
		if err != nil || len(list) != conversations || list[0].Last.Seq == 0 {
			b.Fatal(len(list), err)
		}
	}
}
