package media

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"

	"github.com/beckon-im/beckon/im"
)

// apiTime bounds one call to LiveKit.
const apiTime = 5 * time.Second

// liveKit is one LiveKit server or cluster, as its API shows it.
type liveKit struct {
	key, secret string
	rooms       livekit.RoomService
}

func newLiveKit(addr string, opt Options) *liveKit {
	client := opt.Client
	if client == nil {
		client = &http.Client{Timeout: apiTime}
	}
	return &liveKit{key: opt.Key, secret: opt.Secret, rooms: livekit.NewRoomServiceProtobufClient(addr, client)}
}

// GetSecret and NumKeys let LiveKit's library check who signed a webhook.
func (l *liveKit) GetSecret(key string) string {
	if key != l.key {
		return ""
	}
	return l.secret
}

// NumKeys is how many keys there are.
func (l *liveKit) NumKeys() int { return 1 }

// token lets a person into a room.
func (l *liveKit) token(user, room string, role im.RoomRole, life time.Duration) (string, error) {
	speak := role == im.RoomAnchor
	listen := true
	return auth.NewAccessToken(l.key, l.secret).SetIdentity(user).SetValidFor(life).SetVideoGrant(&auth.VideoGrant{
		RoomJoin: true, Room: room, CanPublish: &speak, CanPublishData: &speak, CanSubscribe: &listen,
	}).ToJWT()
}

// signed adds this server's own right to a call.
func (l *liveKit) signed(ctx context.Context, grant auth.VideoGrant) (context.Context, error) {
	token, err := auth.NewAccessToken(l.key, l.secret).SetValidFor(time.Minute).SetVideoGrant(&grant).ToJWT()
	if err != nil {
		return nil, err
	}
	return twirp.WithHTTPRequestHeaders(ctx, http.Header{"Authorization": {"Bearer " + token}})
}

// admin runs a call about a room. That the room or the person is not there is no fault.
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

// permit changes what somebody who is in a room may do there.
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

// remove sends somebody out of a room.
func (l *liveKit) remove(ctx context.Context, room, user string) error {
	return l.permit(ctx, room, user, im.RoomNobody)
}

// close ends a room for all who are in.
func (l *liveKit) close(ctx context.Context, room string) error {
	return l.admin(ctx, room, func(ctx context.Context) error {
		_, err := l.rooms.DeleteRoom(ctx, &livekit.DeleteRoomRequest{Room: room})
		return err
	})
}

// occupied tells which rooms have people in them.
func (l *liveKit) occupied(ctx context.Context) (map[string]bool, error) {
	ctx, err := l.signed(ctx, auth.VideoGrant{RoomList: true})
	if err != nil {
		return nil, err
	}
	res, err := l.rooms.ListRooms(ctx, &livekit.ListRoomsRequest{})
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, r := range res.Rooms {
		if r.NumParticipants > 0 {
			there[r.Name] = true
		}
	}
	return there, nil
}

// present is somebody in a room.
type present struct {
	sid    string // the name of their coming in
	speaks bool   // may send sound and pictures
}

// people tells who is in a room.
func (l *liveKit) people(ctx context.Context, room string) (map[string]present, error) {
	in := map[string]present{}
	err := l.admin(ctx, room, func(ctx context.Context) error {
		res, err := l.rooms.ListParticipants(ctx, &livekit.ListParticipantsRequest{Room: room})
		if err != nil {
			return err
		}
		for _, p := range res.Participants {
			if p.State == livekit.ParticipantInfo_ACTIVE && p.Kind == livekit.ParticipantInfo_STANDARD {
				in[p.Identity] = present{p.Sid, p.GetPermission().GetCanPublish()}
			}
		}
		return nil
	})
	return in, err
}
