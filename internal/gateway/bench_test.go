package gateway

import (
	"fmt"
	"testing"

	wire "github.com/centrifugal/protocol"

	"github.com/beckon-im/beckon/internal/gateway/link"
	"github.com/beckon-im/beckon/internal/txn"
)

// crowd returns a gateway with readers of a group on links that discard frames.
func crowd(tb testing.TB, readers int) (*Gateway, func()) {
	tb.Helper()
	h := open(tb, Options{})
	for i := range readers {
		c := &client{g: h.g, link: link.Discard(), Session: &Session{UserID: fmt.Sprint("user", i)}}
		readers, _, err := c.open([]string{"group:g"}, 0)
		if err != nil {
			tb.Fatal(err)
		}
		readers[0].live()
	}
	seq, body := uint64(0), []byte(`{"type":"invited","data":"`+string(make([]byte, 400))+`"}`)
	return h.g, func() {
		seq++
		h.g.Deliver(txn.Record{Topic: "group:g", Seq: seq, Body: body})
	}
}

// BenchmarkDeliver delivers a record to all readers of its topic.
func BenchmarkDeliver(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			_, deliver := crowd(b, n)
			b.ReportAllocs()
			for b.Loop() {
				deliver()
			}
		})
	}
}

// called returns a device that calls methods, without a socket.
func called(tb testing.TB) func() {
	tb.Helper()
	h := open(tb, Options{})
	c := &client{g: h.g, link: link.Discard(), Session: &Session{UserID: "ann"}}
	cmd := &wire.Command{Id: 7, Rpc: &wire.RPCRequest{Method: "accept", Data: []byte(`{"inviteID":"x"}`)}}
	return func() { c.Receive(cmd) }
}

// BenchmarkCall runs a call and writes its response.
func BenchmarkCall(b *testing.B) {
	call := called(b)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}
