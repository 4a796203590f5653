package user

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// RevokeTokens makes every token of a user useless that was issued up to now, and sends their devices away on all nodes. The order
// travels with a record on their timeline, so that a device that is just coming in finds it.
func (p *People) RevokeTokens(_ rpc.Caller, req protocol.RevokeTokensRequest, done func(protocol.RevokeTokensResponse, error)) {
	if err := im.CheckUserID("userID", req.UserID); err != nil {
		rpc.Fail(done, err)
		return
	}
	topic := im.UserTopic(req.UserID)
	rpc.Do(p.store, txn.Need{Topics: []string{topic}, People: []string{req.UserID}}, func(w *txn.World) (protocol.RevokeTokensResponse, error) {
		who := w.Person(req.UserID)
		if who == nil {
			who = &txn.Person{UserID: req.UserID}
		}
		who.Revoked, who.Pushes = w.Now, 0
		outbox.DropAllTokens(w, req.UserID) // who signs in again registers again
		w.PutPerson(*who)
		w.Append(topic, txn.Draft{Listen: im.StopListening(topic), Body: &rpc.Event{Value: protocol.PersonEvent{Type: protocol.TypePerson, UserID: req.UserID, Time: w.Now}}})
		return protocol.RevokeTokensResponse{RevokedAt: w.Now}, nil
	}, done)
}

// CheckIssued refuses a token of a user that was issued, in unix seconds, before their tokens were revoked, or in that second.
func (p *People) CheckIssued(ctx context.Context, user string, at int64) error {
	who, err := p.store.Person(ctx, user)
	switch {
	case err != nil:
		return im.Internal(err)
	case who != nil && who.Revoked != 0 && at <= who.Revoked/1000:
		return im.Refuse(im.CodeTokenRefused, "the tokens of this user were revoked; get a new one")
	}
	return nil
}
