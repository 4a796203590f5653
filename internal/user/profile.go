// Package user implements the methods of users: profiles, block lists, do-not-disturb, presence, devices.
//
// It does not decide the consequences of a block: packages chat and signaling do.
package user

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// Sessions returns the connected devices of users.
type Sessions interface {
	Devices(userIDs ...string) []int
	Connected(userID string) []protocol.Device
	// Kick closes the sessions of a device of a user, or, without one, of all devices except but, and returns the
	// devices.
	Kick(userID, deviceID, but string) []string
}

// Users implements the methods of users.
type Users struct {
	store    *store.Store
	sessions Sessions
	presence *presence

	// Invitations ends the open invitations of blocked inviters. Default: none end.
	Invitations Invitations
}

// Invitations applies a block to invitations.
type Invitations interface {
	Block(tx *txn.Tx, by rpc.Caller, inviters []string) (counts map[string][]int64, err error)
}

// New returns Users on a store.
func New(s *store.Store, sessions Sessions) *Users {
	return &Users{store: s, sessions: sessions, presence: newPresence()}
}

// Limits of profiles and lists, in bytes unless noted.
const (
	maxText        = 500
	maxLanguage    = 35
	maxCustomKeys  = 20 // keys
	maxCustomKey   = 32
	maxCustomValue = 500
	maxStatus      = 256
	maxUsers       = 200    // in one call
	maxFollows     = 200    // of one user
	maxBlocked     = 10_000 // of one user
	maxImport      = 1000
)

// profile returns the stored profile of a user; empty if there is none.
func profile(user string, p *txn.User) (protocol.Profile, error) {
	v := protocol.Profile{UserID: user}
	if p == nil || p.Profile == "" {
		return v, nil
	}
	if err := json.Unmarshal([]byte(p.Profile), &v); err != nil {
		return v, im.Internal(err)
	}
	return v, nil
}

func checkProfile(p *protocol.Profile) error {
	switch {
	case p.Gender < 0 || p.Gender > 2:
		return im.Bad("gender", "must be one of: 0 (unknown), 1 (male), 2 (female)")
	case p.Birthday != 0 && (p.Birthday < 1000_01_01 || p.Birthday > 9999_12_31):
		return im.Bad("birthday", "must have the form 20001231")
	case len(p.CustomInfo) > maxCustomKeys:
		return &im.Error{Code: im.CodeTooMany, Field: "customInfo", Message: "customInfo would have more than 20 keys"}
	}
	for k, v := range p.CustomInfo {
		if k == "" {
			return im.Bad("customInfo", "has an empty key")
		}
		if err := rpc.FirstError(im.CheckText("customInfo", k, maxCustomKey),
			im.CheckText("customInfo", v, maxCustomValue)); err != nil {
			return err
		}
	}
	return rpc.FirstError(im.CheckText("nick", p.Nick, maxText), im.CheckText("faceURL", p.FaceURL, maxText),
		im.CheckText("signature", p.Signature, maxText), im.CheckText("language", p.Language, maxLanguage))
}

// change returns the transaction of a change of the caller's row, which notifies their other devices.
func change[R any](p *Users, by rpc.Caller,
	decide func(*txn.Tx, *txn.User) (R, *protocol.PersonEvent, error)) (rpc.Txn[R], error) {
	topic := im.UserTopic(by.UserID)
	return rpc.Txn[R]{Reads: txn.ReadSet{Topics: []string{topic}, Users: []string{by.UserID}},
		Decide: func(tx *txn.Tx) (R, error) {
			me := tx.User(by.UserID)
			if me == nil {
				me = &txn.User{UserID: by.UserID}
			}
			res, e, err := decide(tx, me)
			if err != nil || e == nil {
				return res, err
			}
			tx.PutUser(*me)
			e.Type, e.UserID, e.Time = protocol.TypePerson, by.UserID, tx.Now
			tx.Append(topic, txn.Draft{Device: by.Origin(), Body: &rpc.Event{Value: *e}})
			return res, nil
		}}, nil
}

// SetSelfInfo changes the caller's profile.
func (p *Users) SetSelfInfo(_ context.Context, by rpc.Caller,
	req protocol.SetSelfInfoRequest) (rpc.Txn[protocol.ProfileResponse], error) {
	return change(p, by, func(tx *txn.Tx, me *txn.User) (protocol.ProfileResponse, *protocol.PersonEvent, error) {
		v, err := profile(by.UserID, me)
		if err != nil {
			return protocol.ProfileResponse{}, nil, err
		}
		set(&v.Nick, req.Nick)
		set(&v.FaceURL, req.FaceURL)
		set(&v.Signature, req.Signature)
		set(&v.Gender, req.Gender)
		set(&v.Birthday, req.Birthday)
		set(&v.Language, req.Language)
		for k, text := range req.CustomInfo {
			if v.CustomInfo == nil {
				v.CustomInfo = map[string]string{}
			}
			if v.CustomInfo[k] = text; text == "" {
				delete(v.CustomInfo, k)
			}
		}
		if err := checkProfile(&v); err != nil {
			return protocol.ProfileResponse{}, nil, err
		}
		me.Profile = string(rpc.Encode(v))
		return protocol.ProfileResponse{Profile: v, ServerTime: tx.Now}, &protocol.PersonEvent{Profile: &v}, nil
	})
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// GetUsers returns profiles.
func (p *Users) GetUsers(ctx context.Context, _ rpc.Caller, req protocol.UsersRequest) (protocol.ProfilesResponse,
	error) {
	res := protocol.ProfilesResponse{Profiles: []protocol.Profile{}}
	if err := rpc.CheckUsers("userIDList", req.UserIDList, maxUsers, false); err != nil {
		return res, err
	}
	for _, u := range req.UserIDList {
		stored, err := p.store.User(ctx, u)
		if err != nil {
			return res, im.Internal(err)
		}
		v, err := profile(u, stored)
		if err != nil {
			return res, err
		}
		res.Profiles = append(res.Profiles, v)
	}
	return res, nil
}

// Import writes profiles from another system, for app servers.
func (p *Users) Import(_ context.Context, _ rpc.Caller,
	req protocol.ImportUsersRequest) (rpc.Txn[protocol.ImportResponse], error) {
	var reads txn.ReadSet
	var err error
	switch {
	case len(req.Users) == 0:
		err = im.Bad("users", "is empty")
	case len(req.Users) > maxImport:
		err = im.Bad("users", "has more than 1000 users; use several calls")
	}
	for i := range req.Users {
		u := &req.Users[i]
		if err = rpc.FirstError(err, im.CheckUserID("users", u.UserID), checkProfile(u)); err != nil {
			break
		}
		reads.Users = append(reads.Users, u.UserID)
		reads.Topics = append(reads.Topics, im.UserTopic(u.UserID))
	}
	if err != nil {
		if e := (*im.Error)(nil); errors.As(err, &e) && len(req.Users) > 0 {
			e.Message, e.Field = fmt.Sprintf("users: %s", e.Message), "users"
		}
		return rpc.Txn[protocol.ImportResponse]{}, err
	}
	return rpc.Txn[protocol.ImportResponse]{Reads: reads, Decide: func(tx *txn.Tx) (protocol.ImportResponse, error) {
		var res protocol.ImportResponse
		for _, u := range req.Users {
			stored := tx.User(u.UserID)
			if stored == nil {
				stored = &txn.User{UserID: u.UserID}
			} else {
				res.Existing = append(res.Existing, u.UserID)
			}
			stored.Profile = string(rpc.Encode(u))
			tx.PutUser(*stored)
			res.Imported++
		}
		return res, nil
	}}, nil
}

// Block adds users to the caller's block list.
func (p *Users) Block(ctx context.Context, by rpc.Caller, req protocol.UsersRequest) (rpc.Txn[protocol.PeopleResponse],
	error) {
	return p.block(ctx, by, req, true)
}

// Unblock removes users from the caller's block list.
func (p *Users) Unblock(ctx context.Context, by rpc.Caller,
	req protocol.UsersRequest) (rpc.Txn[protocol.PeopleResponse], error) {
	return p.block(ctx, by, req, false)
}

func (p *Users) block(ctx context.Context, by rpc.Caller, req protocol.UsersRequest,
	on bool) (rpc.Txn[protocol.PeopleResponse], error) {
	err := rpc.CheckUsers("userIDList", req.UserIDList, maxUsers, false)
	if err == nil && slices.Contains(req.UserIDList, by.UserID) {
		err = im.Bad("userIDList", "has your own user ID")
	}
	if err != nil {
		return rpc.Txn[protocol.PeopleResponse]{}, err
	}
	if err := p.checkBlocked(ctx, by, len(req.UserIDList), on); err != nil {
		return rpc.Txn[protocol.PeopleResponse]{}, err
	}
	topic := im.UserTopic(by.UserID)
	reads := txn.ReadSet{Topics: []string{topic}}
	for _, u := range req.UserIDList {
		reads.Topics = append(reads.Topics, im.UserTopic(u)) // every writer of a contact locks the topics of both users
		reads.Contacts = append(reads.Contacts, txn.ContactKey{UserID: by.UserID, Peer: u})
		reads.Follows = append(reads.Follows, txn.ContactKey{UserID: u, Peer: by.UserID})
	}
	mine, err := p.status(ctx, by.UserID, !on && p.online(by.UserID))
	if err != nil {
		return rpc.Txn[protocol.PeopleResponse]{}, err
	}
	return rpc.Txn[protocol.PeopleResponse]{Reads: reads, Decide: func(tx *txn.Tx) (protocol.PeopleResponse, error) {
		res := protocol.PeopleResponse{UserIDList: []string{}, ServerTime: tx.Now}
		var counts map[string][]int64
		if on && p.Invitations != nil {
			var err error
			if counts, err = p.Invitations.Block(tx, by, req.UserIDList); err != nil {
				return res, err
			}
		}
		for _, u := range req.UserIDList {
			c := tx.Contact(by.UserID, u)
			for _, n := range counts[u] {
				c.Skip(n)
			}
			if c.Blocks() == on {
				continue
			}
			if c.BlockedAt = 0; on {
				c.BlockedAt = tx.Now
			}
			tx.PutContact(*c)
			res.UserIDList = append(res.UserIDList, u)
			if tx.Follow(u, by.UserID) {
				hide(tx, u, mine, on)
			}
		}
		if len(res.UserIDList) == 0 {
			return res, nil
		}
		e := protocol.PersonEvent{Type: protocol.TypePerson, UserID: by.UserID, Time: tx.Now, Unblocked: res.UserIDList}
		if on {
			e.Blocked, e.Unblocked = e.Unblocked, nil
		}
		tx.Append(topic, txn.Draft{Device: by.Origin(), Body: &rpc.Event{Value: e}})
		return res, nil
	}}, nil
}

// checkBlocked limits the users that a caller blocks. Concurrent calls may exceed the limit by the users they name.
func (p *Users) checkBlocked(ctx context.Context, by rpc.Caller, more int, on bool) error {
	if !on {
		return nil
	}
	n, err := p.store.BlockedCount(ctx, by.UserID)
	if err != nil {
		return im.Internal(err)
	}
	if by.CountRows(n / 10); n+more > maxBlocked { // a row of an index costs a tenth
		return &im.Error{Code: im.CodeTooMany, Field: "userIDList",
			Message: fmt.Sprintf("you block %d users; the limit is %d", n, maxBlocked)}
	}
	return nil
}

// hide unsubscribes a follower from the presence of a user that now blocks it and shows the user as offline, or
// reverts that.
func hide(tx *txn.Tx, subscriber string, mine protocol.UserStatus, on bool) {
	order := listen.To(im.StatusTopic(mine.UserID), 0)
	if on {
		mine, order = offline(mine.UserID), listen.Stop(im.StatusTopic(mine.UserID))
	}
	tx.Append(im.UserTopic(subscriber), txn.Draft{Listen: order, Body: &rpc.Event{Value: statusEvent(mine, tx.Now)}})
}

// BlockList returns a page of the users that the caller blocks.
func (p *Users) BlockList(ctx context.Context, by rpc.Caller,
	req protocol.BlockListRequest) (protocol.BlockListResponse, error) {
	res := protocol.BlockListResponse{UserIDList: []string{}}
	limit, err := rpc.Page(req.Limit)
	if err != nil {
		return res, err
	}
	list, err := p.store.Blocked(ctx, by.UserID, req.After, limit)
	if err != nil {
		return res, im.Internal(err)
	}
	if res.UserIDList = append(res.UserIDList, list...); len(list) == limit {
		res.Next = list[limit-1]
	}
	return res, nil
}

// GetDevices returns the caller's connected devices.
func (p *Users) GetDevices(_ context.Context, by rpc.Caller, _ protocol.Empty) (protocol.DevicesResponse, error) {
	res := protocol.DevicesResponse{Devices: p.sessions.Connected(by.UserID)}
	for i := range res.Devices {
		res.Devices[i].This = res.Devices[i].DeviceID == by.DeviceID
	}
	return res, nil
}

// KickDevice closes the session of a device of the caller, or of all other devices.
func (p *Users) KickDevice(_ context.Context, by rpc.Caller,
	req protocol.KickDeviceRequest) (protocol.KickDeviceResponse, error) {
	if req.DeviceID != "" {
		if err := im.CheckDeviceID(req.DeviceID); err != nil {
			return protocol.KickDeviceResponse{}, err
		}
	}
	res := protocol.KickDeviceResponse{Devices: p.sessions.Kick(by.UserID, req.DeviceID, by.DeviceID)}
	if req.DeviceID != "" && len(res.Devices) == 0 {
		return res, im.NotFound("deviceID", "is not one of your connected devices")
	}
	return res, nil
}
