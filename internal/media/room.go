package media

import (
	"bytes"
	"context"
	"encoding/json"
	"hash/fnv"
	"strings"
	"sync"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/room"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/internal/view"
	"github.com/beckon-im/beckon/protocol"
)

// maxSeats bounds the users that a room lists.
const maxSeats = 1000

// admission reads the facts that decide whether a user may enter a room.
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
	var names []string
	for _, r := range allowed {
		if r == role {
			return nil
		}
		if r != "" {
			names = append(names, string(r))
		}
	}
	return im.Bad("role", "must be one of: "+strings.Join(names, ", "))
}

func notAdmitted(message string) error {
	return &im.Error{Code: im.CodeNotAdmitted, Field: "roomID", Message: message}
}

// choose returns the role to enter with, given the requested and the granted role.
func choose(asked, granted im.RoomRole) (im.RoomRole, error) {
	switch {
	case granted == im.RoomNobody:
		return "", notAdmitted("you may not enter this room, or it has ended; the user that opened it, users that " +
			"accepted an invitation with this roomID, and the members of a group's room may enter")
	case asked == "":
		return granted, nil
	case asked == im.RoomAnchor && granted != im.RoomAnchor:
		return "", notAdmitted(
			"you may only listen in this room; to speak, invite one of its hosts with this roomID")
	}
	return asked, nil
}

// maxEntered bounds the rooms that one user may have opened by entering, so that no user fills LiveKit with empty
// rooms.
const maxEntered = 20

// reopenAfterMS is the time after the end of a room during which its guests do not open a new one by entering: they
// mean the call that has ended.
const reopenAfterMS = 60_000

// open opens a missing room for the caller, or marks an empty one as about to be entered. A caller that returns to a
// call opens none: the call has ended while the caller was disconnected.
func (m *Media) open(ctx context.Context, by rpc.Caller, req protocol.EnterRoomRequest) (im.Admission, error) {
	roomID := req.RoomID
	reads := callReads(roomID, by.UserID)
	reads.Topics, reads.OpenedBy = append(reads.Topics, im.UserTopic(by.UserID)), []string{by.UserID}
	return rpc.Run(ctx, m.store, rpc.Txn[im.Admission]{Reads: reads, Decide: func(tx *txn.Tx) (a im.Admission, err error) {
		living, row, err := room.Living(tx, roomID)
		if err != nil {
			return a, err
		}
		if a = room.LoadAdmission(tx, m.opt.Policy, roomID, by.UserID); living != nil {
			if a.Role() != im.RoomNobody && living.EmptyAt != 0 {
				living.Occupy(0, tx.Now)
				tx.PutRoom(*living)
			}
			return a, nil
		}
		guest := row != nil && row.Owner != by.UserID && a.Seat != nil && a.Seat.At >= row.CreatedAt
		if req.Rejoin || guest && tx.Now-row.EndedAt < reopenAfterMS {
			return a, notAdmitted("this call has ended")
		}
		if len(tx.OpenedBy(by.UserID)) >= maxEntered {
			return a, &im.Error{Code: im.CodeTooMany, Field: "roomID",
				Message: "you have opened too many rooms; leave one, or wait until one ends"}
		}
		r := im.Room{ID: roomID, Owner: by.UserID, Entered: true}
		r.Open(row, tx.Now)
		seat := im.Seat{RoomID: roomID, UserID: by.UserID, Role: im.RoomAnchor, At: r.CreatedAt}
		tx.PutRoom(r)
		tx.PutSeat(seat)
		a.Room, a.Seat = &r, &seat
		return a, nil
	}})
}

// EnterRoom returns a LiveKit token for the caller. A missing room is opened, with the caller as its host.
func (m *Media) EnterRoom(ctx context.Context, by rpc.Caller,
	req protocol.EnterRoomRequest) (res protocol.EnterRoomResponse, err error) {
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
	if a.Group == nil && (!a.Room.Lives() || a.Room.EmptyAt != 0) {
		if a, err = m.open(ctx, by, req); err != nil {
			return res, err
		}
	}
	granted := a.Role()
	role, err := choose(req.Role, granted)
	if err != nil {
		return res, err
	}
	if err := m.create(ctx, req.RoomID); err != nil {
		return res, err
	}
	return m.entry(&entering{roomID: req.RoomID, user: by.UserID, role: granted, host: a.Host()}, role)
}

func (m *Media) roomLock(roomID string) *sync.Mutex {
	h := fnv.New32a()
	_, _ = h.Write([]byte(roomID))
	return &m.roomLocks[h.Sum32()%uint32(len(m.roomLocks))]
}

// create creates a room in LiveKit, unless it exists.
func (m *Media) create(ctx context.Context, roomID string) error {
	lock := m.roomLock(roomID)
	lock.Lock()
	defer lock.Unlock()
	ctx, cancel := context.WithTimeout(ctx, apiTime)
	defer cancel()
	return reached(m.live.create(ctx, roomID))
}

// closeRoom closes the LiveKit room of an ended room, unless it was opened again.
func (m *Media) closeRoom(ctx context.Context, roomID string) error {
	lock := m.roomLock(roomID)
	lock.Lock()
	defer lock.Unlock()
	if im.RoomOfGroup(roomID) == "" {
		if r, err := m.store.Room(ctx, roomID); err != nil || r.Lives() {
			return err
		}
	}
	return m.live.close(ctx, roomID)
}

// SwitchRole changes the caller's role in a room, up to the granted role.
func (m *Media) SwitchRole(ctx context.Context, by rpc.Caller, req protocol.SwitchRoleRequest) (protocol.RoomResponse,
	error) {
	res := protocol.RoomResponse{RoomID: req.RoomID, Role: req.Role, ServerTime: m.store.Now()}
	if err := rpc.FirstError(checkRole(req.Role, im.RoomAnchor, im.RoomAudience), checkRoom(req.RoomID),
		m.off()); err != nil {
		return res, err
	}
	var refused error
	err := m.callLiveKit(ctx, func(ctx context.Context) error {
		return m.permit(ctx, req.RoomID, by.UserID, func(granted im.RoomRole) (role im.RoomRole) {
			role, refused = choose(req.Role, granted)
			return role
		})
	})
	if refused != nil {
		err = refused
	}
	return res, err
}

// permit applies a user's current grant in LiveKit, one call at a time for each user and room, so that the last
// decision wins. pick turns the grant into the role to apply; "" skips the call.
func (m *Media) permit(ctx context.Context, roomID, user string, pick func(granted im.RoomRole) im.RoomRole) error {
	h := fnv.New32a()
	_, _ = h.Write([]byte(roomID + "\n" + user))
	lock := &m.grantLocks[h.Sum32()%uint32(len(m.grantLocks))]
	lock.Lock()
	defer lock.Unlock()
	a, err := m.admission(ctx, roomID, user)
	if err != nil {
		return err
	}
	role := pick(a.Role())
	if role == "" {
		return nil
	}
	return m.live.permit(ctx, roomID, user, role)
}

// enforce applies a reduced grant to a participant. The next comparison retries failures.
func (m *Media) enforce(roomID, user string) {
	m.background(func() {
		err := m.callLiveKit(context.Background(), func(ctx context.Context) error {
			return m.permit(ctx, roomID, user, func(granted im.RoomRole) im.RoomRole {
				if granted == im.RoomAnchor {
					return ""
				}
				return granted
			})
		})
		if err != nil {
			m.log.Warn("applying a reduced role in LiveKit failed", "room", roomID, "user", user,
				"error", err, "retry_in", checkEvery)
		}
	})
}

// Announce enforces the roles of users that lose permissions in a group's room through these records.
func (m *Media) Announce(records []txn.Record) {
	if m.live == nil {
		return
	}
	for i := range records {
		group := im.TopicGroup(records[i].Topic)
		if group == "" || !bytes.HasPrefix(records[i].Body, []byte(`{"type":"group"`)) {
			continue
		}
		var e protocol.GroupEvent
		if json.Unmarshal(records[i].Body, &e) != nil {
			continue
		}
		switch e.Tip {
		case protocol.TipLeave, protocol.TipKicked, protocol.TipWithdrawn, protocol.TipOwner:
			users := e.Members
			if e.Tip == protocol.TipOwner {
				users = []string{e.From}
			}
			for _, u := range users {
				m.enforce(im.GroupConversation(group), u)
			}
		}
	}
}

// SetRoomRole sets a user's role in a room, for its hosts. All users may reduce their own role to audience.
func (m *Media) SetRoomRole(ctx context.Context, by rpc.Caller,
	req protocol.SetRoomRoleRequest) (res protocol.RoomResponse, err error) {
	if err := rpc.FirstError(checkRoom(req.RoomID), im.CheckUserID("userID", req.UserID),
		checkRole(req.Role, im.RoomAnchor, im.RoomAudience, im.RoomNobody)); err != nil {
		return res, err
	}
	var reads txn.ReadSet
	room.AdmissionReads(&reads, req.RoomID, by.UserID, req.UserID)
	res, err = rpc.Run(ctx, m.store, rpc.Txn[protocol.RoomResponse]{Reads: reads,
		Decide: func(tx *txn.Tx) (res protocol.RoomResponse, err error) {
			them := room.LoadAdmission(tx, m.opt.Policy, req.RoomID, req.UserID)
			givesUp := by.UserID == req.UserID && req.Role == im.RoomAudience && them.Role() == im.RoomAnchor
			if err := m.mustHost(tx, by, req.RoomID); err != nil && !givesUp {
				return res, err
			}
			switch {
			case them.Host():
				return res, notAdmitted(req.UserID + " is a host of this room; the role of a host cannot be changed")
			case them.Group == nil && !them.Room.Lives():
				return res, notAdmitted("this room does not exist; it may have ended")
			case them.Group == nil && them.Grant() == nil && by.UserID != "":
				return res, notAdmitted(req.UserID + " was never invited into this room; send an invitation with this roomID first")
			case them.Group != nil && !them.Member.Present() && req.Role != im.RoomNobody:
				return res, notAdmitted(req.UserID + " is not a member of the group of this room")
			}
			res = protocol.RoomResponse{RoomID: req.RoomID, Role: req.Role, ServerTime: tx.Now}
			if s := tx.Seat(req.RoomID, req.UserID); s != nil && s.Role == req.Role && them.Role() == req.Role {
				return res, nil
			}
			return res, room.GrantSeat(tx, by, req.RoomID, req.UserID, req.Role)
		}})
	if err != nil || m.live == nil {
		return res, err
	}
	return res, m.callLiveKit(ctx, func(ctx context.Context) error {
		return m.permit(ctx, req.RoomID, req.UserID, func(granted im.RoomRole) im.RoomRole { return granted })
	})
}

// mustHost refuses callers that are not a host of a room. An app server without a user is a host of every room.
func (m *Media) mustHost(tx *txn.Tx, by rpc.Caller, roomID string) error {
	if by.Server && by.UserID == "" {
		return nil
	}
	a := room.LoadAdmission(tx, m.opt.Policy, roomID, by.UserID)
	if !a.Host() {
		return notAdmitted(
			"only hosts of this room may do this: the user that opened it, or the owner and administrators of its group")
	}
	return nil
}

// GetRoom returns a room, to users that may enter it and to app servers.
func (m *Media) GetRoom(ctx context.Context, by rpc.Caller, req protocol.RoomRequest) (res protocol.RoomView,
	err error) {
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
	res = protocol.RoomView{RoomID: req.RoomID, GroupID: im.RoomOfGroup(req.RoomID), Granted: role, Host: a.Host(),
		Seats: []protocol.RoomSeat{}, Time: m.store.Now()}
	since := int64(0)
	switch {
	case a.Room.Lives():
		res.Owner, since = a.Room.Owner, a.Room.CreatedAt
	case a.Group != nil:
		res.Owner = a.Group.Owner
	}
	seats, err := m.store.Seats(ctx, req.RoomID, since, maxSeats)
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
	participants, err := m.store.UsersIn(ctx, c.ID, maxSeats)
	res.Call = view.Call(c, participants)
	return res, internal(err)
}

func internal(err error) error {
	if err == nil {
		return nil
	}
	return im.Internal(err)
}
