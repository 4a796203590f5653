package media

import (
	"context"
	"net/http"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/webhook"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/engine"
	"github.com/beckon-im/beckon/internal/verb"
	"github.com/beckon-im/beckon/internal/world"
)

// maxHook bounds what LiveKit says at once, in bytes.
const maxHook = 1 << 20

// hook takes in what LiveKit says has happened. Only what is durable is acknowledged, so that LiveKit tells the rest again.
func (m *Media) hook(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxHook)
	e, err := webhook.ReceiveWebhookEvent(r, m.live)
	if err != nil {
		http.Error(w, "this is not from a LiveKit server with our key", http.StatusUnauthorized)
		return
	}
	if _, err := wait(r.Context(), func(done func(struct{}, error)) { m.happened(e, func(err error) { done(struct{}{}, err) }) }); err != nil {
		if r.Context().Err() == nil {
			m.log.Error("what LiveKit said could not be kept", "event", e.Event, "room", e.Room.GetName(), "error", err)
		}
		http.Error(w, "try again", http.StatusServiceUnavailable)
	}
}

// late is how old an event may be to have happened now. What is older has waited, and its own time, in whole seconds of LiveKit's
// clock, is nearer to the truth.
const late = 3 * time.Second

func (m *Media) happened(e *livekit.WebhookEvent, done func(error)) {
	at := m.store.Now()
	if told := e.CreatedAt * 1000; told > 0 && at-told > late.Milliseconds() {
		at = told
	}
	room, who, sid := e.Room.GetName(), e.Participant.GetIdentity(), e.Participant.GetSid()
	known := im.CheckRoomID(room) == nil && room != ""
	person := known && im.CheckUserID("identity", who) == nil && e.Participant.GetKind() == livekit.ParticipantInfo_STANDARD
	switch {
	case e.Event == webhook.EventParticipantJoined && person:
		m.joined(room, who, sid, e.Participant.GetPermission().GetCanPublish(), at, done)
	case (e.Event == webhook.EventParticipantLeft || e.Event == webhook.EventParticipantConnectionAborted) && person:
		m.left(room, who, sid, reasonOf(e.Participant.GetDisconnectReason()), at, done)
	case e.Event == webhook.EventRoomFinished && known:
		m.finished(room, at, done)
	default:
		done(nil)
	}
}

func reasonOf(r livekit.DisconnectReason) string {
	switch r {
	case livekit.DisconnectReason_DUPLICATE_IDENTITY:
		return im.LeftReplaced
	case livekit.DisconnectReason_PARTICIPANT_REMOVED:
		return im.LeftRemoved
	case livekit.DisconnectReason_ROOM_DELETED, livekit.DisconnectReason_ROOM_CLOSED:
		return im.LeftDismissed
	case livekit.DisconnectReason_SERVER_SHUTDOWN:
		return im.LeftMediaLost
	}
	return im.LeftWent
}

// finished ends the call in a room that LiveKit has closed.
func (m *Media) finished(roomID string, at int64, done func(error)) {
	verb.Do(m.store, callNeed(roomID), func(w *world.World) (none struct{}, err error) {
		if c := w.CallIn(roomID); c != nil {
			return none, end(w, c, im.LeftWent, "", at)
		}
		return none, nil
	}, func(_ struct{}, err error) { done(err) })
}

// drop notes that nobody is in a room any more since LiveKit was last seen to have it. The call goes on for a while without
// them: people come back to the room as after a reload.
func drop(w *world.World, c *im.Call) error {
	if !w.HasAllIn(c.RoomID) {
		return &world.More{Need: world.Need{AllIn: []string{c.RoomID}}}
	}
	at := max(c.SeenAt, c.OpenedAt)
	for _, p := range w.Participants(c.ID) {
		if c.Leave(p, "", im.LeftMediaLost, at, w.Now) {
			w.PutParticipant(*p)
		}
	}
	c.EndedBy, c.CheckAt = "", w.Now+im.AloneFor
	w.PutCall(*c)
	return nil
}

// How often LiveKit is asked whether the calls go on, and how many of ours are read at once.
const (
	checkEvery  = 10 * time.Second
	checkAtOnce = 1000
)

// checkCalls compares the calls that go on with what LiveKit has, which tells what its events did not: that it crashed, or that
// this server was away for longer than LiveKit repeats them.
func (m *Media) checkCalls(ctx context.Context) {
	asked := m.store.Now()
	there, err := m.live.occupied(ctx)
	for after := ""; err == nil; {
		var calls []im.Call
		if calls, err = m.store.OpenCalls(ctx, after, checkAtOnce); err != nil || len(calls) == 0 {
			break
		}
		for i := range calls {
			c := &calls[i]
			if after = c.ID; there[c.RoomID] || c.Present > 0 { // else its time is running out already
				m.compare(ctx, c.RoomID, there[c.RoomID], asked)
			}
			delete(there, c.RoomID)
		}
	}
	for room := range there { // people without a record: their coming was never told, or their room could not be closed
		if im.CheckRoomID(room) == nil && room != "" && ctx.Err() == nil {
			m.compare(ctx, room, true, asked)
		}
	}
	if err != nil && ctx.Err() == nil {
		m.log.Warn("the calls that go on could not be compared with LiveKit; it is tried again", "error", err)
	}
}

// compare makes the record of one room what LiveKit says. A failure is of that room alone.
func (m *Media) compare(ctx context.Context, roomID string, there bool, asked int64) {
	var in map[string]present
	var err error
	if there {
		in, err = m.live.people(ctx, roomID)
	}
	if err == nil {
		_, err = wait(ctx, func(done func(struct{}, error)) { m.settle(roomID, in, there, asked, done) })
	}
	if err != nil && ctx.Err() == nil {
		m.log.Warn("a call could not be compared with LiveKit; it is tried again", "room", roomID, "error", err)
	}
}

// settle makes a call what LiveKit said at a time that it is. What changed since then is left for the next look. Who is in and may not be
// there, or speaks and may not, is sent out or silenced.
func (m *Media) settle(roomID string, in map[string]present, there bool, asked int64, done func(struct{}, error)) {
	users := make([]string, 0, len(in))
	for u := range in {
		if im.CheckUserID("identity", u) == nil {
			users = append(users, u)
		}
	}
	need := callNeed(roomID, users...)
	need.AllIn = []string{roomID}
	var wrong []string
	verb.Do(m.store, need, func(w *world.World) (none struct{}, err error) {
		wrong = nil
		c := w.CallIn(roomID)
		switch {
		case c != nil && c.OpenedAt >= asked, c == nil && len(users) == 0:
			return none, nil
		case !there:
			return none, drop(w, c)
		case c == nil:
			if c, err = newCall(w, roomID, asked); err != nil {
				return none, err
			}
		}
		for _, p := range w.Participants(c.ID) {
			if _, still := in[p.UserID]; !still && p.JoinedAt != 0 && p.JoinedAt < asked && c.Leave(p, "", im.LeftWent, asked, w.Now) {
				w.PutParticipant(*p)
			}
		}
		for _, u := range users {
			door := engine.AtDoor(w, m.opt.Policy, roomID, u)
			role := door.Role()
			if role == im.RoomNobody || in[u].speaks && role == im.RoomAudience {
				wrong = append(wrong, u)
			}
			if p := w.Participant(c.ID, u); role != im.RoomNobody && p.LeftAt < asked && c.Join(p, in[u].sid, asked, w.Now) {
				w.PutParticipant(*p)
			}
		}
		if c.Total == 0 {
			return none, nil // nobody who may be there
		}
		c.SeenAt = max(c.SeenAt, asked)
		w.PutCall(*c)
		return none, nil
	}, func(none struct{}, err error) {
		for _, u := range wrong {
			m.enforce(roomID, u)
		}
		done(none, err)
	})
}
