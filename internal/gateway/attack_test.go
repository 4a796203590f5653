package gateway

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/beckon-im/beckon/internal/txn"
)

// TestSenselessLength: a frame with a negative length closes only its sender's link.
func TestSenselessLength(t *testing.T) {
	h := open(t, Options{})
	d := h.in("ann")
	if _, err := d.conn.NetConn().Write([]byte("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00")); err != nil {
		t.Fatal(err)
	}
	for _, err := d.read(false); err == nil; _, err = d.read(false) {
	}
	h.empty("ann")
	h.in("bob")
}

// TestPingIsEchoed: the payload of a WebSocket ping is echoed.
func TestPingIsEchoed(t *testing.T) {
	h := open(t, Options{})
	d := h.in("ann")
	got := make(chan string, 1)
	d.conn.SetPongHandler(func(s string) error { got <- s; return errors.New("enough") })
	if err := d.conn.WriteControl(websocket.PingMessage, []byte("abc"), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, err := d.read(false); err == nil; _, err = d.read(false) {
	}
	if s := <-got; s != "abc" {
		t.Errorf("the pong contains %q", s)
	}
}

// TestNothingAfterTheGoodbye: commands after one that closed the link are not run.
func TestNothingAfterTheGoodbye(t *testing.T) {
	moved := atomic.Int64{}
	h := open(t, Options{OnPresenceChange: func(string, bool) { moved.Add(1) }})
	d := h.dial()
	d.send(`{"id":1,"connect":{}}` + "\n" + `{"id":2,"connect":{"token":"ann"}}` + "\n" + `{"id":3,"rpc":{"method":"x"}}`)
	d.ends(4500, false)
	h.empty("ann")
	if moved.Load() != 0 {
		t.Error("the connect request after the close was run")
	}
}

// fragile are feeds with Open failing sometimes.
type fragile struct {
	mu   sync.Mutex
	open map[string]bool
	n    int
}

func (f *fragile) Open(topic string) error {
	<-time.After(50 * time.Microsecond) // other readers join meanwhile
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n++; f.n%4 == 0 {
		return errors.New("not now")
	}
	f.open[topic] = true
	return nil
}

func (*fragile) Begin(string, uint64) {}

func (f *fragile) Close(topic string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, topic)
	return nil
}

// TestAFeedThatFailsToOpen: several clients join overlapping topics at the same time, and some topics fail to open. All
// joins return, each topic with readers is open, and a client with an error reads none.
func TestAFeedThatFailsToOpen(t *testing.T) {
	h := open(t, Options{})
	f := &fragile{open: map[string]bool{}}
	h.g.feeds = f
	for round := range 200 {
		names := []string{fmt.Sprint("group:a", round), fmt.Sprint("group:b", round), fmt.Sprint("group:c", round)}
		var all sync.WaitGroup
		var in [4][]reader
		for i := range in {
			all.Go(func() {
				block := make([]reader, 2)
				if _, err := h.g.join(names[i%2:i%2+2], block); err == nil {
					in[i] = block
				}
			})
		}
		all.Wait()
		readers := map[string]int{}
		for _, block := range in {
			for i := range block {
				readers[block[i].topic.name]++
			}
		}
		for _, name := range names {
			f.mu.Lock()
			is := f.open[name]
			f.mu.Unlock()
			found := 0
			if t := h.g.topics.find(name); t != nil {
				found = len(t.readers)
			}
			if n := readers[name]; is != (n > 0) || found != n {
				t.Fatalf("%d joined %s, it has %d readers, and it is open: %v", n, name, found, is)
			}
		}
		for _, block := range in {
			for i := range block {
				h.g.leave(&block[i])
			}
		}
		for _, name := range names {
			if h.g.topics.find(name) != nil {
				t.Fatalf("%s is not removed", name)
			}
		}
	}
}

// TestMissedTooMuchInAll: a device that missed more than fits into its queue, in several topics, connects and has to
// reload.
func TestMissedTooMuchInAll(t *testing.T) {
	h := open(t, Options{MaxQueue: 1 << 20})
	subs := make([]string, 4)
	for i := range subs {
		name := fmt.Sprint("group:", i)
		h.handler.extra = append(h.handler.extra, name)
		subs[i] = fmt.Sprintf(`%q:{"recover":true,"epoch":"epoch","offset":0}`, name)
		for range 10 {
			h.log.mu.Lock()
			h.log.topics[name] = append(h.log.topics[name],
				txn.Record{Topic: name, Seq: uint64(len(h.log.topics[name]) + 1),
					Body: []byte(`"` + strings.Repeat("x", 40_000) + `"`)})
			h.log.mu.Unlock()
		}
	}
	d := h.dial()
	d.send(`{"id":1,"connect":{"token":"ann","subs":{` + strings.Join(subs, ",") + `}}}`)
	r := d.reply()
	recovered := 0
	for _, s := range r.Connect.Subs {
		if s.Recovered {
			recovered++
		}
	}
	if len(r.Connect.Subs) != 4 || recovered != 1 {
		t.Errorf("%d of %d topics were recovered", recovered, len(r.Connect.Subs))
	}
}

// TestStoppingTellsEverybody: links without a session are also closed with the shutdown code.
func TestStoppingTellsEverybody(t *testing.T) {
	h := open(t, Options{})
	in, coming := h.in("ann"), h.dial()
	h.g.end()
	in.ends(3001, false)
	coming.ends(3001, false)
}

// TestAheadOfTheNode: a device with a record that this node cannot read yet continues after it; one that claims a
// nonexistent record has to reload.
func TestAheadOfTheNode(t *testing.T) {
	h := open(t, Options{})
	for range 5 {
		h.log.append("user:ann", "")
	}
	h.log.hidden = 2
	for claimed, recovered := range map[uint64]bool{3: true, 4: true, 5: true, 6: false} {
		d := h.dial()
		d.send(fmt.Sprintf(`{"id":1,"connect":{"token":"ann",`+
			`"subs":{"user:ann":{"recover":true,"epoch":"epoch","offset":%d}}}}`, claimed))
		if s := d.reply().Connect.Subs["user:ann"]; s.Recovered != recovered || recovered && s.Offset != claimed ||
			len(s.Publications) > 0 {
			t.Errorf("a device with %d of 5 records, 3 of them readable, got %+v", claimed, s)
		}
	}
}
