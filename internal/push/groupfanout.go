package push

import (
	"context"
	"slices"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/relay"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
)

// fanPage is the number of members read at once.
const fanPage = 200

// fanOut queues a group message for each member with enabled notifications and a device with a push token that may not
// be connected. Repeated after an interruption, it creates no duplicates, because the keys of the pushes are stable.
func (p *Push) fanOut(ctx context.Context, order *outbox.Order) relay.Outcome {
	m := order.Message
	for m != nil {
		page, err := p.store.Members(ctx, m.GroupID, m.After, fanPage)
		if err != nil {
			return relay.Outcome{Err: err, Body: string(rpc.Encode(order))}
		}
		var users []string
		connected := map[string]outbox.Connected{}
		for i := range page {
			u := &page[i]
			mentioned := m.MentionAll || slices.Contains(m.Mentioned, u.UserID)
			notify := u.Opt == im.OptNotify || u.Opt == im.OptMentions && mentioned
			if u.UserID != m.From && u.JoinedAt <= m.At && notify &&
				(len(m.Receivers) == 0 || slices.Contains(m.Receivers, u.UserID)) {
				users = append(users, u.UserID)
				connected[u.UserID] = p.connected(u.UserID)
			}
		}
		if err := p.enqueueFor(ctx, users, connected, *m); err != nil {
			return relay.Outcome{Err: err, Body: string(rpc.Encode(order))}
		}
		if len(page) < fanPage {
			break
		}
		m.After = page[len(page)-1].UserID
	}
	return relay.Outcome{}
}

// enqueueFor queues a message for users. Those without a push token, or with all such devices connected, are skipped.
func (p *Push) enqueueFor(ctx context.Context, users []string, connected map[string]outbox.Connected,
	m outbox.Message) error {
	if len(users) == 0 {
		return nil
	}
	m.After, m.Receivers = "", nil
	reads := txn.ReadSet{Users: users}
	for _, u := range users {
		reads.Outbox = append(reads.Outbox, outbox.MessageTo(u, m, 0, 0).OutboxKey)
	}
	err := rpc.Write(ctx, p.store, reads, func(tx *txn.Tx) error {
		for i, u := range users {
			if tx.OutboxEvent(reads.Outbox[i]) != nil {
				continue // from before an interruption; it may have been sent
			}
			if !p.devices.Unconnected(tx.User(u), connected[u]) {
				continue
			}
			due := tx.Now
			if connected[u].Count > 0 {
				due = max(due, m.At+p.opt.MessageDelay.Milliseconds())
			}
			tx.Enqueue(outbox.MessageTo(u, m, tx.Now, due))
		}
		return nil
	})
	if err == nil {
		p.queue.Wake()
	}
	return err
}
