package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/delivery"
	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
)

// records is an in-memory log.
type records struct {
	mu                sync.Mutex
	topics            map[string][]txn.Record
	hidden            int // number of last records of each topic that cannot be read yet
	onHead, onRecords func(topic string)
}

func (l *records) append(topic, listen string) txn.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := uint64(len(l.topics[topic]) + 1)
	r := txn.Record{Topic: topic, Seq: n, Listen: listen, Body: fmt.Appendf(nil, `{"n":%d}`, n)}
	l.topics[topic] = append(l.topics[topic], r)
	return r
}

func (l *records) Records(_ context.Context, topic string, after uint64, limit, _ int) (store.Page, error) {
	if l.onRecords != nil {
		l.onRecords(topic)
	}
	return l.page(topic, after, limit), nil
}

func (l *records) Pages(_ context.Context, list []store.After, _ int) ([]store.Page, error) {
	pages := make([]store.Page, len(list))
	for i, a := range list {
		pages[i] = l.page(a.Topic, a.Seq, a.Limit)
	}
	return pages, nil
}

func (l *records) page(topic string, after uint64, limit int) store.Page {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.topics[topic]
	p := store.Page{Head: uint64(len(all))}
	if int(after) < len(all) {
		p.Records = all[after:min(len(all), int(after)+limit)]
	}
	return p
}

func (l *records) Head(_ context.Context, topic string) (uint64, error) {
	if l.onHead != nil {
		l.onHead(topic)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(max(0, len(l.topics[topic])-l.hidden)), nil
}

func (l *records) Lasts(_ context.Context, topics []string) (map[string]uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lasts := map[string]uint64{}
	for _, t := range topics {
		lasts[t] = uint64(len(l.topics[t]))
	}
	return lasts, nil
}

func (l *records) Heads(ctx context.Context, topics []string) (map[string]uint64, error) {
	heads := map[string]uint64{}
	for _, t := range topics {
		heads[t], _ = l.Head(ctx, t)
	}
	return heads, nil
}

func (*records) Epoch() string { return "epoch" }

// fakeHandler accepts every token that is a user ID, and echoes calls. The connect data is the device ID.
type fakeHandler struct {
	log     *records
	expires int64
	extra   []string // topics that every session recovers
	came    atomic.Int64
	slow    func(device string) // delays connect requests; nil = no delay
	calls   chan func()         // replies of calls; nil = calls are answered at once
}

func (d *fakeHandler) Connect(ctx context.Context, a ConnectRequest) (*Session, error) {
	if a.Token == "" {
		return nil, im.Refuse(im.CodeTokenUser, "unknown user")
	}
	topic := im.UserTopic(a.Token)
	head, _ := d.log.Head(ctx, topic)
	device := fmt.Sprintf("d%d", d.came.Add(1))
	if len(a.Data) > 0 {
		device = strings.Trim(string(a.Data), `"`)
	}
	if d.slow != nil {
		d.slow(device)
	}
	s := &Session{UserID: a.Token, DeviceID: device, ExpireAt: d.expires, Welcome: []byte(`{}`), Head: head}
	_, known := a.Known[topic]
	s.Topics = []Topic{{Name: topic, After: 0, Recover: known}}
	for _, name := range d.extra {
		s.Topics = append(s.Topics, Topic{Name: name, Recover: true})
	}
	return s, nil
}

func (d *fakeHandler) Renew(context.Context, *Session, string) (int64, error) { return d.expires, nil }

func (d *fakeHandler) Call(_ *Session, _ string, data []byte, reply func([]byte)) {
	if d.calls == nil {
		reply(data)
		return
	}
	d.calls <- func() { reply(data) }
}

// fixture is a serving gateway with its delivery over an in-memory log.
type fixture struct {
	t       testing.TB
	log     *records
	ways    *delivery.Delivery
	g       *Gateway
	handler *fakeHandler
	url     string
}

func open(t testing.TB, opt Options) *fixture {
	t.Helper()
	h := &fixture{t: t, log: &records{topics: map[string][]txn.Record{}}}
	h.ways = delivery.New(h.log, delivery.NewLocal(), delivery.Options{})
	opt.Log = slog.New(slog.DiscardHandler)
	h.g = New(h.log, h.ways, opt)
	h.handler = &fakeHandler{log: h.log}
	h.g.Serve(h.handler)
	h.ways.Serve(h.g)
	if err := h.g.Start(); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(h.g.Handler())
	h.url = web.URL
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = h.g.Run(ctx) })
	all.Go(func() { _ = h.ways.Run(ctx) })
	t.Cleanup(func() {
		stop()
		all.Wait()
		web.Close()
	})
	return h
}

// send appends a record and announces it.
func (h *fixture) send(topic, listen string) {
	h.ways.Announce([]txn.Record{h.log.append(topic, listen)})
}

// device is a raw client connection.
type device struct {
	t    testing.TB
	conn *websocket.Conn
	left []string // rest of the frame read last
}

func (h *fixture) dial() *device {
	h.t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(h.url, "http")+PathWebSocket, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close() })
	return &device{t: h.t, conn: conn}
}

func (d *device) send(text string) {
	d.t.Helper()
	if err := d.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		d.t.Fatal(err)
	}
}

// received is the part of a reply that tests examine.
type received struct {
	ID      uint32 `json:"id"`
	Connect *struct {
		Subs map[string]struct {
			Recovered    bool   `json:"recovered"`
			Offset       uint64 `json:"offset"`
			Publications []pub  `json:"publications"`
		} `json:"subs"`
	} `json:"connect"`
	Error *struct{ Code int } `json:"error"`
	RPC   *struct {
		Data json.RawMessage `json:"data"`
	} `json:"rpc"`
	Push *struct {
		Channel     string           `json:"channel"`
		Pub         *pub             `json:"pub"`
		Message     *json.RawMessage `json:"message"`
		Unsubscribe *struct{}        `json:"unsubscribe"`
		Subscribe   *struct {
			Offset uint64 `json:"offset"`
		} `json:"subscribe"`
	} `json:"push"`
}

type pub struct {
	Offset uint64 `json:"offset"`
}

// read returns the next reply that is not a ping. It answers pings if enabled.
func (d *device) read(pong bool) (received, error) {
	for {
		if len(d.left) == 0 {
			_ = d.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			_, b, err := d.conn.ReadMessage()
			if err != nil {
				return received{}, err
			}
			d.left = strings.Split(string(b), "\n")
		}
		line := d.left[0]
		d.left = d.left[1:]
		if line == "{}" {
			if pong {
				d.send("{}")
			}
			continue
		}
		var r received
		return r, json.Unmarshal([]byte(line), &r)
	}
}

func (d *device) next() received {
	d.t.Helper()
	r, err := d.read(true)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// reply returns the next response to a command.
func (d *device) reply() received {
	d.t.Helper()
	r := d.next()
	for r.ID == 0 {
		r = d.next()
	}
	return r
}

// ends waits for the close frame, and returns its reason.
func (d *device) ends(want int, pong bool) (reason string) {
	d.t.Helper()
	for {
		if _, err := d.read(pong); websocket.IsCloseError(err, want) {
			var closed *websocket.CloseError
			errors.As(err, &closed)
			return closed.Text
		} else if err != nil {
			d.t.Fatalf("ended with %v, not with %d", err, want)
		}
	}
}

// TestNothingMissedNothingTwice: devices connect, disconnect and subscribe while records are appended; each receives
// every record after its start position once, in order.
func TestNothingMissedNothingTwice(t *testing.T) {
	h := open(t, Options{})
	const rounds = 400
	var said sync.WaitGroup
	said.Go(func() {
		for i := range rounds {
			h.send("user:ann", "")
			h.send("group:g", "")
			switch i % 40 {
			case 10:
				head, _ := h.log.Head(t.Context(), "group:g")
				h.send("user:ann", listen.To("group:g", head-min(head, 3)))
			case 30:
				h.send("user:ann", listen.Stop("group:g"))
			}
		}
	})
	var devices sync.WaitGroup
	for range 8 {
		devices.Go(func() {
			at := map[string]uint64{}
			for range 5 {
				h.watch(at, 60+rand.IntN(40))
			}
		})
	}
	devices.Wait()
	said.Wait()
}

// watch connects from a position and reads some records.
func (h *fixture) watch(at map[string]uint64, n int) {
	d := h.dial()
	defer func() { _ = d.conn.Close() }()
	subs := ""
	if seq, ok := at["user:ann"]; ok {
		subs = fmt.Sprintf(`,"subs":{"user:ann":{"recover":true,"epoch":"epoch","offset":%d}}`, seq)
	}
	d.send(`{"id":1,"connect":{"token":"ann"` + subs + `}}`)
	see := func(topic string, seq uint64) {
		if seq != at[topic]+1 {
			h.t.Errorf("%s: %d was delivered after %d", topic, seq, at[topic])
		}
		at[topic] = seq
		n--
	}
	head, _ := h.log.Head(context.Background(), "user:ann")
	for n > 0 && at["user:ann"] < head {
		r, err := d.read(true)
		switch {
		case err != nil:
			h.t.Errorf("a device was closed: %v", err)
			return
		case r.Connect != nil:
			for topic, sub := range r.Connect.Subs {
				if !sub.Recovered {
					h.t.Errorf("%s was not recovered", topic)
				}
				for _, p := range sub.Publications {
					see(topic, p.Offset)
				}
				at[topic] = sub.Offset
			}
		case r.Push != nil && r.Push.Subscribe != nil:
			at[r.Push.Channel] = r.Push.Subscribe.Offset
		case r.Push != nil && r.Push.Pub != nil:
			see(r.Push.Channel, r.Push.Pub.Offset)
		}
	}
}
