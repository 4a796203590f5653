package media

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/room"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// method is a method that returns a transaction.
type method[Q, R any] = func(context.Context, rpc.Caller, Q) (rpc.Txn[R], error)

// WithEntryOnInvite adds the entry to the room of an invitation to the response of the method that opens it, so that
// the inviter needs no enterRoom (docs/adr/0027).
func WithEntryOnInvite[Q any](m *Media, f method[Q, protocol.InviteResponse]) method[Q, protocol.InviteResponse] {
	return withEntry(m, f, func(res *protocol.InviteResponse) place {
		p := place{inviteID: res.InviteID, field: &res.Room}
		if v := res.Invitation; v != nil && (!v.Over || res.Merged) {
			p.roomID = v.RoomID
		}
		return p
	})
}

// WithEntryOnAccept does the same for the method that accepts one.
func WithEntryOnAccept[Q any](m *Media, f method[Q, protocol.ActionResponse]) method[Q, protocol.ActionResponse] {
	return withEntry(m, f, func(res *protocol.ActionResponse) place {
		return place{inviteID: res.InviteID, field: &res.Room}
	})
}

// place is the invitation of a response, its room if it is known, and the field for the entry.
type place struct {
	inviteID, roomID string
	field            **protocol.EnterRoomResponse
}

// withEntry adds an entry to the responses of a method. The transaction decides about the admission, and nothing waits
// for LiveKit.
func withEntry[Q, R any](m *Media, f method[Q, R], placeOf func(*R) place) method[Q, R] {
	return func(ctx context.Context, by rpc.Caller, req Q) (rpc.Txn[R], error) {
		t, err := f(ctx, by, req)
		if err != nil || t.Decide == nil || m.live == nil || by.InviteID != "" { // an answer token is no entry
			return t, err
		}
		var e *entering
		decide, after := t.Decide, t.After
		t.Decide = func(tx *txn.Tx) (R, error) {
			res, err := decide(tx)
			if e = nil; err == nil {
				e, err = m.mayEnter(tx, placeOf(&res), by.UserID)
			}
			return res, err
		}
		t.After = func(res R, err error) (R, error) {
			if after != nil {
				res, err = after(res, err)
			}
			if err == nil && e != nil {
				*placeOf(&res).field = m.prepareEntry(ctx, e)
			}
			return res, err
		}
		return t, nil
	}
}

// entering is a user with the permission to enter a room.
type entering struct {
	roomID, user string
	role         im.RoomRole
	host         bool
}

// mayEnter returns the permission of a user to enter the room of an invitation; nil: none, or not read by this
// transaction.
func (m *Media) mayEnter(tx *txn.Tx, p place, user string) (*entering, error) {
	v := tx.Invitation(p.inviteID) // nil if this transaction opens it
	if v != nil {
		p.roomID = v.RoomID
	}
	if p.roomID == "" || !tx.HasSeat(txn.SeatKey{RoomID: p.roomID, UserID: user}) {
		return nil, nil
	}
	role, host, err := room.RoleAfter(tx, m.opt.Policy, v, p.roomID, user)
	if err != nil || role == im.RoomNobody {
		return nil, err
	}
	return &entering{roomID: p.roomID, user: user, role: role, host: host}, nil
}

// prepareEntry returns the entry without waiting for LiveKit. The signaling proxy creates the room when the user
// connects; for a LiveKit with an address of its own, a task creates it meanwhile. nil: enterRoom is needed.
func (m *Media) prepareEntry(ctx context.Context, e *entering) *protocol.EnterRoomResponse {
	res, err := m.entry(e, e.role)
	if err != nil {
		m.log.Warn("signing a room token failed", "room", e.roomID, "error", err)
		return nil
	}
	if m.opt.URL != "" {
		m.background(func() {
			if err := m.create(context.WithoutCancel(ctx), e.roomID); err != nil {
				m.log.Warn("creating a room in LiveKit failed", "room", e.roomID, "error", err)
			}
		})
	}
	return &res
}

// entry returns the address of a room, and a token with a role.
func (m *Media) entry(e *entering, role im.RoomRole) (res protocol.EnterRoomResponse, err error) {
	token, err := m.live.token(e.user, e.roomID, role, m.opt.TokenLife)
	if err != nil {
		return res, im.Internal(err)
	}
	if m.opt.URL != "" { // otherwise the signaling connection is proxied here
		m.expect(e.roomID, e.user)
	}
	now := m.store.Now()
	return protocol.EnterRoomResponse{RoomID: e.roomID, URL: m.opt.URL, Token: token, Role: role, Granted: e.role,
		Host: e.host, ExpireAt: now/1000 + int64(m.opt.TokenLife.Seconds()), UDPPort: m.opt.UDPPort,
		TCPPort: m.opt.TCPPort, ServerTime: now}, nil
}
