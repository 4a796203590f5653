package gateway

import (
	"testing"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/txn"
)

// TestTheLastEventBeforeTheEnd: the last event about an invitation that is held for the response to a call follows the
// response and precedes the end of the invitation's topic, because clients drop events of topics without a
// subscription.
func TestTheLastEventBeforeTheEnd(t *testing.T) {
	h := open(t, Options{})
	h.handler.calls = make(chan func(), 1)
	d := h.dial()
	d.send(`{"id":1,"connect":{"token":"ann","data":"phone"}}`)
	d.reply()
	topic := im.InvitationTopic("i")
	h.send("user:ann", listen.To(topic, 0))
	for r := d.next(); r.Push == nil || r.Push.Channel != topic || r.Push.Subscribe == nil; {
		r = d.next()
	}
	d.send(`{"id":2,"rpc":{"method":"modifyInvitation","data":{"inviteID": "i"}}}`)
	answer := <-h.handler.calls
	last := h.log.append(topic, listen.EndOfTopic)
	last.Body = []byte(`{"inviteID":"i"}`)
	h.ways.Announce([]txn.Record{last})
	for read := true; read; { // until the end was applied
		read = len(h.g.readersOf(topic)) > 0
	}
	answer()
	if r := d.next(); r.ID != 2 {
		t.Fatalf("got %+v before the response", r)
	}
	if r := d.next(); r.Push == nil || r.Push.Pub == nil || r.Push.Channel != topic {
		t.Fatalf("got %+v after the response, not the last event", r)
	}
	if r := d.next(); r.Push == nil || r.Push.Unsubscribe == nil || r.Push.Channel != topic {
		t.Fatalf("got %+v after the last event, not the end", r)
	}
}
