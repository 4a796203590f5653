package user

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// RevokeTokens makes every token of a user useless that was issued up to now, and sends their devices away on all
// nodes. The order travels with a record on their timeline, so that a device that is just coming in finds it.
func (p *Users) RevokeTokens(_ context.Context, _ rpc.Caller,
	req protocol.RevokeTokensRequest) (rpc.Txn[protocol.RevokeTokensResponse], error) {
	if err := im.CheckUserID("userID", req.UserID); err != nil {
		return rpc.Txn[protocol.RevokeTokensResponse]{}, err
	}
	topic := im.UserTopic(req.UserID)
	return rpc.Txn[protocol.RevokeTokensResponse]{Reads: txn.ReadSet{Topics: []string{topic}, Users: []string{req.UserID}},
		Decide: func(tx *txn.Tx) (protocol.RevokeTokensResponse, error) {
			who := tx.User(req.UserID)
			if who == nil {
				who = &txn.User{UserID: req.UserID}
			}
			who.Revoked, who.Pushes = tx.Now, 0
			outbox.DropAllTokens(tx, req.UserID) // who signs in again registers again
			tx.PutUser(*who)
			tx.Append(topic, txn.Draft{Listen: im.StopListening(topic),
				Body: &rpc.Event{Value: protocol.PersonEvent{Type: protocol.TypePerson, UserID: req.UserID, Time: tx.Now}}})
			return protocol.RevokeTokensResponse{RevokedAt: tx.Now}, nil
		}}, nil
}

// CheckIssued refuses a token of a user that was issued, in unix seconds, before their tokens were revoked, or in that
// second.
func (p *Users) CheckIssued(ctx context.Context, user string, at int64) error {
	who, err := p.store.User(ctx, user)
	switch {
	case err != nil:
		return im.Internal(err)
	case who != nil && who.Revoked != 0 && at <= who.Revoked/1000:
		return im.Refuse(im.CodeTokenRefused, "the tokens of this user were revoked; get a new one")
	}
	return nil
}
