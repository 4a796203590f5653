package media

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/webhook"
	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/room"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
)

// maxHook bounds the body of a LiveKit webhook, in bytes.
const maxHook = 1 << 20

// hook receives webhooks of LiveKit. Only durable events are acknowledged, so that LiveKit repeats the others.
func (m *Media) hook(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxHook)
	e, err := webhook.ReceiveWebhookEvent(r, m.live)
	if err != nil {
		http.Error(w, "the webhook is not signed with this server's LiveKit key", http.StatusUnauthorized)
		return
	}
	if err := m.handleEvent(r.Context(), e); err != nil {
		if r.Context().Err() == nil {
			m.log.Error("LiveKit event not stored", "event", e.Event, "room", e.Room.GetName(), "error", err)
		}
		http.Error(w, "retry", http.StatusServiceUnavailable)
	}
}

// deadFor is the time, in milliseconds, for which LiveKit keeps a silent participant: 15 s until ICE fails, and 5 s
// for a reconnect.
const deadFor = 20_000

func (m *Media) handleEvent(ctx context.Context, e *livekit.WebhookEvent) error {
	now, clock := m.store.Now(), &m.live.clock
	clock.saw(now, e.CreatedAt*1000)
	p := e.Participant
	joined := joinedMS(p)
	clock.saw(now, joined)
	s := sighting{room: e.Room.GetName(), user: p.GetIdentity(), sid: p.GetSid(), at: clock.eventTime(now, e.CreatedAt),
		speaks: p.GetPermission().GetCanPublish(), video: publishesVideo(p.GetTracks()...)}
	known := im.CheckRoomID(s.room) == nil && s.room != ""
	isUser := known && im.CheckUserID("identity", s.user) == nil && p.GetKind() == livekit.ParticipantInfo_STANDARD
	switch {
	case e.Event == webhook.EventParticipantJoined && isUser:
		s.at = clock.joinTime(now, e.CreatedAt, joined)
		return m.joined(ctx, s)
	case e.Event == webhook.EventTrackPublished && isUser && publishesVideo(e.Track):
		s.sid, s.speaks, s.video = "", false, true
		return m.joined(ctx, s)
	case (e.Event == webhook.EventParticipantLeft || e.Event == webhook.EventParticipantConnectionAborted) && isUser:
		s.reason = reasonOf(p.GetDisconnectReason())
		if joined != 0 && e.Event == webhook.EventParticipantLeft {
			s.joined = min(clock.joinTime(now, 0, joined), s.at)
		}
		if p.GetDisconnectReason() == livekit.DisconnectReason_CONNECTION_TIMEOUT {
			s.at = max(s.at-deadFor, s.joined)
		}
		return m.left(ctx, s)
	case e.Event == webhook.EventRoomFinished && known:
		return m.finished(ctx, s.room, s.at)
	}
	return nil
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

// finished records that LiveKit has closed a room: all participants have left. The end of the call is up to its rule.
func (m *Media) finished(ctx context.Context, roomID string, at int64) error {
	reads := callReads(roomID)
	reads.AllIn = []string{roomID}
	return rpc.Write(ctx, m.store, reads, func(tx *txn.Tx) error {
		if c := tx.CallIn(roomID); c != nil && !earlier(tx, roomID, at) {
			all(tx, c, func(p *im.Participant) bool { return p.JoinedAt < at && c.Leave(p, "", im.LeftWent, at, tx.Now) })
		}
		return nil
	})
}

// all writes the participants of a call that f has changed, and the call.
func all(tx *txn.Tx, c *im.Call, f func(*im.Participant) bool) {
	var changed []*im.Participant
	for _, p := range tx.Participants(c.ID) {
		if f(p) {
			changed = append(changed, p)
		}
	}
	if len(changed) > 0 {
		put(tx, c, changed...)
	}
}

// The interval of comparisons with LiveKit, the calls read per page, and the concurrent calls to LiveKit.
const (
	checkEvery      = 10 * time.Second
	checkAtOnce     = 1000
	maxLiveKitCalls = 8
)

// checkCalls compares ongoing calls with LiveKit, to find changes without an event: after a crash of LiveKit, or when
// this server was down for longer than LiveKit repeats events. Unless every is set, calls that another node has just
// compared are skipped.
func (m *Media) checkCalls(ctx context.Context, every bool) {
	asked := m.store.Now()
	occupied, err := m.live.listed(ctx)
	var work errgroup.Group
	work.SetLimit(maxLiveKitCalls)
	for after := ""; err == nil; {
		var calls []im.Call
		if calls, err = m.store.OpenCalls(ctx, after, checkAtOnce); err != nil || len(calls) == 0 {
			break
		}
		for i := range calls {
			c := &calls[i]
			after = c.RoomID
			_, there := occupied[c.RoomID]
			if recent := m.store.Now()-c.SeenAt < checkEvery.Milliseconds()/2; (every || !recent) && (there || c.Present > 0) {
				work.Go(func() error { m.compare(ctx, c.RoomID, there, asked); return nil })
			}
			delete(occupied, c.RoomID)
		}
	}
	// occupied rooms without a call record: a join event was lost, or closing the room failed
	for room, some := range occupied {
		if some && im.CheckRoomID(room) == nil && room != "" && ctx.Err() == nil {
			work.Go(func() error { m.compare(ctx, room, true, asked); return nil })
		}
	}
	_ = work.Wait()
	if err == nil {
		m.aliveAt.Store(0)
		err = m.live.probe(ctx)
	}
	if err != nil && ctx.Err() == nil {
		m.log.Warn("comparing calls with LiveKit failed", "error", err, "retry_in", checkEvery)
	}
}

// compare updates the record of one room from LiveKit. It logs failures, so that one room does not affect the others.
func (m *Media) compare(ctx context.Context, roomID string, there bool, asked int64) {
	var in map[string]present
	var err error
	if there {
		asked = m.store.Now()
		in, err = m.live.participants(ctx, roomID)
	}
	if err == nil {
		err = m.reconcile(ctx, roomID, in, there, asked)
	}
	if err != nil && ctx.Err() == nil {
		m.log.Warn("comparing a call with LiveKit failed", "room", roomID, "error", err, "retry_in", checkEvery)
	}
}

// joinSure is the time after a join from which LiveKit's list includes the participant, in milliseconds.
const joinSure = 1000

// reconcile updates a call from the participants that LiveKit listed at the time asked; the next comparison takes
// later changes. Participants without a grant are removed, speakers without the permission to publish are muted.
func (m *Media) reconcile(ctx context.Context, roomID string, in map[string]present, there bool, asked int64) error {
	users := make([]string, 0, len(in))
	for u := range in {
		if im.CheckUserID("identity", u) == nil {
			users = append(users, u)
		}
	}
	slices.Sort(users)
	reads := callReads(roomID, users...)
	reads.AllIn = []string{roomID}
	var wrong []string
	err := rpc.Write(ctx, m.store, reads, func(tx *txn.Tx) (err error) {
		wrong, err = m.match(tx, roomID, in, users, there, asked)
		return err
	})
	if err != nil {
		return err
	}
	for _, u := range wrong {
		m.enforce(roomID, u)
	}
	return nil
}

func (m *Media) match(tx *txn.Tx, roomID string, in map[string]present, users []string, there bool,
	asked int64) (wrong []string, err error) {
	c := tx.CallIn(roomID)
	if c == nil && len(users) == 0 {
		return nil, nil
	}
	if c, err = callOf(tx, roomID, asked); err != nil {
		return nil, err
	}
	var changed []*im.Participant
	// the last sign of life of missing participants
	reason, seen := im.LeftWent, max(c.SeenAt, c.OpenedAt, m.aliveAt.Load())
	if !there {
		reason = im.LeftMediaLost
	}
	for _, p := range tx.Participants(c.ID) {
		if _, still := in[p.UserID]; !still && p.JoinedAt != 0 && p.JoinedAt+joinSure < asked &&
			c.Leave(p, "", reason, min(seen, asked), tx.Now) {
			changed = append(changed, p)
		}
	}
	for _, u := range users {
		admission, now := room.LoadAdmission(tx, m.opt.Policy, roomID, u), in[u]
		role := admission.Role()
		if role == im.RoomNobody || now.speaks && role == im.RoomAudience {
			wrong = append(wrong, u)
		}
		if role == im.RoomNobody || !now.active {
			continue
		}
		c.Video = c.Video || now.video
		at := max(m.live.clock.joinTime(asked, 0, now.joined), notBefore(tx, roomID))
		if p := tx.Participant(c.ID, u); p.LeftAt < asked && c.Join(p, now.sid, at, tx.Now) {
			changed = append(changed, p)
		}
	}
	if c.Total == 0 {
		return wrong, nil // no admitted participant
	}
	if there && len(users) > 0 {
		c.SeenAt = max(c.SeenAt, asked)
	}
	put(tx, c, changed...)
	return wrong, nil
}
