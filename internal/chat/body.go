package chat

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/protocol"
)

// Limits of a message (SPEC 2; reference: Tencent Chat).
const (
	maxMentions   = 30
	maxReceivers  = 50
	maxCustomData = 4096 // bytes
	maxMerged     = 300  // messages
	maxAbstracts  = 10
	maxFileName   = 255 // bytes
	maxReason     = 256 // bytes
)

// kindOf returns the single content field of a body, after checking it.
func kindOf(b *protocol.Body) (protocol.MessageType, error) {
	kinds := b.Kinds()
	switch len(kinds) {
	case 0:
		return "", im.Bad("text", "is missing: set it, or one of: custom, image, sound, video, file, location, face, merged")
	case 1:
	default:
		return "", im.Bad(string(kinds[1]), "must not be set together with "+string(kinds[0])+": a message has one content")
	}
	if n := len(rpc.Encode(b)); n > im.MaxData {
		return "", &im.Error{Code: im.CodeTooLong, Field: string(kinds[0]),
			Message: fmt.Sprintf("%s is %d bytes long as JSON; the limit is %d", kinds[0], n, im.MaxData)}
	}
	return kinds[0], checkBody(b, kinds[0])
}

func checkBody(b *protocol.Body, kind protocol.MessageType) error {
	switch kind {
	case protocol.CallType:
		return im.Bad("call", "is reserved for call records of the server")
	case protocol.Text:
		return im.CheckText("text", b.Text, im.MaxData)
	case protocol.Custom:
		return rpc.FirstError(im.CheckText("custom.data", b.Custom.Data, im.MaxData),
			im.CheckText("custom.description", b.Custom.Description, im.MaxData),
			im.CheckText("custom.extension", b.Custom.Extension, im.MaxData))
	case protocol.Location:
		if l := b.Location; !(l.Latitude >= -90 && l.Latitude <= 90) || !(l.Longitude >= -180 && l.Longitude <= 180) {
			return im.Bad("location", "is out of range: latitude must be from -90 to 90, longitude from -180 to 180")
		}
		return im.CheckText("location.description", b.Location.Description, im.MaxData)
	case protocol.Face:
		if b.Face.Index < 0 {
			return im.Bad("face.index", "is negative")
		}
		return im.CheckText("face.data", b.Face.Data, im.MaxData)
	case protocol.Merged:
		return checkMerged(b.Merged)
	}
	f := fileOf(b)
	switch {
	case f.FileID == "":
		return im.Bad(string(kind)+".fileID", "is missing: upload the file first")
	case f.Duration < 0 || f.Width < 0 || f.Height < 0:
		return im.Bad(string(kind), "has a negative duration, width or height")
	}
	return im.CheckText(string(kind)+".name", f.Name, maxFileName)
}

func checkMerged(m *protocol.MergedElem) error {
	switch {
	case m.Title == "":
		return im.Bad("merged.title", "is missing")
	case len(m.Messages) == 0:
		return im.Bad("merged.messages", "is empty")
	case len(m.Messages) > maxMerged:
		return im.Bad("merged.messages", "has more than 300 messages")
	case len(m.Abstracts) > maxAbstracts:
		return im.Bad("merged.abstracts", "has more than 10 lines")
	}
	return im.CheckText("merged.title", m.Title, im.MaxData)
}

// fileOf returns the uploaded file of a body, or nil.
func fileOf(b *protocol.Body) *protocol.FileElem {
	for _, f := range []*protocol.FileElem{b.Image, b.Sound, b.Video, b.File} {
		if f != nil {
			return f
		}
	}
	return nil
}

// searchText returns the text by which a search finds a body.
func searchText(b *protocol.Body) string {
	switch {
	case b.Text != "":
		return b.Text
	case b.Custom != nil:
		return b.Custom.Description
	case b.Location != nil:
		return b.Location.Description
	case b.Merged != nil:
		return b.Merged.Title + " " + strings.Join(b.Merged.Abstracts, " ")
	}
	if f := fileOf(b); f != nil {
		return f.Name
	}
	return ""
}

// checkOptions refuses options that are out of range, or outside groups those for groups.
func checkOptions(o *protocol.MessageOptions, group bool) error {
	if !group {
		switch {
		case len(o.Mentions) > 0:
			return im.Bad("mentions", "is allowed in groups only")
		case o.MentionAll:
			return im.Bad("mentionAll", "is allowed in groups only")
		case len(o.ReceiverList) > 0:
			return im.Bad("receiverList", "is allowed in groups only")
		case o.NeedReadReceipt:
			return im.Bad("needReadReceipt", "is allowed in groups only; one-to-one messages always have read receipts")
		}
	}
	switch o.Priority {
	case "", protocol.PriorityHigh, protocol.PriorityNormal, protocol.PriorityLow, protocol.PriorityLowest:
	default:
		return im.Bad("priority", fmt.Sprintf("is %.40q; must be one of: high, normal, low, lowest", o.Priority))
	}
	if err := o.OfflinePush.Check(); err != nil {
		return err
	}
	if o.ReplyTo != "" && im.CheckMessageID(o.ReplyTo) != nil {
		return im.Bad("replyTo", "is not a messageID: 1–64 letters, digits and _.:-@+=")
	}
	return rpc.FirstError(
		rpc.CheckUsers("mentions", o.Mentions, maxMentions, true),
		rpc.CheckUsers("receiverList", o.ReceiverList, maxReceivers, true),
		im.CheckText("customData", o.CustomData, maxCustomData),
	)
}

// Found returns the search entry of a stored message, or nil: it is dump.Find for an import.
func Found(topic string, pair int64, body []byte) *sqldb.Phrase {
	var m protocol.Message
	if json.Unmarshal(body, &m) != nil || m.Type != protocol.TypeMessage || m.Revoked || m.ExcludeFromSearch {
		return nil
	}
	p := &sqldb.Phrase{Topic: topic, Message: m.MessageID, Words: searchText(&m.Body), Finders: []string{topic}}
	if m.GroupID == "" {
		if topic != im.UserTopic(m.From) {
			return nil // the sender's timeline has it
		}
		if pair > 0 {
			p.Finders = append(p.Finders, im.UserTopic(m.To))
		}
	}
	if p.Words == "" {
		return nil
	}
	return p
}
