package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
)

// message is a record body of typical length.
type message string

func (message) Absorb(txn.Body) bool { return false }
func (m message) JSON() []byte       { return []byte(m) }

// fill writes messages to the conversations of a thousand groups, directly into the database before the server starts:
// through the API it would take hours.
func fill(dir string, messages int) error {
	const groups, each = 1000, 100
	s, err := store.Open(context.Background(), store.Options{Dir: dir, NoSync: true})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { err = errors.Join(err, s.Run(ctx)) })
	var waiting sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for n := range messages / each {
		topic := fmt.Sprintf("group:full-%d", n%groups)
		waiting.Add(1)
		u := &store.Unit{
			Reads: txn.ReadSet{Topics: []string{topic}},
			Decide: func(tx *txn.Tx) error {
				for i := range each {
					id := fmt.Sprintf("%08d-%03d", n, i)
					tx.Append(topic, txn.Draft{Peer: txn.GroupPeer, Counts: true, Message: id, Sender: "bob",
						Body: message(`{"type":"message","messageID":"` + id +
							`","messageType":"text","from":"bob","groupID":"full","time":1795000000000,"text":` +
							`"a message of the usual length, neither long nor short, as one would write it to a friend"}`)})
				}
				return nil
			},
			Done: func(err error) {
				mu.Lock()
				failed = errors.Join(failed, err)
				mu.Unlock()
				waiting.Done()
			},
		}
		if err := s.Submit(u); err != nil {
			waiting.Done()
			failed = errors.Join(failed, err)
			break
		}
	}
	waiting.Wait()
	stop()
	running.Wait()
	return errors.Join(failed, err, s.Close())
}
