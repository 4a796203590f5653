package view

import (
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// Call returns the wire form of a call.
func Call(c *im.Call, participants []im.Participant) *protocol.Call {
	out := &protocol.Call{CallID: c.ID, RoomID: c.RoomID, InviteID: c.InviteID, GroupID: c.GroupID, Inviter: c.Owner,
		Invitee: c.Peer, Media: c.Media(), Opened: c.OpenedAt, Began: c.BeganAt,
		Ended: c.EndedAt, Duration: c.MS, Count: c.Total}
	if c.EndedAt != 0 {
		out.Reason, out.EndedBy = c.Reason, c.EndedBy
	}
	for _, p := range participants {
		v := protocol.CallPerson{UserID: p.UserID, Joined: p.FirstAt, Left: p.LeftAt, Duration: p.MS, Reason: p.Reason}
		if p.JoinedAt != 0 {
			v.Left, v.Reason = 0, ""
		}
		out.People = append(out.People, v)
	}
	return out
}
