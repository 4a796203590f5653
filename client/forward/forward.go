// Package forward makes the content of messages that repeat other messages.
package forward

import (
	"encoding/json"
	"errors"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// Limits of a merged message: messages, lines of its preview, and bytes of the text of one message.
const (
	maxMessages  = 300
	maxAbstracts = 3
	maxText      = 200
)

// ErrNoContent is the error of a message without content to forward: it was revoked, or is a call record.
var ErrNoContent = errors.New("the message was revoked, or is a call record, and cannot be forwarded")

// One returns the content of a message, to send it to another conversation. A file may be forwarded by those who may
// read it.
func One(m *protocol.Message) (protocol.Body, error) {
	if m.Revoked || m.Call != nil {
		return protocol.Body{}, ErrNoContent
	}
	return m.Body, nil
}

// Merged returns the content of one message that quotes others as text, in their order: at most 300, and as many as fit
// into 12 KiB. Files are quoted by name, revoked messages and call records are left out.
func Merged(title string, messages []protocol.Message) (protocol.Body, error) {
	if title == "" {
		return protocol.Body{}, errors.New("the title of a merged message is missing")
	}
	merged := &protocol.MergedElem{Title: title}
	for i := range messages {
		m := &messages[i]
		if m.Revoked || m.Call != nil || len(merged.Messages) == maxMessages {
			continue
		}
		next := *merged
		q := protocol.Quoted{From: m.From, Time: m.Time, Type: m.MessageType, Text: shorten(Preview(&m.Body))}
		if next.Messages = append(next.Messages, q); len(next.Abstracts) < maxAbstracts {
			next.Abstracts = append(next.Abstracts, q.From+": "+q.Text)
		}
		encoded, err := json.Marshal(protocol.Body{Merged: &next})
		if err != nil {
			return protocol.Body{}, err
		}
		if len(encoded) > im.MaxData {
			break
		}
		merged = &next
	}
	if len(merged.Messages) == 0 {
		return protocol.Body{}, ErrNoContent
	}
	return protocol.Body{Merged: merged}, nil
}

// Preview returns the text by which a list shows a content; its type when it has none.
func Preview(b *protocol.Body) string {
	kinds := b.Kinds()
	switch {
	case b.Text != "":
		return b.Text
	case b.Custom != nil && b.Custom.Description != "":
		return b.Custom.Description
	case b.Location != nil && b.Location.Description != "":
		return b.Location.Description
	case b.Merged != nil:
		return b.Merged.Title
	case b.File != nil && b.File.Name != "":
		return b.File.Name
	case len(kinds) == 1:
		return "[" + string(kinds[0]) + "]"
	}
	return ""
}

// shorten cuts a text to maxText bytes, between characters.
func shorten(s string) string {
	if len(s) <= maxText {
		return s
	}
	end := 0
	for at := range s {
		if at > maxText {
			break
		}
		end = at
	}
	return s[:end] + "…"
}
