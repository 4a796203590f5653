package api

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/gateway"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/signaling/snapshot"
	"github.com/beckon-im/beckon/protocol"
)

// connectTime bounds what a connecting device may cost.
const connectTime = 10 * time.Second

// Connect lets a device in: it checks the token, and reads what the device is told and listens to.
func (a *API) Connect(ctx context.Context, at gateway.ConnectRequest) (*gateway.Session, error) {
	id, err := a.check(at.From, at.Token)
	if err != nil {
		return nil, err
	}
	if id.InviteID != "" {
		return nil, errAnswerOnly()
	}
	if a.opt.Full() {
		return nil, tooOften("this server has no room for more devices")
	}
	if !a.limits.user(id.UserID) {
		return nil, tooOften("you connect too often")
	}
	hello, err := readHello(at.Data)
	if err != nil {
		return nil, err
	}
	by := rpc.Caller{UserID: id.UserID, DeviceID: hello.DeviceID}
	if id.DeviceID != "" {
		by.DeviceID = id.DeviceID
	}
	if by.DeviceID == "" {
		by.DeviceID = im.MintDevice(uuid.NewString()[:13])
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	if a.Hooks.HasBefore("connect") {
		said, err := json.Marshal(hello)
		if err == nil {
			_, err = a.Hooks.Before(ctx, "connect", by.UserID, by.DeviceID, said)
		}
		if err != nil {
			return nil, err
		}
	}
	stood := make(map[string]snapshot.Position, len(at.Known))
	for topic, p := range at.Known {
		stood[topic] = snapshot.Position(p)
	}
	welcome, listening, err := a.Snapshots.Connect(ctx, by, hello, stood)
	if err != nil {
		return nil, err
	}
	// Only now: what is revoked after the timelines were read is found on them.
	if err := a.Users.CheckIssued(ctx, by.UserID, id.IssuedAt); err != nil {
		return nil, err
	}
	var hears []string
	if welcome.Statuses, hears, err = a.Users.Followed(ctx, by.UserID); err != nil {
		return nil, err
	}
	s := &gateway.Session{From: at.From, Platform: hello.Platform, At: welcome.ServerTime, UserID: by.UserID,
		DeviceID: by.DeviceID, Origin: rpc.Origin(by.UserID, by.DeviceID), ExpireAt: id.ExpireAt,
		Head: welcome.Positions[im.UserTopic(by.UserID)]}
	for _, u := range hears {
		s.Topics = append(s.Topics, gateway.Topic{Name: im.StatusTopic(u)})
	}
	if s.Welcome, err = json.Marshal(welcome); err != nil {
		return nil, err
	}
	for _, l := range listening {
		s.Topics = append(s.Topics, gateway.Topic(l))
	}
	return s, nil
}

// maxPositions bounds the positions that a device brings.
const maxPositions = 20_000

// maxHeld bounds the invitations that a device says it holds.
const maxHeld = 200

func readHello(data []byte) (protocol.Hello, error) {
	var h protocol.Hello
	if len(data) == 0 {
		return h, nil
	}
	if err := json.Unmarshal(data, &h); err != nil {
		return h, badJSON(err)
	}
	for _, id := range h.Held {
		if err := im.CheckInviteID(id); err != nil {
			return h, im.Bad("held", "has an entry that is no inviteID")
		}
	}
	switch {
	case len(h.Held) > maxHeld:
		return h, im.Bad("held", "has more than 200 invitations")
	case len(h.Positions) > maxPositions:
		return h, im.Bad("positions", "has too many timelines")
	case len(h.Platform) > im.MaxDeviceID:
		return h, im.Bad("platform", "is over 64 bytes")
	case h.DeviceID != "":
		return h, im.CheckDeviceID(h.DeviceID)
	}
	return h, nil
}

// Renew checks a new token for a session, which must be for the same user.
func (a *API) Renew(ctx context.Context, s *gateway.Session, token string) (int64, error) {
	id, err := a.check(s.From, token)
	if err != nil {
		return 0, err
	}
	if id.InviteID != "" {
		return 0, errAnswerOnly()
	}
	if id.UserID != s.UserID {
		return 0, im.Refuse(im.CodeTokenUser, "the new token is for another user")
	}
	return id.ExpireAt, a.Users.CheckIssued(ctx, id.UserID, id.IssuedAt)
}

// Call runs a verb for a session.
func (a *API) Call(s *gateway.Session, name string, data []byte, reply func([]byte)) {
	by := rpc.Caller{UserID: s.UserID, DeviceID: s.DeviceID}
	answer := func(b []byte, e *protocol.Error) {
		if e != nil {
			b, _ = json.Marshal(e) // our own type of strings and numbers always encodes
		}
		reply(b)
	}
	if err := a.often(name, by); err != nil {
		answer(nil, a.refusal(name, by, err))
		return
	}
	a.call(context.Background(), by, name, data, answer)
}

// createToken mints a token for app servers.
func (a *API) createToken(_ context.Context, _ rpc.Caller,
	req protocol.CreateTokenRequest) (protocol.CreateTokenResponse, error) {
	var res protocol.CreateTokenResponse
	if err := im.CheckUserID("userID", req.UserID); err != nil {
		return res, err
	}
	if req.DeviceID != "" {
		if err := im.CheckDeviceID(req.DeviceID); err != nil {
			return res, err
		}
	}
	switch {
	case req.TTL == 0:
		req.TTL = defaultTTL
	case req.TTL < 0 || req.TTL > maxTTL:
		return res, im.Bad("ttl", "is out of range; it is seconds from 1 to 31536000")
	}
	token, err := a.auth.Mint(req.UserID, req.DeviceID, time.Duration(req.TTL)*time.Second)
	if err != nil {
		return res, &im.Error{Code: im.CodeBadParameter, Message: err.Error()}
	}
	res.Token, res.ExpireAt = token, a.opt.Auth.now().Unix()+req.TTL
	return res, nil
}

// The usual and the longest life of a minted token, in seconds.
const (
	defaultTTL = 24 * 3600
	maxTTL     = 365 * 24 * 3600
)

func (o *AuthOptions) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}
