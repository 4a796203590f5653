package media

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/view"
	"github.com/beckon-im/beckon/protocol"
)

// optionalGroup checks a groupID that may be absent.
func optionalGroup(id string) error {
	if id == "" {
		return nil
	}
	return im.CheckGroupID(id)
}

// ListCalls lists call records, the latest first: the caller's own or, for an app server, all.
func (m *Media) ListCalls(ctx context.Context, by rpc.Caller,
	req protocol.ListCallsRequest) (res protocol.ListCallsResponse, err error) {
	limit, err := rpc.Page(req.Limit)
	if err != nil {
		return res, err
	}
	if err := rpc.FirstError(im.CheckRoomID(req.RoomID), optionalGroup(req.GroupID)); err != nil {
		return res, err
	}
	if req.From < 0 || req.Until < 0 {
		return res, im.Bad("from", "and until must not be negative (times in milliseconds)")
	}
	if by.UserID != "" {
		if req.UserID != "" && req.UserID != by.UserID {
			return res, im.Bad("userID", "must be your own; only app servers may list the calls of other users")
		}
		req.UserID = by.UserID
	}
	list, err := m.store.Calls(ctx, store.CallFilter{UserID: req.UserID, GroupID: req.GroupID, RoomID: req.RoomID,
		From: req.From, Until: req.Until,
		Open: req.Open, Before: req.Before, Limit: limit})
	if im.CodeOf(err) == im.CodeBadParameter {
		return res, err
	}
	res.Calls = make([]protocol.Call, len(list))
	for i := range list {
		res.Calls[i] = *view.Call(&list[i], nil)
	}
	if err := m.addPresent(ctx, list, res.Calls); err != nil {
		return res, im.Internal(err)
	}
	if len(list) == limit {
		res.Next = store.CallCursor(&list[limit-1])
	}
	return res, internal(err)
}

// GetCall returns a call record with its participants, to them and to app servers.
func (m *Media) GetCall(ctx context.Context, by rpc.Caller, req protocol.GetCallRequest) (res protocol.GetCallResponse,
	err error) {
	if req.CallID == "" || len(req.CallID) > im.MaxRoomID {
		return res, im.Bad("callID", "is missing or too long")
	}
	c, err := m.store.Call(ctx, req.CallID)
	if err != nil {
		return res, im.Internal(err)
	}
	var participants []im.Participant
	if c != nil {
		if participants, err = m.store.UsersIn(ctx, c.ID, maxSeats); err != nil {
			return res, im.Internal(err)
		}
	}
	mine := c != nil && (by.UserID == "" || by.UserID == c.Owner || by.UserID == c.Peer)
	for i := range participants {
		mine = mine || participants[i].UserID == by.UserID
	}
	if !mine {
		return res, im.NotFound("callID", "is not the ID of a call that you took part in")
	}
	return protocol.GetCallResponse{Call: view.Call(c, participants)}, nil
}

// Limits of the participants in ListCalls: the ongoing calls of a page that list them, and the number of each.
const (
	maxOngoing = 20
	maxPresent = 100
)

// addPresent adds the present participants to the ongoing calls of a page.
func (m *Media) addPresent(ctx context.Context, list []im.Call, views []protocol.Call) error {
	shown := 0
	for i := range list {
		if list[i].EndedAt != 0 {
			continue
		}
		if shown++; shown > maxOngoing {
			return nil
		}
		participants, err := m.store.PresentIn(ctx, list[i].ID, maxPresent)
		if err != nil {
			return err
		}
		views[i].People = view.Call(&list[i], participants).People
	}
	return nil
}
