package media

import (
	"context"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/room"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// refresh compares a call with LiveKit before something is decided about it, unless two are known to be in it:
// LiveKit's events may be late. It takes at most freshTime.
func (m *Media) refresh(ctx context.Context, roomID string) {
	ctx, cancel := context.WithTimeout(ctx, freshTime)
	defer cancel()
	c, err := m.store.CallIn(ctx, roomID)
	if err == nil && c == nil && im.RoomOfGroup(roomID) == "" {
		if r, err := m.store.Room(ctx, roomID); err == nil && !r.Lives() {
			return
		}
	}
	if err == nil && (c == nil || c.Present < 2) {
		m.compare(ctx, roomID, true, m.store.Now())
	}
}

// freshTime bounds a look at LiveKit for which somebody waits who hangs up.
const freshTime = time.Second

// ExitRoom says that the caller is leaving for good. Between two people that ends the call at once, and so it does when
// the last leaves.
func (m *Media) ExitRoom(ctx context.Context, by rpc.Caller, req protocol.RoomRequest) (res protocol.RoomResponse,
	err error) {
	if err := rpc.FirstError(checkRoom(req.RoomID), m.off()); err != nil {
		return res, err
	}
	m.refresh(ctx, req.RoomID)
	closes := false
	res, err = rpc.Run(ctx, m.store, rpc.Txn[protocol.RoomResponse]{Reads: callReads(req.RoomID, by.UserID),
		Decide: func(tx *txn.Tx) (res protocol.RoomResponse, err error) {
			res = protocol.RoomResponse{RoomID: req.RoomID, ServerTime: tx.Now}
			closes, err = m.exit(tx, by, req.RoomID)
			return res, err
		}})
	if err != nil {
		return res, err
	}
	return res, m.callLiveKit(ctx, func(ctx context.Context) error {
		if closes {
			return m.closeRoom(ctx, req.RoomID)
		}
		return m.live.remove(ctx, req.RoomID, by.UserID)
	})
}

// exit takes somebody out of a room. It reports whether that ended it.
func (m *Media) exit(tx *txn.Tx, by rpc.Caller, roomID string) (closes bool, err error) {
	r, c := tx.Room(roomID), tx.CallIn(roomID)
	if err := knowInvitation(tx, r); err != nil {
		return false, err
	}
	door := room.LoadAdmission(tx, m.opt.Policy, roomID, by.UserID)
	last := false // the caller was in, and nobody is in any more
	if c != nil {
		p := tx.Participant(c.ID, by.UserID)
		if c.Leave(p, "", im.LeftHangup, tx.Now, tx.Now) {
			if put(tx, c, p); c.Present == 0 && r.Lives() {
				r.Occupy(0, tx.Now)
			}
		}
		last = p.FirstAt != 0 && c.Present == 0
	}
	if im.RoomOfGroup(roomID) != "" {
		if grant := door.Grant(); grant != nil && grant.Role == im.RoomAnchor && !door.Host() { // the seat is given up
			if err := room.GrantSeat(tx, by, roomID, by.UserID, im.RoomAudience); err != nil {
				return false, err
			}
		}
		if last {
			return false, end(tx, c, im.LeftHangup, by.UserID, tx.Now)
		}
		return false, nil
	}
	two := door.Role() == im.RoomAnchor && ofTwo(tx, r, by.UserID, c)
	if !r.Lives() || !two && (!last || c.BeganAt == 0) {
		return false, nil
	}
	if _, waits, err := room.Awaited(tx, roomID); waits || err != nil {
		return false, err
	}
	return true, endRoom(tx, r, im.LeftHangup, by.UserID)
}

// DismissRoom lets a host end the call for everybody, and with it a room that belongs to no group.
func (m *Media) DismissRoom(ctx context.Context, by rpc.Caller, req protocol.RoomRequest) (res protocol.RoomResponse,
	err error) {
	if err := rpc.FirstError(checkRoom(req.RoomID), m.off()); err != nil {
		return res, err
	}
	m.refresh(ctx, req.RoomID)
	res, err = rpc.Run(ctx, m.store, rpc.Txn[protocol.RoomResponse]{Reads: callReads(req.RoomID, by.UserID),
		Decide: func(tx *txn.Tx) (protocol.RoomResponse, error) {
			return protocol.RoomResponse{RoomID: req.RoomID, ServerTime: tx.Now}, m.dismiss(tx, by, req.RoomID)
		}})
	if err != nil {
		return res, err
	}
	return res, m.callLiveKit(ctx, func(ctx context.Context) error { return m.closeRoom(ctx, req.RoomID) })
}

func (m *Media) dismiss(tx *txn.Tx, by rpc.Caller, roomID string) error {
	r := tx.Room(roomID)
	if r != nil && !r.Lives() && (r.Owner == by.UserID || by.Server && by.UserID == "") {
		return nil // it has ended already
	}
	if err := m.mustHost(tx, by, roomID); err != nil {
		return err
	}
	if r.Lives() {
		return endRoom(tx, r, im.LeftDismissed, by.UserID)
	}
	if c := tx.CallIn(roomID); c != nil {
		return end(tx, c, im.LeftDismissed, by.UserID, tx.Now)
	}
	return nil
}

// endDue looks at the rooms and calls that may have ended. One that cannot be ended keeps no other waiting.
func (m *Media) endDue(ctx context.Context) {
	now := m.store.Now()
	due, err := m.store.RoomsDue(ctx, now, dueAtOnce)
	if err == nil {
		var calls []string
		calls, err = m.store.CallsDue(ctx, now, dueAtOnce)
		due = append(due, calls...)
	}
	if err != nil && ctx.Err() == nil {
		m.log.Warn("rooms that are due could not be read; it is tried again", "error", err)
	}
	for _, room := range due {
		closes, err := m.expire(ctx, room)
		if err == nil && closes {
			err = m.closeRoom(ctx, room) // when this fails, who is left is found by the next comparison
		}
		if err != nil && ctx.Err() == nil {
			m.log.Warn("a room that is due could not be ended", "room", room, "error", err)
		}
	}
}

// How often the rooms that are due are looked for, and how many at once.
const (
	dueEvery  = time.Second
	dueAtOnce = 1000
)

// expire ends a room in which nobody has been for too long, and the call of two in which one has been alone for as
// long. While an invitation into it is open it goes on. In a standing room the call ends, and whoever stays is the
// first of the next. It reports whether the room is to be closed.
func (m *Media) expire(ctx context.Context, roomID string) (closes bool, err error) {
	reads := callReads(roomID)
	reads.AllIn = []string{roomID}
	return rpc.Run(ctx, m.store, rpc.Txn[bool]{Reads: reads, Decide: func(tx *txn.Tx) (bool, error) {
		c := tx.CallIn(roomID)
		if im.RoomOfGroup(roomID) == "" {
			return expireRoom(tx, roomID, c)
		}
		if c == nil || c.CheckAt == 0 || c.CheckAt > tx.Now {
			return false, nil
		}
		if c.Present > 0 && c.BeganAt == 0 {
			c.CheckAt = tx.Now + im.AloneFor
			tx.PutCall(*c)
			return false, nil
		}
		return false, endAndGoOn(tx, c)
	}})
}

func expireRoom(tx *txn.Tx, roomID string, c *im.Call) (closes bool, err error) {
	r := tx.Room(roomID)
	if !r.Lives() {
		if c != nil { // of a room that an earlier version did not keep
			return true, end(tx, c, im.LeftWent, "", tx.Now)
		}
		return false, nil
	}
	if r.CheckAt == 0 || r.CheckAt > tx.Now {
		return false, nil
	}
	if err := knowInvitation(tx, r); err != nil {
		return false, err
	}
	present := 0
	if c != nil {
		present = c.Present
	}
	alone := present == 1 && c.BeganAt != 0 && c.Dropped != 0 && ofTwo(tx, r, "", c)
	if present > 0 && !alone {
		r.Occupy(present, tx.Now)
		tx.PutRoom(*r)
		return false, nil
	}
	if present == 0 && r.EmptyAt == 0 {
		r.Occupy(0, tx.Now)
		tx.PutRoom(*r)
		return false, nil
	}
	until, waits, err := room.Awaited(tx, roomID)
	if err != nil {
		return false, err
	}
	if waits {
		r.Await(tx.Now, until)
		tx.PutRoom(*r)
		return false, nil
	}
	return true, endRoom(tx, r, im.LeftWent, "")
}

// endAndGoOn ends the call in a standing room. Whoever stays behind is the first of the next.
func endAndGoOn(tx *txn.Tx, c *im.Call) error {
	var stays []im.Participant
	for _, p := range tx.Participants(c.ID) {
		if p.JoinedAt != 0 {
			stays = append(stays, *p)
		}
	}
	if err := end(tx, c, im.LeftWent, "", tx.Now); err != nil || len(stays) == 0 {
		return err
	}
	next, err := newCall(tx, c.RoomID, tx.Now)
	if err != nil {
		return err
	}
	for _, p := range stays {
		again := im.Participant{CallID: next.ID, UserID: p.UserID}
		next.Join(&again, p.SID, tx.Now, tx.Now)
		tx.PutParticipant(again)
	}
	tx.PutCall(*next)
	return nil
}
