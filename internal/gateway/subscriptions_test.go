package gateway

import (
	"sync"
	"testing"

	"github.com/beckon-im/beckon/im"
)

// TestOldSubscriptionChange: a subscription change that the session's topics include already is not applied again while
// the session catches up: the topic may have ended meanwhile, and all its records would come twice.
func TestOldSubscriptionChange(t *testing.T) {
	h := open(t, Options{})
	const invitation = "invitation:i"
	h.log.append("user:ann", im.ListenTo(invitation, 0))
	h.handler.extra = []string{invitation}
	caughtUp, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	h.log.onHead = func(topic string) {
		for _, c := range h.g.sessions.of("ann") {
			if topic == "user:ann" && c.is(stateOnline) { // the session catches up for the last time
				once.Do(func() { close(caughtUp); <-goOn })
			}
		}
	}
	d := h.dial()
	d.send(`{"id":1,"connect":{"token":"ann"}}`)
	<-caughtUp
	h.send(invitation, im.EndOfTopic)
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
	old, _ := im.ParseListen(im.ListenTo(invitation, 0))
	h.g.Listen("user:ann", 1, old)
	h.send("user:bob", "") // the queue of changes is applied in order
	h.g.Listen("user:ann", 0, im.Listen{Topic: "group:after"})
	for {
		r := d.next()
		if r.Push != nil && r.Push.Channel == invitation && r.Push.Pub != nil {
			times++
		}
		if r.Push != nil && r.Push.Channel == "group:after" {
			break
		}
	}
	close(goOn)
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
	change, _ := im.ParseListen(im.ListenTo(invitation, 0))
	h.g.Listen("user:ann", 0, change)
	h.send(invitation, "")
	h.send(invitation, im.EndOfTopic)
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
	h.g.Listen("user:ann", 0, im.Listen{Topic: "group:after"})
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
