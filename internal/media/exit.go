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

// refresh compares a call with LiveKit before a decision about it, unless it is known to have two participants:
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

// freshTime is the timeout of refresh, because a caller that hangs up waits for it.
const freshTime = time.Second

// ExitRoom removes the caller from a room. It ends a one-to-one call at once, and any other when the last participant
// leaves.
func (m *Media) ExitRoom(ctx context.Context, by rpc.Caller, req protocol.ExitRoomRequest) (res protocol.RoomResponse,
	err error) {
	if req.Reason == "" {
		req.Reason = im.LeftHangup
	}
	var bad error
	if req.Reason != im.LeftHangup && req.Reason != im.LeftMediaLost {
		bad = im.Bad("reason", "must be one of: hangup, mediaLost")
	}
	if err := rpc.FirstError(checkRoom(req.RoomID), bad, m.off()); err != nil {
		return res, err
	}
	m.refresh(ctx, req.RoomID)
	closes := false
	res, err = rpc.Run(ctx, m.store, rpc.Txn[protocol.RoomResponse]{Reads: callReads(req.RoomID, by.UserID),
		Decide: func(tx *txn.Tx) (res protocol.RoomResponse, err error) {
			res = protocol.RoomResponse{RoomID: req.RoomID, ServerTime: tx.Now}
			closes, err = m.exit(tx, by, req.RoomID, req.Reason)
			return res, err
		}})
	if err != nil {
		return res, err
	}
	return res, m.callLiveKit(ctx, func(ctx context.Context) error {
		if closes {
			return m.closeRoom(ctx, req.RoomID)
		}
		return m.live.expel(ctx, req.RoomID, by.UserID)
	})
}

// exit removes a user from a room. It reports whether that ended the room.
func (m *Media) exit(tx *txn.Tx, by rpc.Caller, roomID, reason string) (closes bool, err error) {
	r, c := tx.Room(roomID), tx.CallIn(roomID)
	if err := knowInvitation(tx, r); err != nil {
		return false, err
	}
	admission := room.LoadAdmission(tx, m.opt.Policy, roomID, by.UserID)
	last := false // the caller was in and left it empty
	if c != nil {
		p := tx.Participant(c.ID, by.UserID)
		if c.Leave(p, "", reason, tx.Now, tx.Now) {
			if put(tx, c, p); c.Present == 0 && r.Lives() {
				r.Occupy(0, tx.Now)
			}
		}
		last = p.FirstAt != 0 && c.Present == 0
	}
	if im.RoomOfGroup(roomID) != "" {
		// the speaker's seat is given up
		if grant := admission.Grant(); grant != nil && grant.Role == im.RoomAnchor && !admission.Host() {
			if err := room.GrantSeat(tx, by, roomID, by.UserID, im.RoomAudience); err != nil {
				return false, err
			}
		}
		if last {
			return false, end(tx, c, reason, by.UserID, tx.Now)
		}
		return false, nil
	}
	two := admission.Role() == im.RoomAnchor && ofTwo(tx, r, by.UserID, c)
	if !r.Lives() || !two && (!last || c.BeganAt == 0) {
		return false, nil
	}
	if _, waits, err := room.Awaited(tx, roomID); waits || err != nil {
		return false, err
	}
	return true, endRoom(tx, r, reason, by.UserID)
}

// DismissRoom lets a host end the call for all participants, and with it a room that belongs to no group.
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

// endDue ends the rooms and calls that are due. A failure of one does not delay the others.
func (m *Media) endDue(ctx context.Context) {
	now := m.store.Now()
	due, err := m.store.RoomsDue(ctx, now, dueAtOnce)
	if err == nil {
		var calls []string
		calls, err = m.store.CallsDue(ctx, now, dueAtOnce)
		due = append(due, calls...)
	}
	if err != nil && ctx.Err() == nil {
		m.log.Warn("reading due rooms failed", "error", err, "retry_in", dueEvery)
	}
	for _, room := range due {
		closes, err := m.expire(ctx, room)
		if err == nil && closes {
			err = m.closeRoom(ctx, room) // on failure the next comparison finds the remaining participants
		}
		if err != nil && ctx.Err() == nil {
			m.log.Warn("ending a due room failed", "room", room, "error", err)
		}
	}
}

// The interval of endDue, and the rooms of one run.
const (
	dueEvery  = time.Second
	dueAtOnce = 1000
)

// expire ends a room that was empty for too long, and a one-to-one call with a single participant for as long, unless
// an invitation into it is open. In a group's room only the call ends, and a remaining participant is the first of
// the next call. It reports whether the LiveKit room must be closed.
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
		if c != nil { // of a room that an earlier version did not store
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

// endAndGoOn ends the call in a group's room. Remaining participants start the next call.
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
