package push

import (
	"context"
	"slices"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/relay"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// maxWithdrawn limits the notifications that one push takes away, to those of the latest messages.
const maxWithdrawn = 30

// withdrawal returns the notice that takes the notifications of messages away, and the keys of the tokens that showed
// them. pending > 0 means that a push of one is in progress, and is the time until the next attempt.
func (p *Push) withdrawal(ctx context.Context, order *outbox.Order) (n *notice, shown []string, pending time.Duration,
	err error) {
	n = &notice{quiet: true, until: until(p.store.Now(), 0, 0, messageKept)}
	n.push = protocol.PushNotice{Kind: protocol.PushRevoked, UserID: order.UserID, Time: p.store.Now()}
	var ids []string
	if m := order.Message; m != nil {
		ids, n.push.From, n.push.GroupID = []string{m.MessageID}, m.From, m.GroupID
	} else if r := order.Read; r != nil {
		n.push.Kind, n.push.From, n.push.GroupID = protocol.PushRead, r.Peer, r.GroupID
		n.collapse = digest("read", r.Peer, r.GroupID)
		if ids, err = p.readMessages(ctx, order.UserID, r); err != nil {
			return nil, nil, 0, err
		}
	}
	pushes, err := outbox.MessagePushes(ctx, p.store, ids, []string{order.UserID})
	if err != nil {
		return nil, nil, 0, err
	}
	for _, id := range ids {
		i := slices.IndexFunc(pushes, func(o txn.OutboxEvent) bool { return outbox.IsPushOf(&o, id, order.UserID) })
		if i < 0 {
			continue
		}
		if p.inProgress(&pushes[i]) { // later ones will find it read
			pending = ringWait
		}
		taken, err := outbox.Taken(pushes[i : i+1])
		if err != nil {
			return nil, nil, 0, err
		}
		if len(taken) > 0 {
			shown, n.push.MessageIDList = append(shown, taken...), append(n.push.MessageIDList, id)
		}
	}
	if len(n.push.MessageIDList) == 1 { // it replaces the push of the message, if the provider still keeps that
		n.collapse = digest("message", n.push.MessageIDList[0])
	}
	return n, shown, pending, nil
}

// inProgress reports whether a push may be at its provider now. On a shared database it is leased then, and a retry
// within the time of a lease looks the same.
func (p *Push) inProgress(o *txn.OutboxEvent) bool {
	ahead := time.Duration(o.Due-p.store.Now()) * time.Millisecond
	leased := p.store.Shared() && ahead > p.opt.MessageDelay && ahead <= relay.Lease
	return o.State == txn.OutgoingWaits && (ahead <= 0 || leased)
}

// readMessages returns the IDs of the latest messages in a part of a conversation, without revoked ones.
func (p *Push) readMessages(ctx context.Context, user string, r *outbox.Read) (ids []string, err error) {
	page := store.HistoryRange{User: user, Topic: im.UserTopic(user), Peer: r.Peer, From: r.UpTo + 1, After: r.After,
		Limit: maxWithdrawn}
	if r.GroupID != "" {
		page.Topic, page.Peer = im.GroupTopic(r.GroupID), txn.GroupPeer
	}
	entries, err := p.store.History(ctx, page)
	for _, e := range entries {
		if e.Message != "" && e.Flags&txn.FlagRevoked == 0 {
			ids = append(ids, e.Message)
		}
	}
	return ids, err
}

// fanOutRevoked queues the withdrawal of a revoked message for each member of its group that a push of it has reached.
func (p *Push) fanOutRevoked(ctx context.Context, order *outbox.Order) relay.Outcome {
	m := order.Message
	if m == nil {
		return relay.Outcome{}
	}
	// without the event that pushed the message to the group, no member has it
	if pushed, err := outbox.MessagePushes(ctx, p.store, []string{m.MessageID}, []string{""}); err != nil {
		return relay.Outcome{Err: err, Body: string(rpc.Encode(order))}
	} else if len(pushed) == 0 {
		return relay.Outcome{}
	}
	for {
		page, err := p.store.Members(ctx, m.GroupID, m.After, fanPage)
		if err == nil && len(page) > 0 {
			users := make([]string, len(page))
			for i := range page {
				users[i] = page[i].UserID
			}
			err = p.enqueueRevoked(ctx, users, *m)
		}
		if err != nil {
			return relay.Outcome{Err: err, Body: string(rpc.Encode(order))}
		}
		if len(page) < fanPage {
			break
		}
		m.After = page[len(page)-1].UserID
	}
	return relay.Outcome{}
}

func (p *Push) enqueueRevoked(ctx context.Context, users []string, m outbox.Message) error {
	pushes, err := outbox.MessagePushes(ctx, p.store, []string{m.MessageID}, users)
	if err != nil || len(pushes) == 0 {
		return err
	}
	m.After = ""
	err = rpc.Write(ctx, p.store, txn.ReadSet{}, func(tx *txn.Tx) error {
		for i := range pushes {
			tx.Enqueue(outbox.Revoked(pushes[i].Owner, m, tx.Now))
		}
		return nil
	})
	if err == nil {
		p.queue.Wake()
	}
	return err
}
