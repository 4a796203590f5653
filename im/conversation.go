package im

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The prefixes of conversation IDs.
const (
	c2cPrefix    = "c2c_"
	groupConvPre = "group_"
)

// C2C returns the ID of the one-to-one conversation with a user.
func C2C(peer string) string { return c2cPrefix + peer }

// GroupConversation returns the ID of a group's conversation.
func GroupConversation(groupID string) string { return groupConvPre + groupID }

// ParseConversation parses a conversation ID: c2c_<userID> or group_<groupID>. The error is CodeBadParameter.
func ParseConversation(id string) (peer, groupID string, err error) {
	if p, ok := strings.CutPrefix(id, c2cPrefix); ok {
		return p, "", CheckUserID("conversationID", p)
	}
	if g, ok := strings.CutPrefix(id, groupConvPre); ok {
		if CheckGroupID(g) != nil {
			return "", "", Bad("conversationID", "has an invalid group ID")
		}
		return "", g, nil
	}
	return "", "", Bad("conversationID", "must be c2c_<userID> or group_<groupID>")
}

// Option is a user's notification setting for a conversation (Tencent's recvOpt).
type Option int

// The options.
const (
	OptNotify   Option = 0 // messages are delivered and pushed
	OptNothing  Option = 1 // messages are in history only
	OptQuiet    Option = 2 // messages are delivered, without push
	OptMentions Option = 3 // messages are delivered; only mentions are pushed
)

// Reading is the state of a conversation for one user.
type Reading struct {
	ReadSeq    uint64 // the last sequence read
	ReadOrd    int64  // running count of unread-counting records at ReadSeq
	PinnedAt   int64  // Unix milliseconds; 0 = not pinned
	Opt        Option
	HiddenSeq  uint64 // the conversation is not listed without a newer event
	ClearedSeq uint64 // events up to here are not shown to the user
	Skipped    Skips  // counts above ReadOrd that are no longer unread: answered, revoked, deleted
}

// Read advances the read count to ord, and past skipped counts that follow directly.
func (r *Reading) Read(ord int64) { r.ReadOrd, r.Skipped = r.Skipped.settle(max(r.ReadOrd, ord)) }

// Skip removes one count from the unread ones, unless it was read.
func (r *Reading) Skip(ord int64) {
	if ord > r.ReadOrd {
		r.ReadOrd, r.Skipped = r.Skipped.Add(ord).settle(r.ReadOrd)
	}
}

// Contact is the state of a one-to-one conversation for one user.
type Contact struct {
	UserID    string
	Peer      string
	Counted   int64  // messages from the peer that count as unread, read or not
	PeerRead  uint64 // the last sequence on UserID's timeline that the peer has read
	BlockedAt int64  // Unix milliseconds; 0 = UserID does not block the peer
	Reading
}

// Unread returns the number of unread messages from the peer.
func (c *Contact) Unread() int64 { return max(0, c.Counted-c.ReadOrd-c.Skipped.Count(c.ReadOrd)) }

// Blocks reports whether UserID blocks the peer. A nil contact blocks none.
func (c *Contact) Blocks() bool { return c != nil && c.BlockedAt > 0 }

// CheckText returns an error for a text over limit bytes (CodeTooLong) or invalid UTF-8 (CodeBadParameter).
func CheckText(field, text string, limit int) error {
	if len(text) > limit {
		return &Error{Code: CodeTooLong, Field: field,
			Message: fmt.Sprintf("%s is %d bytes long; the limit is %d", field, len(text), limit)}
	}
	if !utf8.ValidString(text) {
		return Bad(field, "is not valid UTF-8")
	}
	return nil
}

// SearchText prepares text for a full-text index: it separates the characters of scripts without word boundaries, so
// that a phrase query matches a part of a run.
func SearchText(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao,
			unicode.Khmer, unicode.Myanmar) {
			b.WriteByte(' ')
			b.WriteRune(r)
			b.WriteByte(' ')
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
