// Package dossier reads everything that is stored about one person, in pages.
//
// It knows where a person stands in the database, as scrub does, which takes them out of it. What is another person's alone is
// left out: that they block this one, what they noted of their side of a conversation, what others said in groups.
package dossier

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/tx"
)

// Place is how far a reader has come. The zero Place is the beginning.
type Place struct {
	Part int   `json:"p"`
	Key  []any `json:"k,omitempty"` // of the last row that was looked at
}

// part is a kind of what is stored. Its query takes the user, the key of the last row, and how many rows to look at; it answers
// with the key and what fields name, in that order.
type part struct {
	kind   string
	fields string // a star marks JSON; names that begin with the key's are the key
	begin  []any  // a key before the first
	query  string
	theirs func(user string, row map[string]any) bool // nil = all rows are the person's
}

func parts() []part {
	name, num := []any{""}, []any{int64(0)}
	return []part{
		{"person", "userID profile* status doNotDisturb* tokensRevokedAt pushTokenAt", name,
			"SELECT user_id, profile, status, dnd, revoked, pushes FROM person WHERE user_id = $1 AND user_id > $2 LIMIT $3", nil},
		{"device", "token deviceID provider registration* registeredAt", name,
			"SELECT key, device_id, provider, body, at FROM push_token WHERE user_id = $1 AND key > $2 ORDER BY key LIMIT $3", nil},
		{"contact", "userID blockedAt pinnedAt receiveOption readSeq clearedSeq hiddenSeq", name,
			"SELECT peer, blocked_at, pinned_at, opt, read_seq, cleared_seq, hidden_seq FROM contact WHERE user_id = $1 AND peer > $2 ORDER BY peer LIMIT $3", nil},
		{"follows", "userID", name,
			"SELECT target FROM follow WHERE user_id = $1 AND target > $2 ORDER BY target LIMIT $3", nil},
		{"membership", "groupID groupName groupType role joinedAt left nameCard customInfo* mutedUntil bannedUntil pinnedAt receiveOption readSeq clearedSeq hiddenSeq", name,
			`SELECT m.group_id, g.name, g.type, m.role, m.joined_at, m.gone, m.name_card, m.custom, m.muted_until, m.banned_until, m.pinned_at, m.opt, m.read_seq, m.cleared_seq, m.hidden_seq
			FROM member m JOIN grp g ON g.id = m.group_id WHERE m.user_id = $1 AND m.group_id > $2 ORDER BY m.group_id LIMIT $3`, nil},
		{"application", "groupID inviter reason state appliedAt handler answer handledAt", name,
			"SELECT group_id, inviter, reason, state, applied_at, handler, answer, handled_at FROM application WHERE user_id = $1 AND group_id > $2 ORDER BY group_id LIMIT $3", nil},
		{"invited", "inviteID invitee groupID roomID timeout createdAt deadline data offlinePush*", name,
			"SELECT id, peer, group_id, room_id, timeout, created_at, deadline, data, push FROM invitation WHERE inviter = $1 AND id > $2 ORDER BY id LIMIT $3", nil},
		{"wasInvited", "inviteID state reason data ringingAt deadline decidedAt device", name,
			"SELECT invite_id, state, reason, data, ringing_at, deadline, decided_at, by_device FROM invitee WHERE user_id = $1 AND invite_id > $2 ORDER BY invite_id LIMIT $3", nil},
		{"seat", "roomID role since", name,
			"SELECT room_id, role, at FROM seat WHERE user_id = $1 AND room_id > $2 ORDER BY room_id LIMIT $3", nil},
		{"call", "callID roomID firstJoined lastJoined left duration reason", name,
			`SELECT p.call_id, c.room_id, p.first_at, p.joined_at, p.left_at, p.ms, p.reason FROM participant p JOIN media_call c ON c.id = p.call_id
			WHERE p.user_id = $1 AND p.call_id > $2 ORDER BY p.call_id LIMIT $3`, nil},
		{"file", "fileID kind name type size width height uploadedAt", name,
			"SELECT id, kind, name, type, size, width, height, at FROM file WHERE owner = $1 AND id > $2 ORDER BY id LIMIT $3", nil},
		{"event", "seq time body*", num, // all that was ever told to the person: messages, invitations, answers
			"SELECT seq, at, body FROM record WHERE topic = '" + im.UserTopic("") + "' || $1 AND seq > $2 ORDER BY seq LIMIT $3", nil},
		{"groupEvent", "timeline seq time body* sender audience", []any{"", int64(0)},
			`SELECT topic, seq, at, body, sender, audience FROM record WHERE topic IN (SELECT '` + im.GroupTopic("") + `' || group_id FROM member WHERE user_id = $1)
			AND (topic, seq) > ($2, $3) ORDER BY topic, seq LIMIT $4`, named},
		{"read", "timeline messageID at", []any{"", ""},
			"SELECT topic, msg, at FROM receipt WHERE user_id = $1 AND (topic, msg) > ($2, $3) ORDER BY topic, msg LIMIT $4", nil},
		{"deletedForMe", "timeline seq", []any{"", int64(0)},
			"SELECT topic, seq FROM deleted WHERE user_id = $1 AND (topic, seq) > ($2, $3) ORDER BY topic, seq LIMIT $4", nil},
	}
}

// named says that a record of a group is the person's: they sent it, or it names them and was for everybody.
func named(user string, row map[string]any) bool {
	sender, audience := row["sender"] == user, row["audience"] == nil
	delete(row, "sender")
	delete(row, "audience")
	quoted, _ := json.Marshal(user) // a string always encodes
	body, _ := row["body"].(json.RawMessage)
	return sender || audience && bytes.Contains(body, quoted)
}

const (
	look     = 2000    // rows that one query looks at, at most
	maxBytes = 1 << 20 // of what one page tells
)

// Read tells what is stored about a person after a place: each entry is an object with its kind. It returns where to go on; done says
// that nothing follows. A page may be empty though more follows, because it looks at a bounded number of rows.
func Read(ctx context.Context, s *store.Store, user string, at Place, limit int) (entries []json.RawMessage, next Place, done bool, err error) {
	all := parts()
	if at.Part < 0 || at.Part >= len(all) {
		return nil, at, true, nil
	}
	size, looked := 0, 0
	err = s.Moment(ctx, func(r tx.Reader) error {
		entries, next, size, looked = nil, at, 0, 0
		for next.Part < len(all) && len(entries) < limit && size < maxBytes && looked < look {
			p := &all[next.Part]
			if next.Key == nil {
				next.Key = p.begin
			}
			want := min(limit-len(entries), look-looked)
			if p.theirs != nil {
				want = look - looked
			}
			n, full := 0, false
			err := r.Read(ctx, p.query, func(row tx.Row) error {
				entry, key, err := p.scan(row, user)
				if err != nil {
					return err
				}
				n, next.Key = n+1, key
				if entry != nil {
					entries = append(entries, entry)
					size += len(entry)
				}
				if full = len(entries) >= limit || size >= maxBytes; full {
					return tx.ErrEnough
				}
				return nil
			}, append(append([]any{user}, next.Key...), want)...)
			if err != nil {
				return fmt.Errorf("what is stored as %s: %w", p.kind, err)
			}
			if looked += n; n < want && !full {
				next = Place{Part: next.Part + 1}
			}
		}
		return nil
	})
	return entries, next, next.Part == len(all), err
}

// scan makes an entry of a row; nil when the row is somebody else's. What is empty is left out.
func (p *part) scan(row tx.Row, user string) (entry json.RawMessage, key []any, err error) {
	fields := strings.Fields(p.fields)
	values, into := make([]any, len(fields)), make([]any, len(fields))
	for i := range values {
		into[i] = &values[i]
	}
	if err := row.Scan(into...); err != nil {
		return nil, nil, err
	}
	told := map[string]any{}
	for i, f := range fields {
		name, isJSON := strings.CutSuffix(f, "*")
		v := values[i]
		if b, ok := v.([]byte); ok {
			v = string(b)
		}
		if i < len(p.begin) {
			key = append(key, v)
		}
		text, isText := v.(string)
		switch {
		case v == nil, v == int64(0), isText && text == "":
		case isJSON && isText && json.Valid([]byte(text)):
			told[name] = json.RawMessage(text)
		default:
			told[name] = v
		}
	}
	if p.theirs != nil && !p.theirs(user, told) {
		return nil, key, nil
	}
	told["kind"] = p.kind
	entry, err = json.Marshal(told)
	return entry, key, err
}

// Parse reads a place that Encode wrote.
func Parse(text string) (at Place, ok bool) {
	if text == "" {
		return at, true
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if d.Decode(&at) != nil || d.More() || at.Part < 0 || at.Part >= len(parts()) {
		return at, false
	}
	p := parts()[at.Part]
	if at.Key == nil {
		return at, true
	}
	if len(at.Key) != len(p.begin) {
		return at, false
	}
	for i, v := range at.Key {
		if n, isNumber := v.(json.Number); isNumber {
			whole, err := n.Int64()
			if err != nil {
				return at, false
			}
			at.Key[i] = whole
		}
		if fmt.Sprintf("%T", at.Key[i]) != fmt.Sprintf("%T", p.begin[i]) {
			return at, false
		}
	}
	return at, true
}

// Encode writes a place for Parse.
func (at Place) Encode() string {
	b, _ := json.Marshal(at) // strings and numbers always encode
	return string(b)
}
