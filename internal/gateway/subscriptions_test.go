package gateway

import (
	"sync"
	"testing"

	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/txn"
)

// TestOldSubscriptionChange: a subscription change that the session's topics include already is not applied again while
// the session catches up: the topic may have ended meanwhile, and all its records would come twice.
func TestOldSubscriptionChange(t *testing.T) {
	h := open(t, Options{})
	const invitation = "invitation:i"
	h.log.append("user:ann", listen.To(invitation, 0))
	h.handler.extra = []string{invitation}
	caughtUp, goOn := make(chan struct{}), make(chan struct{})
	h.handler.slow = func(string) { h.log.append("user:ann", "") } // the session reads it when it catches up
	var once sync.Once
	h.log.onRecords = func(string) { once.Do(func() { close(caughtUp); <-goOn }) }
	d := h.dial()
	d.send(`{"id":1,"connect":{"token":"ann"}}`)
	<-caughtUp
	h.send(invitation, listen.EndOfTopic)
	times := 0
	for ended := false; !ended; {
		r := d.next()
		if r.Push == nil || r.Push.Channel != invitation {
			continue
		}
		if r.Push.Pub != nil {
			times++
		}
		ended = r.Push.Unsubscribe != nil
	}
	old, _ := listen.Parse(listen.To(invitation, 0))
	h.g.Listen("user:ann", 1, old)
	h.g.Listen("user:ann", 0, listen.Change{Topic: "group:after"})
	close(goOn)
	for {
		r := d.next()
		if r.Push != nil && r.Push.Channel == invitation && r.Push.Pub != nil {
			times++
		}
		if r.Push != nil && r.Push.Channel == "group:after" {
			break
		}
	}
	if times != 1 {
		t.Errorf("the end of the invitation came %d times", times)
	}
}

// TestLateSubscriptionChange: a subscription change of an online-only invitation has no sequence. One that arrives
// after the invitation's topic has ended is ignored.
func TestLateSubscriptionChange(t *testing.T) {
	h := open(t, Options{})
	const invitation = "invitation:i"
	d := h.dial()
	d.send(`{"id":1,"connect":{"token":"ann"}}`)
	if r := d.reply(); r.Connect == nil {
		t.Fatalf("%+v", r)
	}
	change, _ := listen.Parse(listen.To(invitation, 0))
	h.g.Listen("user:ann", 0, change)
	h.send(invitation, "")
	h.send(invitation, listen.EndOfTopic)
	records, ended := 0, false
	for !ended {
		r := d.next()
		if r.Push != nil && r.Push.Channel == invitation {
			ended = r.Push.Unsubscribe != nil
			if r.Push.Pub != nil {
				records++
			}
		}
	}
	h.g.Listen("user:ann", 0, change)
	h.g.Listen("user:ann", 0, listen.Change{Topic: "group:after"})
	for {
		r := d.next()
		if r.Push != nil && r.Push.Channel == invitation {
			t.Fatalf("the ended topic is delivered again: %+v", r.Push)
		}
		if r.Push != nil && r.Push.Channel == "group:after" {
			break
		}
	}
	if records != 2 {
		t.Errorf("%d of 2 records", records)
	}
}

// TestUnsubscribedAtOnce: a device that is unsubscribed receives no later record of the topic, even if the queue of
// changes waits, and even if its subscription waits in the same queue.
func TestUnsubscribedAtOnce(t *testing.T) {
	h := open(t, Options{})
	const secret, first, wait, last = "group:secret", "group:first", "group:wait", "group:last"
	waits, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	h.log.onHead = func(topic string) {
		switch topic {
		case wait:
			once.Do(func() { close(waits); <-goOn })
		case secret: // the device is being subscribed
			h.g.Deliver(txn.Record{Topic: secret, Body: []byte("{}")})
		}
	}
	d := h.dial()
	d.send(`{"id":1,"connect":{"token":"ann"}}`)
	if r := d.reply(); r.Connect == nil {
		t.Fatalf("%+v", r)
	}
	until := func(topic string) (records int) {
		for {
			switch r := d.next(); {
			case r.Push == nil:
			case r.Push.Channel == topic:
				return records
			case r.Push.Channel == secret && r.Push.Pub != nil:
				records++
			}
		}
	}
	h.send("user:ann", listen.To(secret, 0))
	h.send("user:ann", listen.To(first, 0))
	if until(first) == 0 {
		t.Error("no record while subscribed")
	}
	h.send("user:ann", listen.To(wait, 0))
	<-waits
	h.send("user:ann", listen.Stop(secret))
	h.g.Deliver(txn.Record{Topic: secret, Body: []byte("{}")})
	h.send("user:ann", listen.To(secret, 0))
	h.send("user:ann", listen.Stop(secret))
	h.send("user:ann", listen.To(last, 0))
	close(goOn)
	if n := until(last); n != 0 {
		t.Errorf("%d records after the unsubscribe", n)
	}
}

// TestUnsubscribedWhileConnecting: a subscription that a connecting session reads from the log, and its end, which
// arrives meanwhile, are applied in this order.
func TestUnsubscribedWhileConnecting(t *testing.T) {
	h := open(t, Options{})
	const secret, last = "group:secret", "group:last"
	reading, goOn := make(chan struct{}), make(chan struct{})
	h.handler.slow = func(string) { h.log.append("user:ann", listen.To(secret, 0)) }
	var read sync.Once
	h.log.onHead = func(topic string) {
		if topic == secret {
			read.Do(func() { close(reading); <-goOn })
		}
	}
	d := h.dial()
	d.send(`{"id":1,"connect":{"token":"ann"}}`)
	<-reading
	h.g.Listen("user:ann", 2, listen.Change{Topic: secret, Stop: true})
	h.g.Listen("user:ann", 3, listen.Change{Topic: last})
	close(goOn)
	ended := false
	for {
		r := d.next()
		if r.Push == nil {
			continue
		}
		if ended = ended || r.Push.Channel == secret && r.Push.Unsubscribe != nil; r.Push.Channel == last {
			break
		}
	}
	if !ended || h.g.topics.find(secret) != nil {
		t.Error("the session is still subscribed")
	}
}

// TestUnappliedSubscription: while a subscription waits, a device receives only as many records after it as a reconnect
// looks back, by number and by time. The others follow it.
func TestUnappliedSubscription(t *testing.T) {
	for name, aged := range map[string]bool{"by number": false, "by time": true} {
		t.Run(name, func(t *testing.T) {
			h := open(t, Options{})
			const wait = "group:wait"
			waits, resume := h.blockHead(wait)
			d := h.dial()
			d.send(`{"id":1,"connect":{"token":"ann"}}`)
			if r := d.reply(); r.Connect == nil {
				t.Fatalf("%+v", r)
			}
			h.send("user:ann", listen.To(wait, 0))
			<-waits
			const records, sent = 50, listen.UnappliedRecords - 1
			for i := range uint64(records) {
				r := h.log.append("user:ann", "")
				if aged && i >= sent-5 {
					r.At += listen.UnappliedTime
				}
				h.ways.Announce([]txn.Record{r})
			}
			d.send(`{"id":2,"rpc":{"method":"echo","data":{}}}`)
			count := func(until func(received) bool) (n int) {
				for {
					r := d.next()
					if until(r) {
						return n
					}
					if r.Push != nil && r.Push.Channel == "user:ann" && r.Push.Pub != nil && r.Push.Pub.Offset > 1 {
						n++
					}
				}
			}
			want := sent
			if aged {
				want -= 5
			}
			n := count(func(r received) bool { return r.ID == 2 })
			if n != want {
				t.Errorf("%d records while the subscription waits, want %d", n, want)
			}
			resume()
			if n := count(func(r received) bool { return r.Push != nil && r.Push.Channel == wait }); n != 0 {
				t.Errorf("%d more records before the subscription", n)
			}
			last := count(func(r received) bool { return r.Push != nil && r.Push.Pub != nil && r.Push.Pub.Offset == records+1 })
			if last != records-want-1 {
				t.Errorf("%d records after the subscription", last)
			}
		})
	}
}

// blockHead blocks the first read of the head of a topic, which is part of a subscription, until resume is called.
func (h *fixture) blockHead(topic string) (waits chan struct{}, resume func()) {
	waits, goOn := make(chan struct{}), make(chan struct{})
	var once, again sync.Once
	h.log.onHead = func(name string) {
		if name == topic {
			once.Do(func() { close(waits); <-goOn })
		}
	}
	resume = func() { again.Do(func() { close(goOn) }) }
	h.t.Cleanup(resume)
	return waits, resume
}

// TestAppliedBeforeSent: a subscription change is applied while its record waits for a response. Later records are not
// held back.
func TestAppliedBeforeSent(t *testing.T) {
	h := open(t, Options{})
	h.handler.calls = make(chan func(), 1)
	d := h.dial()
	d.send(`{"id":1,"connect":{"token":"ann"}}`)
	d.reply()
	d.send(`{"id":2,"rpc":{"method":"modifyInvitation","data":{"inviteID": "i"}}}`)
	answer := <-h.handler.calls
	change := h.log.append("user:ann", listen.To("group:g", 0))
	change.Body = []byte(`{"inviteID":"i"}`)
	h.ways.Announce([]txn.Record{change})
	for r := d.next(); r.Push == nil || r.Push.Channel != "group:g"; {
		r = d.next()
	}
	answer()
	for range listen.UnappliedRecords + 5 {
		h.send("user:ann", "")
	}
	for r := d.next(); r.Push == nil || r.Push.Pub == nil || r.Push.Pub.Offset != listen.UnappliedRecords+6; {
		r = d.next()
	}
}

// TestUnappliedWhileConnecting: the connect reply has only as many records after a change that the session has still to
// apply as a reconnect looks back.
func TestUnappliedWhileConnecting(t *testing.T) {
	h := open(t, Options{})
	const wait, records, sent = "group:wait", 50, listen.UnappliedRecords - 1
	h.send("user:ann", "")
	h.handler.slow = func(string) { // after the session's topics were read
		h.log.append("user:ann", listen.To(wait, 0))
		for range records {
			h.log.append("user:ann", "")
		}
	}
	waits, resume := h.blockHead(wait)
	d := h.dial()
	d.send(`{"id":1,"connect":{"token":"ann","subs":{"user:ann":{"recover":true,"offset":1,"epoch":"epoch"}}}}`)
	sub := d.reply().Connect.Subs["user:ann"]
	if n := len(sub.Publications); !sub.Recovered || n != 1+sent || sub.Offset != 2+sent {
		t.Errorf("recovered %v up to %d, %d records; want the change and %d more", sub.Recovered, sub.Offset, n, sent)
	}
	<-waits
	h.send("user:ann", "") // live, behind the others
	resume()
	for next := sub.Offset + 1; next <= records+3; {
		if r := d.next(); r.Push != nil && r.Push.Channel == "user:ann" && r.Push.Pub != nil {
			if r.Push.Pub.Offset != next {
				t.Fatalf("record %d after the subscription, want %d", r.Push.Pub.Offset, next)
			}
			next++
		}
	}
}
