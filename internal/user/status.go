package user

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/blocklist"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// presence is a queue of users with a changed presence. It needs no limit, because it has each user once. mu guards
// changed.
type presence struct {
	mu      sync.Mutex
	changed map[string]bool // true: known to be online
	wake    chan struct{}
}

func newPresence() *presence {
	return &presence{changed: map[string]bool{}, wake: make(chan struct{}, 1)}
}

// PresenceChanged reports that the first device of a user connected to a node, or the last one disconnected. If
// online is false, the other nodes are queried. It does not block.
func (p *Users) PresenceChanged(user string, online bool) {
	q := p.presence
	q.mu.Lock()
	defer q.mu.Unlock()
	q.changed[user] = online
	select {
	case q.wake <- struct{}{}:
	default: // already signalled
	}
}

func (q *presence) take() map[string]bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	changed := q.changed
	q.changed = map[string]bool{}
	return changed
}

// Run announces presence changes to the subscribers on this node, until ctx ends. subscribed reports whether a
// session on this node is subscribed to a topic; announce delivers records to them.
func (p *Users) Run(ctx context.Context, subscribed func(topic string) bool, announce func([]txn.Record)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.presence.wake:
		}
		known := p.presence.take()
		var ask []string
		for user, online := range known {
			if !subscribed(im.StatusTopic(user)) {
				delete(known, user)
			} else if !online {
				ask = append(ask, user)
			}
		}
		for i, n := range p.sessions.Devices(ask...) {
			known[ask[i]] = n > 0
		}
		for user, online := range known {
			s, err := p.status(ctx, user, online)
			if err != nil {
				continue // the next change is announced
			}
			announce([]txn.Record{{Topic: im.StatusTopic(user), Body: rpc.Encode(statusEvent(s, p.store.Now()))}})
		}
	}
}

func statusEvent(s protocol.UserStatus, now int64) protocol.PersonEvent {
	return protocol.PersonEvent{Type: protocol.TypeStatus, UserID: s.UserID, Status: &s, Time: now}
}

// status returns the presence of a user and their custom status.
func (p *Users) status(ctx context.Context, user string, online bool) (protocol.UserStatus, error) {
	s := protocol.UserStatus{UserID: user, Status: statusName(online)}
	stored, err := p.store.User(ctx, user)
	if err != nil {
		return s, im.Internal(err)
	}
	if stored != nil {
		s.CustomStatus = stored.Status
	}
	return s, nil
}

func (p *Users) online(user string) bool { return p.sessions.Devices(user)[0] > 0 }

func statusName(online bool) string {
	if online {
		return protocol.StatusOnline
	}
	return protocol.StatusOffline
}

// statuses returns the presence of users as one user sees it: blockers of that user are offline.
func (p *Users) statuses(ctx context.Context, to string, users []string) (list []protocol.UserStatus,
	blockers map[string]bool, err error) {
	if blockers, err = blocklist.Of(ctx, p.store, to, users); err != nil {
		return nil, nil, im.Internal(err)
	}
	list = make([]protocol.UserStatus, 0, len(users))
	if len(users) == 0 {
		return list, blockers, nil
	}
	stored, err := p.store.Users(ctx, users)
	if err != nil {
		return nil, nil, im.Internal(err)
	}
	custom := make(map[string]string, len(stored))
	for i := range stored {
		custom[stored[i].UserID] = stored[i].Status
	}
	for i, n := range p.sessions.Devices(users...) {
		s := offline(users[i])
		if !blockers[users[i]] {
			s.Status, s.CustomStatus = statusName(n > 0), custom[users[i]]
		}
		list = append(list, s)
	}
	return list, blockers, nil
}

func offline(user string) protocol.UserStatus {
	return protocol.UserStatus{UserID: user, Status: protocol.StatusOffline}
}

// GetStatus returns the presence of users.
func (p *Users) GetStatus(ctx context.Context, by rpc.Caller, req protocol.UsersRequest) (protocol.StatusResponse,
	error) {
	if err := rpc.CheckUsers("userIDList", req.UserIDList, maxUsers, false); err != nil {
		return protocol.StatusResponse{}, err
	}
	list, _, err := p.statuses(ctx, by.UserID, req.UserIDList)
	return protocol.StatusResponse{Statuses: list}, err
}

// Followed returns the statuses of the users that a user follows, and those that do not block it.
func (p *Users) Followed(ctx context.Context, user string, list []string) (statuses []protocol.UserStatus,
	visible []string, err error) {
	statuses, blockers, err := p.statuses(ctx, user, list)
	return statuses, slices.DeleteFunc(list, func(u string) bool { return blockers[u] }), err
}

// SetSelfStatus sets the caller's custom status.
func (p *Users) SetSelfStatus(_ context.Context, by rpc.Caller,
	req protocol.SetSelfStatusRequest) (rpc.Txn[protocol.StatusResponse], error) {
	if err := im.CheckText("customStatus", req.CustomStatus, maxStatus); err != nil {
		return rpc.Txn[protocol.StatusResponse]{}, err
	}
	online := statusName(p.online(by.UserID))
	return change(p, by, func(tx *txn.Tx, me *txn.User) (protocol.StatusResponse, *protocol.PersonEvent, error) {
		topic := im.StatusTopic(by.UserID)
		if err := tx.Require(topic); err != nil {
			return protocol.StatusResponse{}, nil, err
		}
		me.Status = req.CustomStatus
		s := protocol.UserStatus{UserID: by.UserID, Status: online, CustomStatus: me.Status}
		tx.Append(topic, txn.Draft{Online: true, Body: &rpc.Event{Value: statusEvent(s, tx.Now)}})
		return protocol.StatusResponse{Statuses: []protocol.UserStatus{s}}, &protocol.PersonEvent{Status: &s}, nil
	})
}

// Subscribe subscribes all devices of the caller to the presence of users, across reconnects.
func (p *Users) Subscribe(ctx context.Context, by rpc.Caller,
	req protocol.UsersRequest) (rpc.Txn[protocol.StatusResponse], error) {
	err := rpc.CheckUsers("userIDList", req.UserIDList, maxUsers, false)
	var have []string
	if err == nil {
		have, err = p.store.Follows(ctx, by.UserID)
		fresh := slices.DeleteFunc(slices.Clone(req.UserIDList), func(u string) bool { return slices.Contains(have, u) })
		if err == nil && len(have)+len(fresh) > maxFollows {
			err = &im.Error{Code: im.CodeTooMany, Field: "userIDList",
				Message: fmt.Sprintf("you have subscribed to %d users; the limit is %d", len(have), maxFollows)}
		}
	}
	if err != nil {
		return rpc.Txn[protocol.StatusResponse]{}, err
	}
	list, _, err := p.statuses(ctx, by.UserID, req.UserIDList)
	if err != nil {
		return rpc.Txn[protocol.StatusResponse]{}, err
	}
	return p.follow(by, req.UserIDList, true, protocol.StatusResponse{Statuses: list}), nil
}

// Unsubscribe ends subscriptions to presence: the given ones, or all.
func (p *Users) Unsubscribe(ctx context.Context, by rpc.Caller,
	req protocol.UnsubscribeRequest) (rpc.Txn[protocol.StatusResponse], error) {
	err := rpc.CheckUsers("userIDList", req.UserIDList, maxUsers, true)
	if err == nil && len(req.UserIDList) == 0 {
		req.UserIDList, err = p.store.Follows(ctx, by.UserID)
	}
	if err != nil {
		return rpc.Txn[protocol.StatusResponse]{}, err
	}
	return p.follow(by, req.UserIDList, false, protocol.StatusResponse{Statuses: []protocol.UserStatus{}}), nil
}

// follow starts or ends subscriptions; each record carries the subscription change.
func (p *Users) follow(by rpc.Caller, users []string, on bool,
	res protocol.StatusResponse) rpc.Txn[protocol.StatusResponse] {
	topic := im.UserTopic(by.UserID)
	reads := txn.ReadSet{Topics: []string{topic}}
	for _, u := range users {
		reads.Follows = append(reads.Follows, txn.ContactKey{UserID: by.UserID, Peer: u})
		reads.Contacts = append(reads.Contacts, txn.ContactKey{UserID: u, Peer: by.UserID})
	}
	return rpc.Txn[protocol.StatusResponse]{Reads: reads, Decide: func(tx *txn.Tx) (protocol.StatusResponse, error) {
		for _, u := range users {
			if tx.Follow(by.UserID, u) == on {
				continue
			}
			tx.PutFollow(txn.Follow{UserID: by.UserID, Target: u, Gone: !on})
			e := protocol.PersonEvent{Type: protocol.TypePerson, UserID: by.UserID, Followed: []string{u}, Time: tx.Now}
			order := listen.To(im.StatusTopic(u), 0)
			switch {
			case !on:
				e.Followed, e.Left, order = nil, e.Followed, listen.Stop(im.StatusTopic(u))
			case tx.Contact(u, by.UserID).Blocks():
				order = ""
			}
			tx.Append(topic, txn.Draft{Device: by.Origin(), Listen: order, Body: &rpc.Event{Value: e}})
		}
		return res, nil
	}}
}
