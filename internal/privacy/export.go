package privacy

import (
	"context"
	"encoding/json"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store/dossier"
	"github.com/beckon-im/beckon/internal/verb"
	"github.com/beckon-im/beckon/protocol"
)

// Export tells what is stored about a person, a page at a time.
func (p *Privacy) Export(ctx context.Context, _ verb.Caller, req protocol.ExportUserRequest) (res protocol.ExportUserResponse, err error) {
	if err := im.CheckUserID("userID", req.UserID); err != nil {
		return res, err
	}
	limit, err := verb.Page(req.Limit)
	if err != nil {
		return res, err
	}
	at, ok := dossier.Parse(req.After)
	if !ok {
		return res, im.Bad("after", "is not what the page before said as next")
	}
	entries, next, done, err := dossier.Read(ctx, p.Store, req.UserID, at, limit)
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
