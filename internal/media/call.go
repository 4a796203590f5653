package media

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/engine"
	"github.com/beckon-im/beckon/internal/verb"
	"github.com/beckon-im/beckon/internal/world"
	"github.com/beckon-im/beckon/protocol"
)

// maxShown bounds the people that a call record names in its message.
const maxShown = 100

// callNeed is what a change of the call in a room looks at.
func callNeed(roomID string, users ...string) world.Need {
	need := world.Need{CallIn: []string{roomID}}
	engine.DoorNeed(&need, roomID, users...)
	for _, u := range users {
		need.InCall = append(need.InCall, world.SeatKey{RoomID: roomID, UserID: u})
	}
	return need
}

// newCall begins the record of what happens in a room, and asks for the invitation that says whose conversation it is.
func newCall(w *world.World, roomID string, at int64) (*im.Call, error) {
	c := &im.Call{ID: uuid.Must(uuid.NewV7()).String(), RoomID: roomID, OpenedAt: at, SeenAt: at}
	if g := w.Group(im.RoomOfGroup(roomID)); g != nil {
		c.GroupID, c.Owner = g.ID, g.Owner
		return c, nil
	}
	room := w.Room(roomID)
	if room == nil {
		return c, nil // an open room that nobody was invited to
	}
	if !w.HasInvitation(room.InviteID) {
		return nil, &world.More{Need: world.Need{Invitations: []string{room.InviteID}}}
	}
	c.InviteID, c.Owner = room.InviteID, room.Owner
	if v := w.Invitation(room.InviteID); v != nil {
		c.GroupID = v.GroupID
		if !v.Party {
			c.Peer = v.Peer
		}
	}
	return c, nil
}

// joined notes that somebody came into a room.
func (m *Media) joined(roomID, user, sid string, at int64, done func(error)) {
	verb.Do(m.store, callNeed(roomID, user), func(w *world.World) (none struct{}, err error) {
		c := w.CallIn(roomID)
		if c == nil {
			if c, err = newCall(w, roomID, at); err != nil {
				return none, err
			}
		}
		p := w.Participant(c.ID, user)
		if c.Join(p, sid, at) {
			w.PutCall(*c)
			w.PutParticipant(*p)
		}
		return none, nil
	}, func(_ struct{}, err error) { done(err) })
}

// left notes that somebody went out of a room.
func (m *Media) left(roomID, user, sid, reason string, at int64, done func(error)) {
	verb.Do(m.store, callNeed(roomID, user), func(w *world.World) (none struct{}, err error) {
		c := w.CallIn(roomID)
		if c == nil {
			return none, nil
		}
		if p := w.Participant(c.ID, user); c.Leave(p, sid, reason, at) {
			w.PutCall(*c)
			w.PutParticipant(*p)
		}
		return none, nil
	}, func(_ struct{}, err error) { done(err) })
}

// end closes the record of a call, and tells of it in its conversation when it took place.
func end(w *world.World, c *im.Call, reason, by string, at int64) error {
	if !w.HasAllIn(c.RoomID) {
		return &world.More{Need: world.Need{AllIn: []string{c.RoomID}}}
	}
	people := w.Participants(c.ID)
	var present []*im.Participant
	for _, p := range people {
		if p.JoinedAt != 0 {
			present = append(present, p)
		}
	}
	c.End(present, reason, by, at)
	if c.BeganAt != 0 {
		if err := tell(w, c, people); err != nil {
			return err
		}
	}
	for _, p := range present {
		w.PutParticipant(*p)
	}
	w.PutCall(*c)
	return nil
}

// tell writes the record into the conversations of those whose call it was.
func tell(w *world.World, c *im.Call, people []*im.Participant) error {
	elem := &protocol.CallElem{CallID: c.ID, RoomID: c.RoomID, InviteID: c.InviteID, Began: c.BeganAt, Ended: c.EndedAt, Duration: c.MS,
		Reason: c.Reason, EndedBy: c.EndedBy, Count: c.Total}
	for _, p := range people {
		if len(elem.People) < maxShown {
			elem.People = append(elem.People, p.UserID)
		}
	}
	msg := protocol.Message{Type: protocol.TypeMessage, MessageID: "call-" + c.ID, MessageType: protocol.CallType, From: c.Owner, GroupID: c.GroupID, Time: w.Now,
		Body: protocol.Body{Call: elem}, MessageOptions: protocol.MessageOptions{ExcludeUnread: true}}
	if c.GroupID != "" {
		return tellGroup(w, c.GroupID, msg)
	}
	var peers []string
	if c.Peer != "" {
		peers = []string{c.Peer}
	} else if c.InviteID != "" { // several people without a group: each in their own conversation with the inviter
		for _, p := range people {
			if p.UserID != c.Owner {
				peers = append(peers, p.UserID)
			}
		}
	}
	if len(peers) == 0 {
		return nil
	}
	topics := []string{im.UserTopic(c.Owner)}
	for _, u := range peers {
		topics = append(topics, im.UserTopic(u))
	}
	if missing := w.Missing(topics); len(missing) > 0 {
		return &world.More{Need: world.Need{Topics: missing}}
	}
	for i, u := range peers {
		one := msg
		one.To = u
		if len(peers) > 1 {
			one.MessageID += "-" + u
		}
		d := world.Draft{Body: &verb.Event{Value: one}, Message: one.MessageID, Sender: c.Owner}
		mine, theirs := d, d
		mine.Peer, theirs.Peer = u, c.Owner
		w.AppendPair(topics[0], mine, topics[i+1], theirs)
	}
	return nil
}

func tellGroup(w *world.World, group string, msg protocol.Message) error {
	t := im.GroupTopic(group)
	if len(w.Missing([]string{t})) > 0 || w.Group(group) == nil {
		return &world.More{Need: world.Need{Topics: []string{t}, Groups: []string{group}}}
	}
	if g := w.Group(group); g.Dismissed {
		return nil
	}
	w.Append(t, world.Draft{Body: &verb.Event{Value: msg}, Message: msg.MessageID, Sender: msg.From, Peer: world.GroupPeer})
	return nil
}

// ExitRoom says that the caller is leaving for good. Between two people that ends the call at once.
func (m *Media) ExitRoom(by verb.Caller, req protocol.RoomRequest, done func(protocol.RoomResponse, error)) {
	if err := verb.FirstError(checkRoom(req.RoomID), m.off()); err != nil {
		verb.Fail(done, err)
		return
	}
	two := false
	verb.Do(m.store, callNeed(req.RoomID, by.UserID), func(w *world.World) (res protocol.RoomResponse, err error) {
		res = protocol.RoomResponse{RoomID: req.RoomID, ServerTime: w.Now}
		c := w.CallIn(req.RoomID)
		two = false
		if c == nil {
			return res, nil
		}
		p := w.Participant(c.ID, by.UserID)
		if p.JoinedAt == 0 {
			return res, nil
		}
		c.Leave(p, "", im.LeftHangup, w.Now)
		w.PutParticipant(*p)
		if two = c.Peer != "" && c.BeganAt != 0; two || c.Present == 0 {
			return res, end(w, c, im.LeftHangup, by.UserID, w.Now)
		}
		w.PutCall(*c)
		return res, nil
	}, func(res protocol.RoomResponse, err error) {
		if err != nil {
			done(res, err)
			return
		}
		m.ask(func(ctx context.Context) error {
			if two {
				return m.live.close(ctx, req.RoomID)
			}
			return m.live.remove(ctx, req.RoomID, by.UserID)
		}, func(err error) { done(res, err) })
	})
}

// DismissRoom lets a host end the call for everybody.
func (m *Media) DismissRoom(by verb.Caller, req protocol.RoomRequest, done func(protocol.RoomResponse, error)) {
	if err := verb.FirstError(checkRoom(req.RoomID), m.off()); err != nil {
		verb.Fail(done, err)
		return
	}
	verb.Do(m.store, callNeed(req.RoomID, by.UserID), func(w *world.World) (res protocol.RoomResponse, err error) {
		if err := m.mustHost(w, by, req.RoomID); err != nil {
			return res, err
		}
		res = protocol.RoomResponse{RoomID: req.RoomID, ServerTime: w.Now}
		if c := w.CallIn(req.RoomID); c != nil {
			return res, end(w, c, im.LeftDismissed, by.UserID, w.Now)
		}
		return res, nil
	}, func(res protocol.RoomResponse, err error) {
		if err != nil {
			done(res, err)
			return
		}
		m.ask(func(ctx context.Context) error { return m.live.close(ctx, req.RoomID) }, func(err error) { done(res, err) })
	})
}

// endDue looks at the calls in which fewer than two people have been for a while.
func (m *Media) endDue(ctx context.Context) {
	now := m.store.Now()
	for {
		rooms, err := m.store.CallsDue(ctx, now, dueAtOnce)
		if err != nil {
			if ctx.Err() == nil {
				m.log.Warn("calls that are due could not be read; it is tried again", "error", err)
			}
			return
		}
		for _, room := range rooms {
			ended, err := m.expire(ctx, room)
			if err == nil && ended {
				err = m.live.close(ctx, room)
			}
			if err != nil && ctx.Err() == nil {
				m.log.Warn("a call that is due could not be ended; it is tried again", "room", room, "error", err)
				return
			}
		}
		if len(rooms) < dueAtOnce {
			return
		}
	}
}

// How often the calls that are due are looked for, and how many at once.
const (
	dueEvery  = time.Second
	dueAtOnce = 100
)

// expire ends a call in which too few people have been for too long. While somebody may still answer its invitation it goes on.
// It reports whether the room is to be closed.
func (m *Media) expire(ctx context.Context, roomID string) (ended bool, err error) {
	return wait(ctx, func(done func(bool, error)) {
		verb.Do(m.store, callNeed(roomID), func(w *world.World) (bool, error) {
			c := w.CallIn(roomID)
			if c == nil || c.CheckAt == 0 || c.CheckAt > w.Now {
				return false, nil
			}
			if c.InviteID != "" && c.Present > 0 {
				if !w.HasInvitation(c.InviteID) {
					return false, &world.More{Need: world.Need{Invitations: []string{c.InviteID}}}
				}
				if v := w.Invitation(c.InviteID); v != nil && !v.Over() {
					c.CheckAt = w.Now + im.AloneFor
					w.PutCall(*c)
					return false, nil
				}
			}
			standing := im.RoomOfGroup(roomID) != ""
			return !standing, end(w, c, im.LeftWent, "", w.Now)
		}, done)
	})
}

// wait runs something that answers later, until it does or ctx ends.
func wait[T any](ctx context.Context, f func(func(T, error))) (T, error) {
	type outcome struct {
		v   T
		err error
	}
	done := make(chan outcome, 1)
	f(func(v T, err error) { done <- outcome{v, err} })
	select {
	case o := <-done:
		return o.v, o.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
