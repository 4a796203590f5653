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
	maxTokens   = 20   // per user; the oldest is dropped
	maxToken    = 4096 // bytes
	maxApp      = 255
	maxLanguage = 35
	renewAfter  = 24 * time.Hour // age after which an unchanged token is stored again, to refresh its timestamp
)

// token is a push token with its registration.
type token struct {
	outbox.Token
	registration protocol.SetPushTokenRequest
}

func read(t outbox.Token) (*token, error) {
	v := &token{Token: t}
	err := json.Unmarshal([]byte(t.Body), &v.registration)
	return v, err
}

// SetToken registers the push token of the caller's device.
func (p *Push) SetToken(ctx context.Context, by rpc.Caller,
	req protocol.SetPushTokenRequest) (rpc.Txn[protocol.SetPushTokenResponse], error) {
	address, err := p.check(&req)
	if err != nil {
		return rpc.Txn[protocol.SetPushTokenResponse]{}, err
	}
	since, existing, err := p.userTokens(ctx, by.UserID)
	if err != nil {
		return rpc.Txn[protocol.SetPushTokenResponse]{}, im.Internal(err)
	}
	provider := string(req.Provider)
	fresh := outbox.Token{Key: digest(provider, address), UserID: by.UserID, DeviceID: by.DeviceID, Provider: provider,
		Body: string(rpc.Encode(req)), At: p.store.Now()}
	var drop, others []string
	for _, t := range existing {
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
	var known []outbox.Token // all tokens of the user after the registration; nil: another one came between
	at := int64(0)
	t := change(by.UserID, func(tx *txn.Tx, me *txn.User) protocol.SetPushTokenResponse {
		if known = nil; me.Pushes == since {
			known = append(slices.DeleteFunc(slices.Clone(existing), func(t outbox.Token) bool {
				return t.Key == fresh.Key || slices.Contains(drop, t.Key)
			}), fresh)
		}
		me.Pushes = max(tx.Now, me.Pushes+1) // each registration is later: caches of the devices depend on it
		p.hasTokens.Store(true)
		if len(drop) > 0 {
			outbox.DropTokens(tx, by.UserID, drop...)
		}
		fresh.At = tx.Now
		outbox.PutToken(tx, fresh)
		at = me.Pushes
		return protocol.SetPushTokenResponse{ServerTime: tx.Now}
	})
	t.After = func(res protocol.SetPushTokenResponse, err error) (protocol.SetPushTokenResponse, error) {
		if err == nil && known != nil {
			p.devices.Learn(by.UserID, at, known)
		}
		return res, err
	}
	return t, nil
}

// userTokens returns the tokens of a user and the time of the last registration. The time is read first, so that a
// concurrent registration is newer.
func (p *Push) userTokens(ctx context.Context, user string) (since int64, list []outbox.Token, err error) {
	u, err := p.store.User(ctx, user)
	if err != nil {
		return 0, nil, err
	}
	if u != nil {
		since = u.Pushes
	}
	list, err = outbox.Tokens(ctx, p.store, user)
	return since, list, err
}

// change changes the tokens of a user, and the user's flag for having tokens.
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

// DeleteToken deletes tokens of the caller.
func (p *Push) DeleteToken(ctx context.Context, by rpc.Caller,
	req protocol.DeletePushTokenRequest) (rpc.Txn[protocol.DeletePushTokenResponse], error) {
	if req.Provider != "" && !slices.Contains([]protocol.PushProvider{protocol.PushAPNs, protocol.PushAPNsVoIP,
		protocol.PushFCM, protocol.PushWeb, protocol.PushUnified}, req.Provider) {
		return rpc.Txn[protocol.DeletePushTokenResponse]{}, im.Bad("provider",
			"must be one of: apns, apnsVoIP, fcm, webPush, unifiedPush")
	}
	since, existing, err := p.userTokens(ctx, by.UserID)
	if err != nil {
		return rpc.Txn[protocol.DeletePushTokenResponse]{}, im.Internal(err)
	}
	var drop []string
	for _, t := range existing {
		if (req.All || t.DeviceID == by.DeviceID) && (req.Provider == "" || t.Provider == string(req.Provider)) {
			drop = append(drop, t.Key)
		}
	}
	res := protocol.DeletePushTokenResponse{Deleted: len(drop), ServerTime: p.store.Now()}
	if len(drop) == 0 {
		return rpc.Answer(res), nil
	}
	return change(by.UserID, func(tx *txn.Tx, me *txn.User) protocol.DeletePushTokenResponse {
		if len(drop) == len(existing) && me.Pushes == since {
			me.Pushes = 0
		}
		outbox.DropTokens(tx, by.UserID, drop...)
		res.ServerTime = tx.Now
		return res
	}), nil
}

// GetConfig returns the push providers of this server.
func (p *Push) GetConfig(context.Context, rpc.Caller, protocol.Empty) (protocol.PushConfigResponse, error) {
	return protocol.PushConfigResponse{Providers: p.order, WebPushKey: p.webKey}, nil
}

// check validates a registration and returns the address that identifies the device at its provider.
func (p *Push) check(req *protocol.SetPushTokenRequest) (address string, err error) {
	if p.senders[req.Provider] == nil {
		return "", im.Bad("provider", "is "+providerName(req.Provider)+
			", which is not configured on this server; getPushConfig lists the providers")
	}
	if err := rpc.FirstError(im.CheckText("token", req.Token, maxToken), im.CheckText("app", req.App, maxApp),
		im.CheckText("language", req.Language, maxLanguage)); err != nil {
		return "", err
	}
	web := req.Provider == protocol.PushWeb || req.Provider == protocol.PushUnified
	switch {
	case web && req.Subscription == nil:
		return "", im.Bad("subscription", "is required: the result of pushManager.subscribe, or the endpoint and keys of a "+
			"UnifiedPush distributor")
	case web && req.Token != "":
		return "", im.Bad("token", "must be empty for webPush and unifiedPush, which use a subscription")
	case web:
		return req.Subscription.Endpoint, p.checkSubscription(req.Subscription)
	case req.Subscription != nil:
		return "", im.Bad("subscription", "is only for webPush and unifiedPush")
	case req.Token == "":
		return "", im.Bad("token", "is required")
	case req.Provider != protocol.PushFCM:
		if _, err := hex.DecodeString(req.Token); err != nil {
			return "", im.Bad("token", "must be hexadecimal for APNs")
		}
		req.Token = strings.ToLower(req.Token)
		if strings.ContainsFunc(req.App, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return "", im.Bad("app", "must be a bundle ID")
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
		return im.Bad("subscription.endpoint", "must be an https URL of at most 4096 bytes")
	case u.Scheme != "https" && (u.Scheme != "http" || !p.opt.Private):
		return im.Bad("subscription.endpoint", "must be an https URL")
	}
	if !p.opt.Private && !publicHost(u.Hostname()) {
		return im.Bad("subscription.endpoint", "must not be a private or local address")
	}
	key, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s.Keys.P256dh, "="))
	if err == nil {
		_, err = ecdh.P256().NewPublicKey(key)
	}
	if err != nil {
		return im.Bad("subscription.keys.p256dh", "must be a P-256 point in base64url")
	}
	if auth, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s.Keys.Auth, "=")); err != nil ||
		len(auth) != 16 {
		return im.Bad("subscription.keys.auth", "must be 16 bytes in base64url")
	}
	return nil
}

// address returns the device's address at its provider.
func (t *token) address() string { return t.registration.Token }
