package chat

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/receipt"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// maxReceipts bounds the messages of one call about receipts.
const maxReceipts = 30

// receipts is the body of a receipt record for a sender; receipts in one batch are folded into one record.
type receipts struct{ protocol.MessageEvent }

func (r *receipts) JSON() []byte { return rpc.Encode(r.MessageEvent) }

// Absorb folds newer counts of the same group into r. It reports whether it did.
func (r *receipts) Absorb(next txn.Body) bool {
	n, ok := next.(*receipts)
	if !ok || n.GroupID != r.GroupID || len(r.Receipts)+len(n.Receipts) > maxReceipts {
		return false
	}
	list := append([]protocol.Count(nil), r.Receipts...)
	for _, c := range n.Receipts {
		i := 0
		for i < len(list) && list[i].MessageID != c.MessageID {
			i++
		}
		if i < len(list) {
			list[i] = c
		} else {
			list = append(list, c)
		}
	}
	r.Receipts, r.Time = list, n.Time
	return true
}

func checkReceipts(by rpc.Caller, req protocol.ReceiptsRequest) (conversation, error) {
	err := im.CheckGroupID(req.GroupID)
	switch {
	case err != nil:
	case len(req.MessageIDList) == 0:
		err = im.Bad("messageIDList", "is empty")
	case len(req.MessageIDList) > maxReceipts:
		err = im.Bad("messageIDList", "has more than 30 messages; use several calls")
	}
	for _, id := range req.MessageIDList {
		if err == nil && im.CheckMessageID(id) != nil {
			err = im.Bad("messageIDList", "has a malformed messageID")
		}
	}
	return conversation{by: by, groupID: req.GroupID}, err
}

// SendReceipts sends read receipts to the senders of messages of a group.
func (c *Chat) SendReceipts(_ context.Context, by rpc.Caller,
	req protocol.ReceiptsRequest) (rpc.Txn[protocol.ReceiptsResponse], error) {
	p, err := checkReceipts(by, req)
	if err != nil {
		return rpc.Txn[protocol.ReceiptsResponse]{}, err
	}
	reads := p.reads()
	for _, id := range req.MessageIDList {
		reads.Messages = append(reads.Messages, txn.MessageKey{Topic: p.topic(), ID: id})
		reads.Receipts = append(reads.Receipts, txn.Receipt{Topic: p.topic(), ID: id, UserID: by.UserID})
	}
	return rpc.Txn[protocol.ReceiptsResponse]{Reads: reads,
		Decide: func(tx *txn.Tx) (protocol.ReceiptsResponse, error) { return p.receipts(tx, req.MessageIDList) }}, nil
}

func (p conversation) receipts(tx *txn.Tx, ids []string) (protocol.ReceiptsResponse, error) {
	res := protocol.ReceiptsResponse{Receipts: []protocol.Count{}}
	g, me, err := p.member(tx)
	if err != nil {
		return res, err
	}
	news := map[string]*receipts{}
	var senders []string
	for _, id := range ids {
		m := tx.Message(p.topic(), id)
		if m == nil || m.Seq <= me.Sees(g) || !visible(m.Audience, p.by.UserID) {
			return res, noMessage()
		}
		switch {
		case m.Flags&txn.FlagReceipt == 0:
			return res, &im.Error{Code: im.CodeGroupDenied, Field: "messageIDList", Message: "the sender of " + id +
				" did not ask for read receipts"}
		case m.Sender == p.by.UserID:
			return res, &im.Error{Code: im.CodeGroupDenied, Field: "messageIDList", Message: id + " is your own message"}
		}
		if !tx.Receipt(p.topic(), id, p.by.UserID) && m.Flags&txn.FlagRevoked == 0 {
			m.Readers++
			tx.PutMessage(*m)
			tx.PutReceipt(txn.Receipt{Topic: p.topic(), ID: id, UserID: p.by.UserID, At: tx.Now})
			if news[m.Sender] == nil {
				news[m.Sender] = &receipts{protocol.MessageEvent{Type: protocol.TypeReceipt, GroupID: g.ID, Time: tx.Now}}
				senders = append(senders, m.Sender)
			}
			news[m.Sender].Receipts = append(news[m.Sender].Receipts, countOf(g, m))
		}
		res.Receipts = append(res.Receipts, countOf(g, m))
	}
	var topics []string
	for _, s := range senders {
		topics = append(topics, im.UserTopic(s))
	}
	if err := tx.Require(topics...); err != nil {
		return res, err
	}
	for i, s := range senders {
		tx.Append(topics[i], txn.Draft{Body: news[s]})
	}
	return res, nil
}

// countOf returns the read and unread counts of a message, over the current members without its sender.
func countOf(g *im.Group, m *txn.Message) protocol.Count {
	others := int64(g.Members - 1)
	if m.Audience != "" {
		others = int64(countNames(m.Audience) - 1)
	}
	return protocol.Count{MessageID: m.ID, Read: m.Readers, Unread: max(0, others-m.Readers)}
}

// countNames counts the user IDs of an audience.
func countNames(audience string) (n int) {
	for i := 1; i < len(audience); i++ {
		if audience[i] == ' ' {
			n++
		}
	}
	return n
}

// GetReceipts returns the read counts of messages of a group.
func (c *Chat) GetReceipts(ctx context.Context, by rpc.Caller, req protocol.ReceiptsRequest) (protocol.ReceiptsResponse,
	error) {
	res := protocol.ReceiptsResponse{Receipts: []protocol.Count{}}
	p, err := checkReceipts(by, req)
	if err != nil {
		return res, err
	}
	g, _, err := c.membership(ctx, p)
	if err != nil {
		return res, err
	}
	for _, id := range req.MessageIDList {
		m, err := c.find(ctx, p, id)
		if err != nil {
			return res, err
		}
		res.Receipts = append(res.Receipts, countOf(g, m))
	}
	return res, nil
}

// GetReaders returns a page of the users that have read, or not read, a message of the caller.
func (c *Chat) GetReaders(ctx context.Context, by rpc.Caller, req protocol.ReadersRequest) (protocol.ReadersResponse,
	error) {
	res := protocol.ReadersResponse{Readers: []protocol.Reader{}}
	limit, err := rpc.Page(req.Limit)
	if err := rpc.FirstError(err, im.CheckGroupID(req.GroupID), im.CheckMessageID(req.MessageID)); err != nil {
		return res, err
	}
	p := conversation{by: by, groupID: req.GroupID}
	m, err := c.find(ctx, p, req.MessageID)
	if err != nil {
		return res, err
	}
	if m.Sender != by.UserID {
		return res, &im.Error{Code: im.CodeGroupDenied, Field: "messageID",
			Message: "only the sender of a message may list its readers"}
	}
	var list []receipt.Reader
	if req.Unread {
		var g *im.Group
		if g, err = c.store.Group(ctx, req.GroupID); err == nil && g != nil {
			by.CountRows(g.Members) // the query passes over the readers of the message
			list, err = receipt.NonReaders(ctx, c.store, req.GroupID, m, req.After, limit)
		}
	} else {
		list, err = receipt.Readers(ctx, c.store, m, req.After, limit)
	}
	if err != nil {
		return res, im.Internal(err)
	}
	for _, r := range list {
		if visible(m.Audience, r.UserID) {
			res.Readers = append(res.Readers, protocol.Reader{UserID: r.UserID, Time: r.At})
		}
	}
	if len(list) == limit {
		res.Next = list[limit-1].UserID
	}
	return res, nil
}
