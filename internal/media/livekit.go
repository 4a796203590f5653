package media

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"

	"github.com/beckon-im/beckon/im"
)

// apiTime is the timeout of a call to LiveKit.
const apiTime = 5 * time.Second

// liveKit is the client of a LiveKit server or cluster.
type liveKit struct {
	key, secret string
	addr        string // without a slash at the end
	client      *http.Client
	rooms       livekit.RoomService
	clock       skew
	now         func() int64 // the clock of this server
}

func newLiveKit(addr string, opt Options, now func() int64) *liveKit {
	client := opt.Client
	if client == nil {
		client = &http.Client{Timeout: apiTime}
	}
	return &liveKit{key: opt.Key, secret: opt.Secret, addr: strings.TrimSuffix(addr, "/"), client: client,
		rooms: livekit.NewRoomServiceProtobufClient(addr, client), now: now}
}

// GetSecret returns the secret of a key, for the verification of webhooks by LiveKit's library.
func (l *liveKit) GetSecret(key string) string {
	if key != l.key {
		return ""
	}
	return l.secret
}

// NumKeys returns the number of keys.
func (l *liveKit) NumKeys() int { return 1 }

// token returns a token with which a user may join a room.
func (l *liveKit) token(user, room string, role im.RoomRole, life time.Duration) (string, error) {
	speak := role == im.RoomAnchor
	listen := true
	return auth.NewAccessToken(l.key, l.secret).SetIdentity(user).SetValidFor(life).SetVideoGrant(&auth.VideoGrant{
		RoomJoin: true, Room: room, CanPublish: &speak, CanPublishData: &speak, CanSubscribe: &listen,
	}).ToJWT()
}

// signed adds this server's authorization to a call.
func (l *liveKit) signed(ctx context.Context, grant auth.VideoGrant) (context.Context, error) {
	token, err := auth.NewAccessToken(l.key, l.secret).SetValidFor(time.Minute).SetVideoGrant(&grant).ToJWT()
	if err != nil {
		return nil, err
	}
	return twirp.WithHTTPRequestHeaders(ctx, http.Header{"Authorization": {"Bearer " + token}})
}

// admin runs a call about a room. A missing room or participant is not an error.
func (l *liveKit) admin(ctx context.Context, room string, f func(context.Context) error) error {
	ctx, err := l.signed(ctx, auth.VideoGrant{RoomAdmin: true, RoomCreate: true, Room: room})
	if err != nil {
		return err
	}
	var e twirp.Error
	if err = f(ctx); errors.As(err, &e) && e.Code() == twirp.NotFound {
		return nil
	}
	return err
}

// permit sets the permissions of a participant; im.RoomNobody removes the participant.
func (l *liveKit) permit(ctx context.Context, room, user string, role im.RoomRole) error {
	return l.admin(ctx, room, func(ctx context.Context) (err error) {
		if role == im.RoomNobody {
			_, err = l.rooms.RemoveParticipant(ctx, &livekit.RoomParticipantIdentity{Room: room, Identity: user})
			return err
		}
		speak := role == im.RoomAnchor
		_, err = l.rooms.UpdateParticipant(ctx, &livekit.UpdateParticipantRequest{Room: room, Identity: user,
			Permission: &livekit.ParticipantPermission{CanSubscribe: true, CanPublish: speak, CanPublishData: speak}})
		return err
	})
}

// remove removes a participant from a room.
func (l *liveKit) remove(ctx context.Context, room, user string) error {
	return l.permit(ctx, room, user, im.RoomNobody)
}

// leaveTime is the time within which a client that exits leaves LiveKit by itself, asked every leaveEvery.
const (
	leaveTime  = 500 * time.Millisecond
	leaveEvery = 50 * time.Millisecond
)

// expel removes the session of a participant that does not leave by itself within leaveTime. A later session stays:
// LiveKit repeats a removal without a session for some seconds, and would remove the next session of the user.
func (l *liveKit) expel(ctx context.Context, room, user string) error {
	sid, err := l.session(ctx, room, user)
	first, until := sid, time.Now().Add(leaveTime)
	for err == nil && sid != "" && sid == first {
		if time.Now().After(until) {
			return l.remove(ctx, room, user)
		}
		select {
		case <-time.After(leaveEvery):
			sid, err = l.session(ctx, room, user)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// session returns the ID of a participant's session; empty = not in the room.
func (l *liveKit) session(ctx context.Context, room, user string) (sid string, err error) {
	err = l.admin(ctx, room, func(ctx context.Context) error {
		p, err := l.rooms.GetParticipant(ctx, &livekit.RoomParticipantIdentity{Room: room, Identity: user})
		if err == nil && p.State != livekit.ParticipantInfo_DISCONNECTED {
			sid = p.Sid
		}
		return err
	})
	return sid, err
}

// close deletes a room and disconnects its participants.
func (l *liveKit) close(ctx context.Context, room string) error {
	return l.admin(ctx, room, func(ctx context.Context) error {
		_, err := l.rooms.DeleteRoom(ctx, &livekit.DeleteRoomRequest{Room: room})
		return err
	})
}

// Times for which LiveKit keeps a room that was never entered, and an empty one, in seconds. This server closes rooms
// itself.
const (
	keptUnused = 120
	keptEmpty  = 60
)

// create creates a room, unless it exists: LiveKit admits participants to created rooms only.
func (l *liveKit) create(ctx context.Context, room string) error {
	ctx, err := l.signed(ctx, auth.VideoGrant{RoomCreate: true, Room: room})
	if err != nil {
		return err
	}
	res, err := l.rooms.CreateRoom(ctx, &livekit.CreateRoomRequest{Name: room, EmptyTimeout: keptUnused,
		DepartureTimeout: keptEmpty})
	if err != nil {
		return err
	}
	l.clock.saw(l.now(), res.CreationTimeMs)
	return nil
}

// probe reads LiveKit's clock, by creating and closing a temporary room: the response has its creation time in
// milliseconds.
func (l *liveKit) probe(ctx context.Context) error {
	if l.clock.known(l.now()) {
		return nil
	}
	name := "clock " + uuid.NewString() // no roomID has a space
	if err := l.create(ctx, name); err != nil {
		return err
	}
	return l.close(ctx, name)
}

// createsRooms reports whether LiveKit creates a room when a client with a token joins (room.auto_create), so that a
// client that was disconnected for long opens the room of an ended call again.
func (l *liveKit) createsRooms(ctx context.Context) (bool, error) {
	token, err := l.token("probe", "probe "+uuid.NewString(), im.RoomAudience, time.Minute) // no roomID has a space
	if err != nil {
		return false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.addr+"/rtc/validate", nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := l.client.Do(req)
	if err != nil {
		return false, err
	}
	return res.StatusCode == http.StatusOK, res.Body.Close()
}

// listed returns the existing rooms, and whether each is occupied, by LiveKit's count, which is up to five seconds
// old.
func (l *liveKit) listed(ctx context.Context) (occupied map[string]bool, err error) {
	ctx, err = l.signed(ctx, auth.VideoGrant{RoomList: true})
	if err != nil {
		return nil, err
	}
	res, err := l.rooms.ListRooms(ctx, &livekit.ListRoomsRequest{})
	if err != nil {
		return nil, err
	}
	occupied = make(map[string]bool, len(res.Rooms))
	for _, r := range res.Rooms {
		occupied[r.Name] = r.NumParticipants > 0
	}
	return occupied, nil
}

// present is a participant in a LiveKit room.
type present struct {
	sid    string // LiveKit's ID of this join
	active bool   // media is connected
	speaks bool   // may publish
	video  bool   // publishes video
	joined int64  // start of the join on LiveKit's clock, milliseconds; 0: unknown
}

// participants returns the participants of a room, including those that are joining.
func (l *liveKit) participants(ctx context.Context, room string) (map[string]present, error) {
	in := map[string]present{}
	err := l.admin(ctx, room, func(ctx context.Context) error {
		res, err := l.rooms.ListParticipants(ctx, &livekit.ListParticipantsRequest{Room: room})
		if err != nil {
			return err
		}
		for _, p := range res.Participants {
			if p.State == livekit.ParticipantInfo_DISCONNECTED || p.Kind != livekit.ParticipantInfo_STANDARD {
				continue
			}
			in[p.Identity] = present{sid: p.Sid, active: p.State == livekit.ParticipantInfo_ACTIVE,
				speaks: p.GetPermission().GetCanPublish(),
				video:  publishesVideo(p.Tracks...), joined: joinedMS(p)}
		}
		return nil
	})
	return in, err
}

// joinedMS returns the start of a join on LiveKit's clock, in milliseconds; 0: unknown.
func joinedMS(p *livekit.ParticipantInfo) int64 { return p.GetJoinedAtMs() }

func publishesVideo(tracks ...*livekit.TrackInfo) bool {
	for _, t := range tracks {
		if t.GetType() == livekit.TrackType_VIDEO {
			return true
		}
	}
	return false
}
