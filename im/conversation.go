package im

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The two kinds of conversation, as the prefix of their ids.
const (
	c2cPrefix    = "c2c_"
	groupConvPre = "group_"
)

// C2C names the conversation with one person.
func C2C(peer string) string { return c2cPrefix + peer }

// GroupConversation names the conversation of a group.
func GroupConversation(groupID string) string { return groupConvPre + groupID }

// ParseConversation reads a conversationID: c2c_<user> or group_<id>.
func ParseConversation(id string) (peer, groupID string, err error) {
	if p, ok := strings.CutPrefix(id, c2cPrefix); ok {
		return p, "", CheckUserID("conversationID", p)
	}
	if g, ok := strings.CutPrefix(id, groupConvPre); ok {
		if CheckGroupID(g) != nil {
			return "", "", Bad("conversationID", "names no valid group")
		}
		return "", g, nil
	}
	return "", "", Bad("conversationID", "is neither c2c_<userID> nor group_<groupID>")
}

// Option says what a person wants to be told of a conversation (the original's recvOpt).
type Option int

// The options.
const (
	OptNotify   Option = 0 // messages arrive and push
	OptNothing  Option = 1 // messages are found in history only
	OptQuiet    Option = 2 // messages arrive, without push
	OptMentions Option = 3 // only mentions push
)

// Reading is one person's side of a conversation.
type Reading struct {
	ReadSeq    uint64 // read up to this sequence
	ReadOrd    int64  // what counted as unread up to there
	PinnedAt   int64  // milliseconds; 0 = not pinned
	Opt        Option
	HiddenSeq  uint64 // not listed while nothing is newer
	ClearedSeq uint64 // what is up to here is not shown to this person any more
	Skipped    Skips  // counts above ReadOrd that no longer count as unread: answered, revoked, deleted
}

// Read moves the count of what was read forward, and over what no longer counts.
func (r *Reading) Read(ord int64) { r.ReadOrd, r.Skipped = r.Skipped.settle(max(r.ReadOrd, ord)) }

// Skip takes one count out of what is unread, unless it was read.
func (r *Reading) Skip(ord int64) {
	if ord > r.ReadOrd {
		r.ReadOrd, r.Skipped = r.Skipped.Add(ord).settle(r.ReadOrd)
	}
}

// Contact is one person's side of a one-to-one conversation.
type Contact struct {
	UserID    string
	Peer      string
	Counted   int64  // messages from the peer that count as unread, read or not
	PeerRead  uint64 // the sequence on UserID's timeline up to which the peer has read
	BlockedAt int64  // milliseconds; 0 = UserID does not block the peer
	Reading
}

// Unread is how many messages of the peer are not read.
func (c *Contact) Unread() int64 { return max(0, c.Counted-c.ReadOrd-c.Skipped.Count(c.ReadOrd)) }

// Blocks says that messages and invitations of the peer are not wanted.
func (c *Contact) Blocks() bool { return c != nil && c.BlockedAt > 0 }

// CheckText refuses a text that is over limit bytes or not UTF-8.
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

// SearchText prepares text for a full-text index: characters of scripts that do not part words stand alone, so that a
// phrase of them finds a part of a run.
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
