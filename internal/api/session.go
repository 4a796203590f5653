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
	"github.com/beckon-im/beckon/internal/user"
	"github.com/beckon-im/beckon/protocol"
)

// connectTime limits the handling of a connect request.
const connectTime = 10 * time.Second

// Connect authenticates a device, and reads its initial state and the topics to subscribe to.
func (a *API) Connect(ctx context.Context, at gateway.ConnectRequest) (*gateway.Session, error) {
	id, err := a.checkToken(ctx, at.From, at.Token)
	if err != nil {
		return nil, err
	}
	if id.IsOfPush() {
		return nil, errOfPush()
	}
	if a.opt.Full() {
		return nil, tooOften("this server cannot accept more devices")
	}
	if !a.limits.user(id.UserID) {
		return nil, tooOften("too many connections by this user")
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
		request, err := json.Marshal(hello)
		if err == nil {
			_, err = a.Hooks.Before(context.WithValue(ctx, hookKey{}, true), "connect", by.UserID, by.DeviceID, request)
		}
		if err != nil {
			return nil, err
		}
	}
	positions := make(map[string]snapshot.Position, len(at.Known))
	for topic, p := range at.Known {
		positions[topic] = snapshot.Position(p)
	}
	read, err := a.Snapshots.Connect(ctx, by, hello, positions)
	if err != nil {
		return nil, err
	}
	// read with the timelines: later revocations arrive on them
	if err := user.CheckIssued(read.User, id.IssuedAt); err != nil {
		return nil, err
	}
	welcome := read.Welcome
	welcome.ExpireAt = id.ExpireAt
	var statusUsers []string
	if welcome.Statuses, statusUsers, err = a.Users.Followed(ctx, by.UserID, read.Follows); err != nil {
		return nil, err
	}
	s := &gateway.Session{From: at.From, Platform: hello.Platform, At: welcome.ServerTime, UserID: by.UserID,
		DeviceID: by.DeviceID, Origin: rpc.Origin(by.UserID, by.DeviceID), ExpireAt: id.ExpireAt,
		Head: welcome.Positions[im.UserTopic(by.UserID)]}
	for _, u := range statusUsers {
		s.Topics = append(s.Topics, gateway.Topic{Name: im.StatusTopic(u)})
	}
	if s.Welcome, err = json.Marshal(welcome); err != nil {
		return nil, err
	}
	for _, l := range read.Topics {
		s.Topics = append(s.Topics, gateway.Topic(l))
	}
	return s, nil
}

func readHello(data []byte) (protocol.Hello, error) {
	var h protocol.Hello
	if len(data) == 0 {
		return h, nil
	}
	if err := json.Unmarshal(data, &h); err != nil {
		return h, badJSON(err)
	}
	return h, snapshot.CheckHello(&h)
}

// Renew checks a new token of a session. It must belong to the same user.
func (a *API) Renew(ctx context.Context, s *gateway.Session, token string) (int64, error) {
	if err := a.limitRate(gateway.MethodRenew, rpc.Caller{UserID: s.UserID}); err != nil {
		return 0, err
	}
	id, err := a.checkToken(ctx, s.From, token)
	if err != nil {
		return 0, err
	}
	if id.IsOfPush() {
		return 0, errOfPush()
	}
	if id.UserID != s.UserID || id.DeviceID != "" && id.DeviceID != s.DeviceID {
		return 0, im.Refuse(im.CodeTokenUser, "the new token is for another user or device")
	}
	return id.ExpireAt, a.Users.CheckIssued(ctx, id.UserID, id.IssuedAt)
}

// Call runs a method for a session.
func (a *API) Call(s *gateway.Session, name string, data []byte, reply func([]byte)) {
	by := rpc.Caller{UserID: s.UserID, DeviceID: s.DeviceID}
	respond := func(b []byte, e *protocol.Error) {
		if e != nil {
			b, _ = json.Marshal(e) // our own types always encode
		}
		reply(b)
	}
	if err := a.limitRate(name, by); err != nil {
		respond(nil, a.wireError(name, by, err))
		return
	}
	a.call(context.Background(), by, name, data, respond)
}

// createToken mints a device token for an app server.
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
		return res, im.Bad("ttl", "must be from 1 to 31536000 seconds")
	}
	token, err := a.auth.Mint(req.UserID, req.DeviceID, time.Duration(req.TTL)*time.Second)
	if err != nil {
		return res, &im.Error{Code: im.CodeBadParameter, Message: err.Error()}
	}
	res.Token, res.ExpireAt = token, a.auth.Now().Unix()+req.TTL
	return res, nil
}

// Default and maximum lifetime of minted tokens, in seconds.
const (
	defaultTTL = 24 * 3600
	maxTTL     = 365 * 24 * 3600
)
