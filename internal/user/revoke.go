package user

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// RevokeTokens invalidates all tokens of a user issued up to now, and disconnects their devices on all nodes. A
// record on the user's timeline ends the sessions, so that a device that is just connecting finds it as well.
func (p *Users) RevokeTokens(_ context.Context, _ rpc.Caller,
	req protocol.RevokeTokensRequest) (rpc.Txn[protocol.RevokeTokensResponse], error) {
	if err := im.CheckUserID("userID", req.UserID); err != nil {
		return rpc.Txn[protocol.RevokeTokensResponse]{}, err
	}
	topic := im.UserTopic(req.UserID)
	return rpc.Txn[protocol.RevokeTokensResponse]{Reads: txn.ReadSet{Topics: []string{topic}, Users: []string{req.UserID}},
		Decide: func(tx *txn.Tx) (protocol.RevokeTokensResponse, error) {
			user := tx.User(req.UserID)
			if user == nil {
				user = &txn.User{UserID: req.UserID}
			}
			user.Revoked, user.Pushes = tx.Now, 0
			outbox.DropAllTokens(tx, req.UserID) // a new sign-in registers again
			tx.PutUser(*user)
			tx.Append(topic, txn.Draft{Listen: listen.Stop(topic),
				Body: &rpc.Event{Value: protocol.PersonEvent{Type: protocol.TypePerson, UserID: req.UserID, Time: tx.Now}}})
			return protocol.RevokeTokensResponse{RevokedAt: tx.Now}, nil
		}}, nil
}

// CheckIssued refuses a token of a user issued at the given time, in unix seconds, if their tokens were revoked in
// that second or later.
func (p *Users) CheckIssued(ctx context.Context, user string, at int64) error {
	stored, err := p.store.User(ctx, user)
	if err != nil {
		return im.Internal(err)
	}
	return CheckIssued(stored, at)
}

// CheckIssued does the same with the settings of the user, nil without any.
func CheckIssued(stored *txn.User, at int64) error {
	if stored != nil && stored.Revoked != 0 && at <= stored.Revoked/1000 {
		return im.Refuse(im.CodeTokenRefused, "the tokens of this user were revoked; get a new one")
	}
	return nil
}
