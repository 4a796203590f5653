package media

import (
	"context"
	"strconv"
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

// joined notes that somebody came into a room. Who may not be there any more, or only listen, since their token was made, is
// sent out or silenced.
func (m *Media) joined(roomID, user, sid string, speaks bool, at int64, done func(error)) {
	role := im.RoomNobody
	verb.Do(m.store, callNeed(roomID, user), func(w *world.World) (none struct{}, err error) {
		door := engine.AtDoor(w, m.opt.Policy, roomID, user)
		if role = door.Role(); role == im.RoomNobody {
			return none, nil
		}
		c := w.CallIn(roomID)
		if c == nil {
			if c, err = newCall(w, roomID, at); err != nil {
				return none, err
			}
		}
		p := w.Participant(c.ID, user)
		if c.Join(p, sid, at, w.Now) {
			w.PutCall(*c)
			w.PutParticipant(*p)
		}
		return none, nil
	}, func(_ struct{}, err error) {
		if err == nil && (role == im.RoomNobody || speaks && role == im.RoomAudience) {
			m.enforce(roomID, user)
		}
		done(err)
	})
}

// left notes that somebody went out of a room.
func (m *Media) left(roomID, user, sid, reason string, at int64, done func(error)) {
	verb.Do(m.store, callNeed(roomID, user), func(w *world.World) (none struct{}, err error) {
		c := w.CallIn(roomID)
		if c == nil {
			return none, nil
		}
		if p := w.Participant(c.ID, user); c.Leave(p, sid, reason, at, w.Now) {
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

// tell writes the record into the conversations of those whose call it was: the group's; that of two; with several people without
// a group, each one's with the inviter.
func tell(w *world.World, c *im.Call, people []*im.Participant) error {
	elem := &protocol.CallElem{CallID: c.ID, RoomID: c.RoomID, InviteID: c.InviteID, Began: c.BeganAt, Ended: c.EndedAt, Duration: c.MS,
		Reason: c.Reason, EndedBy: c.EndedBy, Count: c.Total}
	for _, p := range people[:min(len(people), maxShown)] {
		elem.People = append(elem.People, p.UserID)
	}
	msg := protocol.Message{Type: protocol.TypeMessage, MessageID: protocol.CallMessagePrefix + c.ID, MessageType: protocol.CallType, From: c.Owner, GroupID: c.GroupID, Time: w.Now,
		Body: protocol.Body{Call: elem}, MessageOptions: protocol.MessageOptions{ExcludeUnread: true}}
	if c.GroupID != "" {
		return tellGroup(w, c.GroupID, msg)
	}
	if c.InviteID == "" {
		return nil // an open room that nobody was invited to
	}
	return tellPeople(w, c, people, msg)
}

func tellPeople(w *world.World, c *im.Call, people []*im.Participant, msg protocol.Message) error {
	var topics []string
	var sides []world.ContactKey
	for _, p := range people {
		if topics = append(topics, im.UserTopic(p.UserID)); p.UserID != c.Owner {
			sides = append(sides, world.ContactKey{UserID: c.Owner, Peer: p.UserID}, world.ContactKey{UserID: p.UserID, Peer: c.Owner})
		}
	}
	topics = append(topics, im.UserTopic(c.Owner))
	if missing := w.Missing(topics); len(missing) > 0 || !w.KnowsContacts(sides) {
		return &world.More{Need: world.Need{Topics: missing, Contacts: sides}}
	}
	for i, p := range people {
		if p.UserID == c.Owner {
			continue
		}
		one := msg
		if one.To = p.UserID; len(sides) > 2 { // several stand on the owner's timeline
			one.MessageID += "-" + strconv.Itoa(i)
		}
		d := world.Draft{Body: &verb.Event{Value: one}, Message: one.MessageID, Sender: c.Owner}
		mine, theirs := d, d
		mine.Peer, theirs.Peer = p.UserID, c.Owner
		for _, k := range []world.ContactKey{{UserID: c.Owner, Peer: p.UserID}, {UserID: p.UserID, Peer: c.Owner}} {
			if !w.HasContact(k.UserID, k.Peer) {
				w.PutContact(*w.Contact(k.UserID, k.Peer))
			}
		}
		w.AppendPair(im.UserTopic(c.Owner), mine, im.UserTopic(p.UserID), theirs)
	}
	return nil
}

func tellGroup(w *world.World, group string, msg protocol.Message) error {
	t := im.GroupTopic(group)
	if len(w.Missing([]string{t})) > 0 || !w.HasGroup(group) {
		return &world.More{Need: world.Need{Topics: []string{t}, Groups: []string{group}}}
	}
	if g := w.Group(group); g == nil || g.Dismissed {
		return nil
	}
	w.Append(t, world.Draft{Body: &verb.Event{Value: msg}, Message: msg.MessageID, Sender: msg.From, Peer: world.GroupPeer})
	return nil
}

// awaited says whether somebody may still answer an invitation into a room.
func awaited(w *world.World, roomID string) (bool, error) {
	r := w.Room(roomID)
	if r == nil {
		return false, nil
	}
	ids := []string{r.InviteID, r.Latest}
	for _, id := range ids {
		if !w.HasInvitation(id) {
			return false, &world.More{Need: world.Need{Invitations: ids}}
		}
		if v := w.Invitation(id); v != nil && !v.Over() {
			return true, nil
		}
	}
	return false, nil
}

// ofTwo says whether a room is that of a call between two people, one of whom user is.
func ofTwo(w *world.World, roomID, user string, c *im.Call) bool {
	r := w.Room(roomID)
	if r == nil || c != nil && c.Total > 2 || r.Latest != r.InviteID {
		return false
	}
	v := w.Invitation(r.InviteID)
	return v != nil && v.GroupID == "" && !v.Party && v.Peer != "" && (user == v.Inviter || user == v.Peer)
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
		if _, err := awaited(w, req.RoomID); err != nil { // for the invitations alone
			return res, err
		}
		c := w.CallIn(req.RoomID)
		door := engine.AtDoor(w, m.opt.Policy, req.RoomID, by.UserID)
		two = door.Role() == im.RoomAnchor && ofTwo(w, req.RoomID, by.UserID, c)
		if c == nil {
			return res, nil
		}
		p := w.Participant(c.ID, by.UserID)
		if c.Leave(p, "", im.LeftHangup, w.Now, w.Now) {
			w.PutParticipant(*p)
			w.PutCall(*c)
		}
		if two || c.Present == 0 {
			return res, end(w, c, im.LeftHangup, by.UserID, w.Now)
		}
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

// endDue looks at the calls in which fewer than two people have been for a while. One that cannot be ended keeps no other waiting.
func (m *Media) endDue(ctx context.Context) {
	rooms, err := m.store.CallsDue(ctx, m.store.Now(), dueAtOnce)
	if err != nil && ctx.Err() == nil {
		m.log.Warn("calls that are due could not be read; it is tried again", "error", err)
	}
	for _, room := range rooms {
		closes, err := m.expire(ctx, room)
		if err == nil && closes {
			err = m.live.close(ctx, room) // when this fails, who is left is found by the next comparison
		}
		if err != nil && ctx.Err() == nil {
			m.log.Warn("a call that is due could not be ended", "room", room, "error", err)
		}
	}
}

// How often the calls that are due are looked for, and how many at once.
const (
	dueEvery  = time.Second
	dueAtOnce = 1000
)

// expire ends a call in which too few people have been for too long. While somebody may still answer an invitation it goes on. In a
// standing room one person may wait for others: what follows is another call. It reports whether the room is to be closed.
func (m *Media) expire(ctx context.Context, roomID string) (closes bool, err error) {
	need := callNeed(roomID)
	need.AllIn = []string{roomID}
	return wait(ctx, func(done func(bool, error)) {
		verb.Do(m.store, need, func(w *world.World) (bool, error) {
			c := w.CallIn(roomID)
			if c == nil || c.CheckAt == 0 || c.CheckAt > w.Now {
				return false, nil
			}
			later, err := awaited(w, roomID)
			if err != nil {
				return false, err
			}
			standing := im.RoomOfGroup(roomID) != ""
			if c.Present > 0 && (later || standing && c.BeganAt == 0) {
				c.CheckAt = w.Now + im.AloneFor
				w.PutCall(*c)
				return false, nil
			}
			return !standing, endAndGoOn(w, c, standing)
		}, done)
	})
}

// endAndGoOn ends a call. Whoever stays behind in a standing room is the first of the next.
func endAndGoOn(w *world.World, c *im.Call, standing bool) error {
	var stays []im.Participant
	for _, p := range w.Participants(c.ID) {
		if standing && p.JoinedAt != 0 {
			stays = append(stays, *p)
		}
	}
	if err := end(w, c, im.LeftWent, "", w.Now); err != nil || len(stays) == 0 {
		return err
	}
	next, err := newCall(w, c.RoomID, w.Now)
	if err != nil {
		return err
	}
	for _, p := range stays {
		again := im.Participant{CallID: next.ID, UserID: p.UserID}
		next.Join(&again, p.SID, w.Now, w.Now)
		w.PutParticipant(again)
	}
	w.PutCall(*next)
	return nil
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
