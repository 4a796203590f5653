package inbox

import (
	"context"
	"errors"
	"time"

	"github.com/beckon-im/beckon/client/internal/repeat"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// Source has the requests of a Loader.
type Source interface {
	GetConversationList(ctx context.Context, req protocol.ConversationsRequest) (protocol.ConversationsResponse, error)
	GetConversation(ctx context.Context, conversationID string) (protocol.ConversationResponse, error)
}

// Loader loads an inbox. Later queues work in order with the events.
type Loader struct {
	Inbox  *Inbox
	Source Source
	Later  func(work func())
}

// requestTimeout is the timeout of a load.
const requestTimeout = 20 * time.Second

// Reload reloads all conversations.
func (l *Loader) Reload() {
	if !l.Inbox.On() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	ctx = repeat.Once(ctx)
	asked := l.Inbox.Ask()
	var list []protocol.Conversation
	var own uint64 // of the first page: events between the pages are newer
	for req := (protocol.ConversationsRequest{Limit: 1000}); ; {
		res, err := l.Source.GetConversationList(ctx, req)
		if err != nil {
			l.refetch(err)
			return
		}
		list = append(list, res.Conversations...)
		if req.Offset == 0 {
			own = res.Seq
		}
		if req.Offset = res.Next; res.Next == 0 {
			break
		}
	}
	l.Inbox.Load(list, asked, own)
}

// Refresh reloads one conversation.
func (l *Loader) Refresh(ctx context.Context, id string) {
	if !l.Inbox.On() {
		return
	}
	ctx, cancel := context.WithTimeout(repeat.Once(ctx), requestTimeout)
	defer cancel()
	res, err := l.Source.GetConversation(ctx, id)
	var refused *protocol.Error
	switch {
	case err == nil:
		l.Inbox.Replace(res.Conversation, res.Seq)
	case errors.As(err, &refused) && (refused.Code == im.CodeGroupDenied || refused.Code == im.CodeNoGroup):
		l.Inbox.Drop(id)
	default:
		l.Inbox.Ask()
		l.refetch(err)
	}
}

// refetch schedules a reload of all conversations after a failed request. Without a connection the next connect reloads
// them.
func (l *Loader) refetch(err error) {
	wait := time.Second
	var refused *protocol.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
	case !errors.As(err, &refused) || refused.Cause != nil:
		return // not a refusal of the server
	default:
		wait = max(wait, time.Duration(refused.RetryAfter)*time.Millisecond)
	}
	time.AfterFunc(wait, func() {
		l.Later(func() {
			if !l.Inbox.Loaded() {
				l.Reload()
			}
		})
	})
}
