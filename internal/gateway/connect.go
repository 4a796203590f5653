package gateway

import (
	"errors"
	"time"

	wire "github.com/centrifugal/protocol"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/gateway/link"
	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/txn"
)

// connect handles the connect request.
func (c *client) connect(id uint32, req *wire.ConnectRequest) {
	g := c.g
	if !c.timer.Stop() {
		return // the connect timeout has closed the link
	}
	c.state.Store(int32(stateRefused))
	connectReq := ConnectRequest{From: c.link.From, Token: req.Token, Data: req.Data, Known: map[string]Position{}}
	for topic, sub := range req.Subs {
		if sub.GetRecover() {
			connectReq.Known[topic] = Position{Seq: sub.GetOffset(), Epoch: sub.GetEpoch()}
		}
	}
	s, err := g.handler.Connect(g.reads, connectReq)
	c.link.Release()
	if err != nil {
		c.refuse(id, err)
		c.timer.Reset(connectTime) // clients disconnect by themselves
		return
	}
	ttl := s.ExpireAt - time.Now().Unix()
	if s.ExpireAt != 0 && ttl < 0 {
		c.timer.Reset(connectTime)
		c.reply(&wire.Reply{Id: id, Error: errExpired})
		return
	}
	if len(s.Topics) > maxTopics {
		c.link.Close(link.TooMany)
		return
	}
	g.connecting.Delete(c.link)
	// of two links of a device the later one is the newer, whichever connects first
	s.At -= time.Since(c.begun).Milliseconds()
	c.Session = s
	c.unapplied.done = s.Head          // the session's topics include the changes up to there
	c.state.Store(int32(stateJoining)) // before others can find and close it
	c.expireAt.Store(s.ExpireAt)
	s.At = g.opt.BeforeOnline(s.UserID, s.device())
	g.sessions.add(c) // from now on it can be kicked
	res := &wire.ConnectResult{Client: c.id, Data: s.Welcome, Ping: uint32(g.opt.Ping.Seconds()), Pong: true}
	if s.ExpireAt != 0 {
		res.Expires, res.Ttl = true, uint32(min(ttl, maxTTL))
	}
	if c.link.Stream {
		g.streams.Store(c.id, c.link)
		res.Session, res.Node = c.id, g.id
	}
	list, err := c.subscribe(connectReq.Known)
	if errors.Is(err, errEnding) {
		return
	}
	if err != nil {
		g.opt.Log.Warn("session recovery failed", "user", s.UserID, "error", err)
		c.link.Close(link.ServerError)
		return
	}
	c.addRecovered(res, list)
	online, in := g.sessions.enter(c) // before the reply: a device with a reply counts as connected
	if !in {
		return
	}
	c.reply(&wire.Reply{Id: id, Connect: res})
	for i := range list {
		if list[i].Recover {
			list[i].reader.live()
		}
	}
	c.mu.Lock()
	if !c.is(stateClosed) { // it may have been kicked meanwhile
		g.wheel.add(c)
	}
	c.mu.Unlock()
	c.finishConnect(online, list)
}

// maxTTL caps the token lifetime in replies to clients, in seconds.
const maxTTL = 365 * 24 * 3600

// subscribed is a topic of a connecting client, with its reader and the records that it missed.
type subscribed struct {
	Topic
	reader *reader
	start  start
	missed missed
}

// subscribe subscribes to the topics of the session and reads their missed records.
func (c *client) subscribe(known map[string]Position) ([]subscribed, error) {
	names := make([]string, len(c.Topics))
	for i, t := range c.Topics {
		names[i] = t.Name
	}
	readers, heads, err := c.open(names, c.Head)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]*reader, len(readers))
	for _, r := range readers {
		byName[r.topic.name] = r
	}
	list := make([]subscribed, 0, len(readers))
	starts := make([]start, 0, len(readers))
	for _, t := range c.Topics {
		r := byName[t.Name]
		if r == nil {
			continue
		}
		delete(byName, t.Name)
		s := start{t.Name, &Position{Seq: t.After}, heads[t.Name]}
		if t.Recover {
			s.from = nil
			if p, ok := known[t.Name]; ok {
				s.from = &p
			}
		}
		list, starts = append(list, subscribed{Topic: t, reader: r, start: s}), append(starts, s)
	}
	all, err := c.readMissed(starts)
	for i := range all {
		list[i].missed = all[i]
	}
	return list, err
}

// addRecovered adds the missed records of the topics to recover to the reply.
func (c *client) addRecovered(res *wire.ConnectResult, list []subscribed) {
	for i := range list {
		s := &list[i]
		if !s.Recover {
			continue
		}
		sub := &wire.SubscribeResult{
			Recoverable: true, Positioned: true, Epoch: c.g.timelines.Epoch(),
			WasRecovering: s.start.from != nil, Recovered: s.missed.recovered,
		}
		records := c.recovered(s)
		for j := range records {
			if rec := &records[j]; c.isReader(rec) {
				sub.Publications = append(sub.Publications, publication(rec))
			}
		}
		sub.Offset = s.reader.seq
		if res.Subs == nil {
			res.Subs = map[string]*wire.SubscribeResult{}
		}
		res.Subs[s.Name] = sub
	}
}

// recovered returns the missed records of a topic that the connect reply includes, and sets the position of the reader
// after them. The others follow when the subscription changes before them are applied.
func (c *client) recovered(s *subscribed) []txn.Record {
	c.delivering.Lock()
	defer c.delivering.Unlock()
	r, list := s.reader, s.missed.Records
	r.seq = s.missed.Head
	if !r.own {
		return list
	}
	for i := range list {
		if c.unapplied.beyond(&list[i]) {
			r.seq = list[i-1].Seq
			r.putFirst(list[i:])
			return list[:i]
		}
		c.unapplied.sent(&list[i])
	}
	return list
}

// finishConnect evicts replaced sessions, starts the topics without a position to recover, and applies the subscription
// changes that arrived while the device was connecting.
func (c *client) finishConnect(online bool, list []subscribed) {
	g, s := c.g, c.Session
	g.replace(c)
	g.evictReplaced(s)
	var head uint64 // of the user's topic, read after this session was registered
	for i := range list {
		t := &list[i]
		if t.Name == im.UserTopic(c.UserID) {
			head = t.start.head
		}
		if !t.Recover {
			c.begin(t.reader, t.After, t.missed)
		}
	}
	after := c.catchUp(c.Head, head)
	c.applied(after)
	c.state.CompareAndSwap(int32(stateJoining), int32(stateOnline))
	c.applyLater(after)
	for _, t := range s.Topics {
		if t.Ended {
			c.end(t.Name)
		}
	}
	s.Topics, s.Welcome = nil, nil
	// Called also for a device that reconnected before its old link ended. Only now does this node follow the user's
	// topic, so that other nodes find the device here.
	g.opt.OnPresenceChange(s.UserID, online)
}

// catchUp applies the subscription changes between the read of the session's topics and its registration on this node,
// up to a head of the user's topic. It returns the last sequence it read.
func (c *client) catchUp(after, head uint64) uint64 {
	topic := im.UserTopic(c.UserID)
	for after < head {
		page, err := c.g.timelines.Records(c.g.reads, topic, after, maxRecover, maxRecoverBytes)
		if err != nil {
			c.link.Close(link.ServerError) // the device reconnects and reads its topics again
			return after
		}
		for _, r := range page.Records {
			after = r.Seq
			if l, ok := listen.Parse(r.Listen); ok && !l.End {
				c.applyChange(subscriptionChange{topic, r.Seq, l})
			}
		}
		if len(page.Records) == 0 {
			break
		}
	}
	return after
}
