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

// fanOut queues a group message for each offline member with push tokens and enabled notifications. Repeated after an
// interruption, it creates no duplicates, because the keys of the pushes are stable.
func (p *Push) fanOut(ctx context.Context, order *outbox.Order) relay.Outcome {
	m := order.Message
	for m != nil {
		page, err := p.store.Members(ctx, m.GroupID, m.After, fanPage)
		if err != nil {
			return relay.Outcome{Err: err, Body: string(rpc.Encode(order))}
		}
		var users []string
		for i := range page {
			u := &page[i]
			mentioned := m.MentionAll || slices.Contains(m.Mentioned, u.UserID)
			notify := u.Opt == im.OptNotify || u.Opt == im.OptMentions && mentioned
			if u.UserID != m.From && u.JoinedAt <= m.At && notify &&
				(len(m.Receivers) == 0 || slices.Contains(m.Receivers, u.UserID)) && !p.opt.Online(u.UserID) {
				users = append(users, u.UserID)
			}
		}
		if err := p.enqueueFor(ctx, users, *m); err != nil {
			return relay.Outcome{Err: err, Body: string(rpc.Encode(order))}
		}
		if len(page) < fanPage {
			break
		}
		m.After = page[len(page)-1].UserID
	}
	return relay.Outcome{}
}

// enqueueFor queues a message for users. Those without a push token are skipped.
func (p *Push) enqueueFor(ctx context.Context, users []string, m outbox.Message) error {
	if len(users) == 0 {
		return nil
	}
	m.After, m.Receivers = "", nil
	err := rpc.Write(ctx, p.store, txn.ReadSet{Users: users}, func(tx *txn.Tx) error {
		for _, u := range users {
			if row := tx.User(u); row != nil && row.Pushes != 0 {
				tx.Enqueue(outbox.MessageTo(u, m, tx.Now))
			}
		}
		return nil
	})
	if err == nil {
		p.queue.Wake()
	}
	return err
}
