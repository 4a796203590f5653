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

// fanPage is how many members of a group are looked at together.
const fanPage = 200

// fanOut posts a message of a group to each member who is away, wants to be told, and may have a token. Whoever is
// posted it twice, because this was broken off, has it under the same name.
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
			wants := u.Opt == im.OptNotify || u.Opt == im.OptMentions && mentioned
			if u.UserID != m.From && u.JoinedAt <= m.At && wants &&
				(len(m.Receivers) == 0 || slices.Contains(m.Receivers, u.UserID)) && !p.opt.Online(u.UserID) {
				users = append(users, u.UserID)
			}
		}
		if err := p.postTo(ctx, users, *m); err != nil {
			return relay.Outcome{Err: err, Body: string(rpc.Encode(order))}
		}
		if len(page) < fanPage {
			break
		}
		m.After = page[len(page)-1].UserID
	}
	return relay.Outcome{}
}

// postTo posts a message to people, of whom those are left out who have no token.
func (p *Push) postTo(ctx context.Context, users []string, m outbox.Message) error {
	if len(users) == 0 {
		return nil
	}
	m.After, m.Receivers = "", nil
	err := rpc.Write(ctx, p.store, txn.ReadSet{Users: users}, func(tx *txn.Tx) error {
		for _, u := range users {
			if who := tx.User(u); who != nil && who.Pushes != 0 {
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
