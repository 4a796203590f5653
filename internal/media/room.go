package media

import (
	"context"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/engine"
	"github.com/beckon-im/beckon/internal/verb"
	"github.com/beckon-im/beckon/internal/world"
	"github.com/beckon-im/beckon/protocol"
)

// maxSeats bounds the people that a room lists.
const maxSeats = 1000

// admission reads what is known of somebody at the door of a room.
func (m *Media) admission(ctx context.Context, roomID, user string) (a im.Admission, err error) {
	if err := checkRoom(roomID); err != nil {
		return a, err
	}
	a = im.Admission{Policy: m.opt.Policy, UserID: user}
	if a.Seat, err = m.store.Seat(ctx, roomID, user); err != nil {
		return a, im.Internal(err)
	}
	group := im.RoomOfGroup(roomID)
	if group == "" {
		a.Room, err = m.store.Room(ctx, roomID)
		if err != nil {
			return a, im.Internal(err)
		}
		return a, nil
	}
	if a.Group, err = m.store.Group(ctx, group); err == nil && a.Group == nil {
		a.Group = &im.Group{ID: group, Dismissed: true}
	}
	if err == nil {
		a.Member, err = m.store.Member(ctx, group, user)
	}
	if err != nil {
		return a, im.Internal(err)
	}
	return a, nil
}

func checkRoom(id string) error {
	if id == "" {
		return im.Bad("roomID", "is missing")
	}
	return im.CheckRoomID(id)
}

func checkRole(role im.RoomRole, allowed ...im.RoomRole) error {
	for _, r := range allowed {
		if r == role {
			return nil
		}
	}
	return im.Bad("role", "is none of those that this verb takes")
}

func notAdmitted(message string) error {
	return &im.Error{Code: im.CodeNotAdmitted, Field: "roomID", Message: message}
}

// choose is the role somebody enters with, given what they were granted.
func choose(asked, granted im.RoomRole) (im.RoomRole, error) {
	switch {
	case granted == im.RoomNobody:
		return "", notAdmitted("you may not enter this room: only who invited, and who accepted an invitation with this roomID, may; for a group's room, its members")
	case asked == "":
		return granted, nil
	case asked == im.RoomAnchor && granted != im.RoomAnchor:
		return "", notAdmitted("you may only listen in this room; ask one of its hosts, with an invitation that has this roomID")
	}
	return asked, nil
}

// EnterRoom gives the caller a token for LiveKit.
func (m *Media) EnterRoom(ctx context.Context, by verb.Caller, req protocol.EnterRoomRequest) (res protocol.EnterRoomResponse, err error) {
	if err := checkRole(req.Role, "", im.RoomAnchor, im.RoomAudience); err != nil {
		return res, err
	}
	a, err := m.admission(ctx, req.RoomID, by.UserID)
	if err != nil {
		return res, err
	}
	if err := m.off(); err != nil {
		return res, err
	}
	granted := a.Role()
	role, err := choose(req.Role, granted)
	if err != nil {
		return res, err
	}
	token, err := m.live.token(by.UserID, req.RoomID, role, m.opt.TokenLife)
	if err != nil {
		return res, im.Internal(err)
	}
	now := m.store.Now()
	return protocol.EnterRoomResponse{RoomID: req.RoomID, URL: m.opt.URL, Token: token, Role: role, Granted: granted, Host: a.Host(),
		ExpireAt: now/1000 + int64(m.opt.TokenLife/time.Second), ServerTime: now}, nil
}

// SwitchRole changes what the caller does in a room they are in, within what they were granted.
func (m *Media) SwitchRole(by verb.Caller, req protocol.SwitchRoleRequest, done func(protocol.RoomResponse, error)) {
	role, err := m.mayTake(by, req)
	if err != nil {
		verb.Fail(done, err)
		return
	}
	m.ask(func(ctx context.Context) error { return m.live.permit(ctx, req.RoomID, by.UserID, role) }, func(err error) {
		done(protocol.RoomResponse{RoomID: req.RoomID, Role: role, ServerTime: m.store.Now()}, err)
	})
}

func (m *Media) mayTake(by verb.Caller, req protocol.SwitchRoleRequest) (im.RoomRole, error) {
	if err := checkRole(req.Role, im.RoomAnchor, im.RoomAudience); err != nil {
		return "", err
	}
	a, err := m.admission(context.Background(), req.RoomID, by.UserID)
	if err == nil {
		err = m.off()
	}
	if err != nil {
		return "", err
	}
	return choose(req.Role, a.Role())
}

// SetRoomRole lets a host say what somebody may do in a room, and everybody give up a microphone of their own.
func (m *Media) SetRoomRole(by verb.Caller, req protocol.SetRoomRoleRequest, done func(protocol.RoomResponse, error)) {
	if err := verb.FirstError(checkRoom(req.RoomID), im.CheckUserID("userID", req.UserID), checkRole(req.Role, im.RoomAnchor, im.RoomAudience, im.RoomNobody)); err != nil {
		verb.Fail(done, err)
		return
	}
	var need world.Need
	engine.DoorNeed(&need, req.RoomID, by.UserID, req.UserID)
	verb.Do(m.store, need, func(w *world.World) (res protocol.RoomResponse, err error) {
		them := engine.AtDoor(w, m.opt.Policy, req.RoomID, req.UserID)
		givesUp := by.UserID == req.UserID && req.Role == im.RoomAudience && them.Role() == im.RoomAnchor
		if err := m.mustHost(w, by, req.RoomID); err != nil && !givesUp {
			return res, err
		}
		switch {
		case them.Host():
			return res, notAdmitted(req.UserID + " is a host of this room, whose role nobody changes")
		case them.Group != nil && !them.Member.Present() && req.Role != im.RoomNobody:
			return res, notAdmitted(req.UserID + " is not a member of the group of this room")
		}
		res = protocol.RoomResponse{RoomID: req.RoomID, Role: req.Role, ServerTime: w.Now}
		if s := w.Seat(req.RoomID, req.UserID); s != nil && s.Role == req.Role && them.Role() == req.Role {
			return res, nil
		}
		return res, engine.SeatPerson(w, by, req.RoomID, req.UserID, req.Role)
	}, func(res protocol.RoomResponse, err error) {
		if err != nil || m.live == nil {
			done(res, err)
			return
		}
		m.ask(func(ctx context.Context) error { return m.live.permit(ctx, req.RoomID, req.UserID, req.Role) }, func(err error) { done(res, err) })
	})
}

// mustHost refuses who does not decide in a room. An app server that acts for nobody decides in all.
func (m *Media) mustHost(w *world.World, by verb.Caller, roomID string) error {
	if by.Server && by.UserID == "" {
		return nil
	}
	a := engine.AtDoor(w, m.opt.Policy, roomID, by.UserID)
	if !a.Host() {
		return notAdmitted("only a host of this room may do that: who first invited into it, or the owner and administrators of its group")
	}
	return nil
}

// GetRoom shows a room to who may enter it.
func (m *Media) GetRoom(ctx context.Context, by verb.Caller, req protocol.RoomRequest) (res protocol.RoomView, err error) {
	a, err := m.admission(ctx, req.RoomID, by.UserID)
	if err != nil {
		return res, err
	}
	server := by.Server && by.UserID == ""
	role := a.Role()
	if role == im.RoomNobody && !server {
		_, err := choose("", role)
		return res, err
	}
	res = protocol.RoomView{RoomID: req.RoomID, GroupID: im.RoomOfGroup(req.RoomID), Granted: role, Host: a.Host(), Seats: []protocol.RoomSeat{}, Time: m.store.Now()}
	switch {
	case a.Room != nil:
		res.Owner = a.Room.Owner
	case a.Group != nil:
		res.Owner = a.Group.Owner
	}
	seats, err := m.store.Seats(ctx, req.RoomID, maxSeats)
	if err != nil {
		return res, im.Internal(err)
	}
	for _, s := range seats {
		if res.GroupID != "" { // a seat ends with the membership
			member, err := m.store.Member(ctx, res.GroupID, s.UserID)
			if err != nil {
				return res, im.Internal(err)
			}
			if !member.Present() || s.At < member.JoinedAt {
				continue
			}
		}
		res.Seats = append(res.Seats, protocol.RoomSeat{UserID: s.UserID, Role: s.Role, Time: s.At})
	}
	c, err := m.store.CallIn(ctx, req.RoomID)
	if err != nil || c == nil {
		return res, internal(err)
	}
	people, err := m.store.PeopleIn(ctx, c.ID, maxSeats)
	res.Call = protocol.ViewCall(c, people)
	return res, internal(err)
}

func internal(err error) error {
	if err == nil {
		return nil
	}
	return im.Internal(err)
}
