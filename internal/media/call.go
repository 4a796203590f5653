package media

import (
	"context"
	"strconv"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/room"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// maxShown bounds the users that the message of a call record lists.
const maxShown = 100

// callReads returns the reads of a change of the call in a room.
func callReads(roomID string, users ...string) txn.ReadSet {
	reads := txn.ReadSet{CallIn: []string{roomID}}
	room.AdmissionReads(&reads, roomID, users...)
	for _, u := range users {
		reads.InCall = append(reads.InCall, txn.SeatKey{RoomID: roomID, UserID: u})
	}
	return reads
}

// newCall returns a new call record for a room. It requires the invitation that determines its conversation.
func newCall(tx *txn.Tx, roomID string, at int64) (*im.Call, error) {
	c := &im.Call{ID: uuid.Must(uuid.NewV7()).String(), RoomID: roomID, OpenedAt: at, SeenAt: at}
	if g := tx.Group(im.RoomOfGroup(roomID)); g != nil {
		c.GroupID, c.Owner = g.ID, g.Owner
		return c, nil
	}
	r := tx.Room(roomID)
	if !r.Lives() {
		return c, nil
	}
	if err := knowInvitation(tx, r); err != nil {
		return nil, err
	}
	room.BelongTo(c, r, tx.Invitation(r.InviteID))
	return c, nil
}

// put writes a call after a join, a leave or a comparison, with the occupancy of its room. The grace period of a user
// alone begins once: comparisons do not extend it.
func put(tx *txn.Tx, c *im.Call, participants ...*im.Participant) {
	for _, p := range participants {
		tx.PutParticipant(*p)
	}
	if r := tx.Room(c.RoomID); r.Lives() {
		c.CheckAt = 0 // the room has the check
		was := *r
		if c.Present > 0 || r.EmptyAt == 0 {
			r.Occupy(c.Present, tx.Now)
		}
		if c.Present == 1 && c.BeganAt != 0 {
			if r.CheckAt = was.CheckAt; r.CheckAt == 0 || was.EmptyAt != 0 {
				r.CheckAt = tx.Now + im.AloneFor
			}
		}
		if *r != was {
			tx.PutRoom(*r)
		}
	}
	if im.RoomOfGroup(c.RoomID) != "" && c.Present < 2 && c.CheckAt == 0 {
		c.CheckAt = tx.Now + im.AloneFor
	}
	tx.PutCall(*c)
}

// sighting is a join or leave reported by LiveKit. Times are in milliseconds on the clock of this server.
type sighting struct {
	room, user, sid string
	joined          int64 // time of the join; 0: unknown
	at              int64 // time of the event
	reason          string
	speaks, video   bool
}

// earlier reports whether an event belongs to an earlier life of a room. Event times are exact to a second.
func earlier(tx *txn.Tx, roomID string, at int64) bool {
	r := tx.Room(roomID)
	return r.Lives() && at+1000 < r.CreatedAt
}

// callOf returns the ongoing call in a room, or a new one.
func callOf(tx *txn.Tx, roomID string, at int64) (*im.Call, error) {
	if r := tx.Room(roomID); r.Lives() {
		at = max(at, r.CreatedAt)
	}
	if c := tx.CallIn(roomID); c != nil {
		return c, nil
	}
	return newCall(tx, roomID, at)
}

// joined records that a user entered a room, or publishes in it. If the grant was reduced since the token was
// issued, the user is removed or muted.
func (m *Media) joined(ctx context.Context, s sighting) error {
	role := im.RoomNobody
	err := rpc.Write(ctx, m.store, callReads(s.room, s.user), func(tx *txn.Tx) error {
		admission := room.LoadAdmission(tx, m.opt.Policy, s.room, s.user)
		if role = admission.Role(); role == im.RoomNobody {
			return nil
		}
		if earlier(tx, s.room, s.at) {
			return nil
		}
		c, err := callOf(tx, s.room, s.at)
		if err != nil {
			return err
		}
		p := tx.Participant(c.ID, s.user)
		fresh := s.video && !c.Video
		c.Video = c.Video || s.video
		if s.sid != "" && c.Join(p, s.sid, max(s.at, notBefore(tx, s.room)), tx.Now) {
			put(tx, c, p)
		} else if fresh {
			c.SeenAt = max(c.SeenAt, s.at)
			put(tx, c)
		}
		return nil
	})
	if err == nil && (role == im.RoomNobody || s.speaks && role == im.RoomAudience) {
		m.enforce(s.room, s.user)
	}
	return err
}

// notBefore returns the earliest possible join in a room.
func notBefore(tx *txn.Tx, roomID string) int64 {
	if r := tx.Room(roomID); r.Lives() {
		return r.CreatedAt
	}
	return 0
}

// left records that a user left a room.
func (m *Media) left(ctx context.Context, s sighting) error {
	return rpc.Write(ctx, m.store, callReads(s.room, s.user), func(tx *txn.Tx) (err error) {
		admission := room.LoadAdmission(tx, m.opt.Policy, s.room, s.user)
		c := tx.CallIn(s.room)
		if earlier(tx, s.room, s.at) || c == nil && (admission.Role() == im.RoomNobody || s.joined == 0) {
			return nil
		}
		joined := s.joined
		if joined != 0 {
			joined = max(joined, notBefore(tx, s.room))
		}
		if c, err = callOf(tx, s.room, joined); err != nil {
			return err
		}
		c.Video = c.Video || s.video
		p := tx.Participant(c.ID, s.user)
		if p.JoinedAt == 0 && admission.Role() == im.RoomNobody {
			return nil // removed at once, never admitted
		}
		if c.Gone(p, s.sid, s.reason, joined, s.at, tx.Now) {
			put(tx, c, p)
		}
		return nil
	})
}

// shortest is the minimum time with two participants for a record of a call in a group's room, in milliseconds,
// because members pass through.
const shortest = 1000

// end closes the record of a call, and appends it to its conversation. The record of a call that never connected two
// participants is discarded.
func end(tx *txn.Tx, c *im.Call, reason, by string, at int64) error {
	if !tx.HasAllIn(c.RoomID) {
		return &txn.NeedReads{Reads: txn.ReadSet{AllIn: []string{c.RoomID}}}
	}
	participants := tx.Participants(c.ID)
	talked := c.End(participants, reason, by, at)
	if !talked || im.RoomOfGroup(c.RoomID) != "" && c.MS < shortest {
		tx.VoidCall(*c)
		return nil
	}
	if err := appendEvent(tx, c, participants); err != nil {
		return err
	}
	for _, p := range participants {
		tx.PutParticipant(*p)
	}
	tx.PutCall(*c)
	return nil
}

// endRoom ends a room and the call in it: all grants end, and the roomID is free again.
func endRoom(tx *txn.Tx, r *im.Room, reason, by string) error {
	if c := tx.CallIn(r.ID); c != nil {
		if err := end(tx, c, reason, by, tx.Now); err != nil {
			return err
		}
	}
	r.End(tx.Now)
	tx.PutRoom(*r)
	return nil
}

// appendEvent appends the call record to the conversations of the call: the group's, or the owner's with each
// participant.
func appendEvent(tx *txn.Tx, c *im.Call, participants []*im.Participant) error {
	elem := &protocol.CallElem{CallID: c.ID, RoomID: c.RoomID, InviteID: c.InviteID, Began: c.BeganAt, Ended: c.EndedAt,
		Duration: c.MS,
		Media:    c.Media(), Reason: c.Reason, EndedBy: c.EndedBy, Count: c.Total}
	for _, p := range participants[:min(len(participants), maxShown)] {
		elem.People = append(elem.People, p.UserID)
	}
	msg := protocol.Message{Type: protocol.TypeMessage, MessageID: protocol.CallMessagePrefix + c.ID,
		MessageType: protocol.CallType, From: c.Owner, GroupID: c.GroupID, Time: tx.Now,
		Body: protocol.Body{Call: elem}, MessageOptions: protocol.MessageOptions{ExcludeUnread: true}}
	if c.GroupID != "" {
		return appendToGroup(tx, c.GroupID, msg)
	}
	if c.InviteID == "" {
		return nil // a room without invitations
	}
	return appendToUsers(tx, c, participants, msg)
}

func appendToUsers(tx *txn.Tx, c *im.Call, participants []*im.Participant, msg protocol.Message) error {
	var topics []string
	var sides []txn.ContactKey
	for _, p := range participants {
		if topics = append(topics, im.UserTopic(p.UserID)); p.UserID != c.Owner {
			sides = append(sides, txn.ContactKey{UserID: c.Owner, Peer: p.UserID},
				txn.ContactKey{UserID: p.UserID, Peer: c.Owner})
		}
	}
	topics = append(topics, im.UserTopic(c.Owner))
	if missing := tx.Missing(topics); len(missing) > 0 || !tx.HasContacts(sides) {
		return &txn.NeedReads{Reads: txn.ReadSet{Topics: missing, Contacts: sides}}
	}
	for i, p := range participants {
		if p.UserID == c.Owner {
			continue
		}
		one := msg
		if one.To = p.UserID; len(sides) > 2 { // several are on the owner's timeline
			one.MessageID += "-" + strconv.Itoa(i)
		}
		d := txn.Draft{Body: &rpc.Event{Value: one}, Message: one.MessageID, Sender: c.Owner}
		mine, theirs := d, d
		mine.Peer, theirs.Peer = p.UserID, c.Owner
		for _, k := range []txn.ContactKey{{UserID: c.Owner, Peer: p.UserID}, {UserID: p.UserID, Peer: c.Owner}} {
			if !tx.HasContact(k.UserID, k.Peer) {
				tx.PutContact(*tx.Contact(k.UserID, k.Peer))
			}
		}
		tx.AppendPair(im.UserTopic(c.Owner), mine, im.UserTopic(p.UserID), theirs)
	}
	return nil
}

func appendToGroup(tx *txn.Tx, group string, msg protocol.Message) error {
	t := im.GroupTopic(group)
	if len(tx.Missing([]string{t})) > 0 || !tx.HasGroup(group) {
		return &txn.NeedReads{Reads: txn.ReadSet{Topics: []string{t}, Groups: []string{group}}}
	}
	if g := tx.Group(group); g == nil || g.Dismissed {
		return nil
	}
	tx.Append(t, txn.Draft{Body: &rpc.Event{Value: msg}, Message: msg.MessageID, Sender: msg.From, Peer: txn.GroupPeer})
	return nil
}

// ofTwo reports whether a room belongs to a one-to-one call, with user as one of the two unless user is empty. Only a
// declared invitation counts.
func ofTwo(tx *txn.Tx, r *im.Room, user string, c *im.Call) bool {
	if !r.Lives() || c != nil && c.Total > 2 || r.Latest != r.InviteID {
		return false
	}
	v := tx.Invitation(r.InviteID)
	return v != nil && v.GroupID == "" && !v.OwnTopic && v.Peer != "" &&
		(user == "" || user == v.Inviter || user == v.Peer)
}

// knowInvitation requires the invitation that decides whether a room belongs to a one-to-one call.
func knowInvitation(tx *txn.Tx, r *im.Room) error {
	if r.Lives() && r.InviteID != "" && !tx.HasInvitation(r.InviteID) {
		return &txn.NeedReads{Reads: txn.ReadSet{Invitations: []string{r.InviteID}}}
	}
	return nil
}
