package media

import (
	"context"
	"net/http"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/webhook"

	"github.com/beckon-im/beckon/im"
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
		m.joined(room, who, sid, at, done)
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
		if c.Leave(p, "", im.LeftMediaLost, max(at, p.JoinedAt)) {
			w.PutParticipant(*p)
		}
	}
	c.EndedBy, c.CheckAt = "", w.Now+im.AloneFor
	w.PutCall(*c)
	return nil
}

// How often LiveKit is asked whether the calls go on, and about how many at once.
const (
	checkEvery  = 10 * time.Second
	checkAtOnce = 200
)

// checkCalls compares the calls that go on with what LiveKit has, which tells what its events did not: that it crashed, or that
// this server was away for longer than LiveKit repeats them.
func (m *Media) checkCalls(ctx context.Context) {
	for after := ""; ; {
		calls, err := m.store.OpenCalls(ctx, after, checkAtOnce)
		if err == nil && len(calls) > 0 {
			err = m.compare(ctx, calls)
		}
		if err != nil && ctx.Err() == nil {
			m.log.Warn("the calls that go on could not be compared with LiveKit; it is tried again", "error", err)
		}
		if err != nil || len(calls) < checkAtOnce {
			return
		}
		after = calls[len(calls)-1].ID
	}
}

func (m *Media) compare(ctx context.Context, calls []im.Call) error {
	asked := m.store.Now()
	names := make([]string, len(calls))
	for i := range calls {
		names[i] = calls[i].RoomID
	}
	there, err := m.live.among(ctx, names)
	if err != nil {
		return err
	}
	for i := range calls {
		c := &calls[i]
		var in map[string]string
		if there[c.RoomID] {
			if in, err = m.live.people(ctx, c.RoomID); err != nil {
				return err
			}
		} else if c.Present == 0 {
			continue // its time is running out already
		}
		if _, err := wait(ctx, func(done func(struct{}, error)) { m.settle(c.RoomID, in, there[c.RoomID], asked, done) }); err != nil {
			return err
		}
	}
	return nil
}

// settle makes a call what LiveKit said at a time that it is. What changed since then is left for the next look.
func (m *Media) settle(roomID string, in map[string]string, there bool, asked int64, done func(struct{}, error)) {
	need := callNeed(roomID)
	need.AllIn = []string{roomID}
	for u := range in {
		need.InCall = append(need.InCall, world.SeatKey{RoomID: roomID, UserID: u})
	}
	verb.Do(m.store, need, func(w *world.World) (none struct{}, err error) {
		c := w.CallIn(roomID)
		switch {
		case c == nil || c.OpenedAt >= asked:
			return none, nil
		case !there:
			return none, drop(w, c)
		}
		for _, p := range w.Participants(c.ID) {
			if p.JoinedAt != 0 && p.JoinedAt < asked && in[p.UserID] == "" && c.Leave(p, "", im.LeftWent, asked) {
				w.PutParticipant(*p)
			}
		}
		for u, sid := range in {
			p := w.Participant(c.ID, u)
			if p.LeftAt < asked && im.CheckUserID("identity", u) == nil && c.Join(p, sid, asked) {
				w.PutParticipant(*p)
			}
		}
		c.SeenAt = max(c.SeenAt, asked)
		w.PutCall(*c)
		return none, nil
	}, done)
}
