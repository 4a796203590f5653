package push

import (
	"cmp"
	"context"
	"crypto/ecdh"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/relay"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// Limits of tokens.
const (
	maxTokens   = 20   // of one user; the oldest gives way
	maxToken    = 4096 // bytes
	maxApp      = 255
	maxLanguage = 35
	renewAfter  = 24 * time.Hour // the same token is written again after this, so that it stays young
)

// token is where a device is reached.
type token struct {
	outbox.Token
	at protocol.SetPushTokenRequest
}

func read(t outbox.Token) (*token, error) {
	v := &token{Token: t}
	err := json.Unmarshal([]byte(t.Body), &v.at)
	return v, err
}

// SetToken registers where the caller's device is reached.
func (p *Push) SetToken(ctx context.Context, by rpc.Caller,
	req protocol.SetPushTokenRequest) (rpc.Txn[protocol.SetPushTokenResponse], error) {
	address, err := p.check(&req)
	if err != nil {
		return rpc.Txn[protocol.SetPushTokenResponse]{}, err
	}
	since, known, err := p.known(ctx, by.UserID)
	if err != nil {
		return rpc.Txn[protocol.SetPushTokenResponse]{}, im.Internal(err)
	}
	provider := string(req.Provider)
	fresh := outbox.Token{Key: digest(provider, address), UserID: by.UserID, DeviceID: by.DeviceID, Provider: provider,
		Body: string(rpc.Encode(req)), At: p.store.Now()}
	var drop, others []string
	for _, t := range known {
		switch {
		case t.Key == fresh.Key && t.Body == fresh.Body && t.DeviceID == fresh.DeviceID && since != 0 &&
			fresh.At-t.At < renewAfter.Milliseconds():
			return rpc.Answer(protocol.SetPushTokenResponse{ServerTime: fresh.At}), nil
		case t.Key == fresh.Key:
		case by.DeviceID != "" && t.DeviceID == by.DeviceID && t.Provider == provider:
			drop = append(drop, t.Key)
		default:
			others = append(others, t.Key)
		}
	}
	drop = append(drop, others[:max(0, len(others)-maxTokens+1)]...)
	return change(by.UserID, func(tx *txn.Tx, me *txn.User) protocol.SetPushTokenResponse {
		me.Pushes = tx.Now
		p.some.Store(true)
		if len(drop) > 0 {
			outbox.DropTokens(tx, by.UserID, drop...)
		}
		fresh.At = tx.Now
		outbox.PutToken(tx, fresh)
		return protocol.SetPushTokenResponse{ServerTime: tx.Now}
	}), nil
}

// known reads the tokens of a user, and when the last was registered: before them, so that one that is registered
// meanwhile is newer.
func (p *Push) known(ctx context.Context, user string) (since int64, list []outbox.Token, err error) {
	who, err := p.store.User(ctx, user)
	if err != nil {
		return 0, nil, err
	}
	if who != nil {
		since = who.Pushes
	}
	list, err = outbox.Tokens(ctx, p.store, user)
	return since, list, err
}

// change writes tokens of a user, and what is known of whether they have some.
func change[R any](user string, f func(*txn.Tx, *txn.User) R) rpc.Txn[R] {
	return rpc.Txn[R]{Reads: txn.ReadSet{Topics: []string{im.UserTopic(user)}, Users: []string{user}},
		Decide: func(tx *txn.Tx) (R, error) {
			me := tx.User(user)
			if me == nil {
				me = &txn.User{UserID: user}
			}
			res := f(tx, me)
			tx.PutUser(*me)
			return res, nil
		}}
}

// DeleteToken forgets tokens of the caller's.
func (p *Push) DeleteToken(ctx context.Context, by rpc.Caller,
	req protocol.DeletePushTokenRequest) (rpc.Txn[protocol.DeletePushTokenResponse], error) {
	if req.Provider != "" && !slices.Contains([]protocol.PushProvider{protocol.PushAPNs, protocol.PushAPNsVoIP,
		protocol.PushFCM, protocol.PushWeb}, req.Provider) {
		return rpc.Txn[protocol.DeletePushTokenResponse]{}, im.Bad("provider", "is none of apns, apnsVoIP, fcm, webPush")
	}
	since, known, err := p.known(ctx, by.UserID)
	if err != nil {
		return rpc.Txn[protocol.DeletePushTokenResponse]{}, im.Internal(err)
	}
	var drop []string
	for _, t := range known {
		if (req.All || t.DeviceID == by.DeviceID) && (req.Provider == "" || t.Provider == string(req.Provider)) {
			drop = append(drop, t.Key)
		}
	}
	res := protocol.DeletePushTokenResponse{Deleted: len(drop), ServerTime: p.store.Now()}
	if len(drop) == 0 {
		return rpc.Answer(res), nil
	}
	return change(by.UserID, func(tx *txn.Tx, me *txn.User) protocol.DeletePushTokenResponse {
		if len(drop) == len(known) && me.Pushes == since {
			me.Pushes = 0
		}
		outbox.DropTokens(tx, by.UserID, drop...)
		res.ServerTime = tx.Now
		return res
	}), nil
}

// GetConfig says which pushes this house sends.
func (p *Push) GetConfig(context.Context, rpc.Caller, protocol.Empty) (protocol.PushConfigResponse, error) {
	return protocol.PushConfigResponse{Providers: p.order, WebPushKey: p.webKey}, nil
}

// check refuses what no provider would take, and returns by what the device is told from others.
func (p *Push) check(req *protocol.SetPushTokenRequest) (address string, err error) {
	if p.carriers[req.Provider] == nil {
		return "", im.Bad("provider", "is "+providerName(req.Provider)+
			", by which this server sends nothing; getPushConfig lists what it does")
	}
	if err := rpc.FirstError(im.CheckText("token", req.Token, maxToken), im.CheckText("app", req.App, maxApp),
		im.CheckText("language", req.Language, maxLanguage)); err != nil {
		return "", err
	}
	web := req.Provider == protocol.PushWeb
	switch {
	case web && req.Subscription == nil:
		return "", im.Bad("subscription", "is missing: it is what pushManager.subscribe gave")
	case web && req.Token != "":
		return "", im.Bad("token", "excludes webPush, which has a subscription")
	case web:
		return req.Subscription.Endpoint, p.checkSubscription(req.Subscription)
	case req.Subscription != nil:
		return "", im.Bad("subscription", "is for webPush alone")
	case req.Token == "":
		return "", im.Bad("token", "is missing")
	case req.Provider != protocol.PushFCM:
		if _, err := hex.DecodeString(req.Token); err != nil {
			return "", im.Bad("token", "is not hex, as the device tokens of APNs are")
		}
		req.Token = strings.ToLower(req.Token)
		if strings.ContainsFunc(req.App, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return "", im.Bad("app", "is not a bundle id")
		}
		return cmp.Or(req.App, p.opt.APNs.App) + "\n" + req.Token, nil
	}
	return req.Token, nil
}

func providerName(p protocol.PushProvider) string {
	if p == "" {
		return "missing"
	}
	return relay.Clip(string(p))
}

func (p *Push) checkSubscription(s *protocol.WebPushSubscription) error {
	u, err := url.Parse(s.Endpoint)
	switch {
	case err != nil || u.Host == "" || u.User != nil || len(s.Endpoint) > maxToken:
		return im.Bad("subscription.endpoint", "is not an https address of at most 4096 bytes")
	case u.Scheme != "https" && (u.Scheme != "http" || !p.opt.Private):
		return im.Bad("subscription.endpoint", "is not an https address")
	}
	if !p.opt.Private && !publicHost(u.Hostname()) {
		return im.Bad("subscription.endpoint", "is a private or local address")
	}
	key, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s.Keys.P256dh, "="))
	if err == nil {
		_, err = ecdh.P256().NewPublicKey(key)
	}
	if err != nil {
		return im.Bad("subscription.keys.p256dh", "is not a point of P-256 in base64url")
	}
	if auth, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s.Keys.Auth, "=")); err != nil ||
		len(auth) != 16 {
		return im.Bad("subscription.keys.auth", "is not 16 bytes in base64url")
	}
	return nil
}

// address is what the provider knows the device by.
func (t *token) address() string { return t.at.Token }
