package privacy

import (
	"context"
	"encoding/json"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/personaldata"
	"github.com/beckon-im/beckon/protocol/operator"
)

// Export returns the data stored about a user, a page at a time.
func (p *Privacy) Export(ctx context.Context, _ rpc.Caller,
	req operator.ExportUserRequest) (res operator.ExportUserResponse, err error) {
	if err := im.CheckUserID("userID", req.UserID); err != nil {
		return res, err
	}
	limit, err := rpc.Page(req.Limit)
	if err != nil {
		return res, err
	}
	at, ok := personaldata.Parse(req.After)
	if !ok {
		return res, im.Bad("after", "must be the next of the previous page")
	}
	entries, next, done, err := personaldata.Export(ctx, p.Store, req.UserID, at, limit)
	if err != nil {
		return res, im.Internal(err)
	}
	if res.Entries = entries; entries == nil {
		res.Entries = []json.RawMessage{}
	}
	if !done {
		res.Next = next.Encode()
	}
	return res, nil
}
