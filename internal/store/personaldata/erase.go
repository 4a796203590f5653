package personaldata

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

const (
	page  = 2000 // rows of one read
	chunk = 200  // rows of one commit
)

// reference names a record.
type reference struct {
	topic string
	seq   uint64
}

// target is a user who is erased, as records name the user.
type target struct {
	user   string
	quoted []byte // JSON
	until  int64  // what the user writes later stays; 0 = nothing
}

func targetOf(e *Erasure) (target, error) {
	quoted, err := json.Marshal(e.UserID)
	return target{user: e.UserID, quoted: quoted, until: e.Until}, err
}

// may reports whether a record may have content of the user to clear. In later records, that is only content that was
// forwarded.
func (u *target) may(at int64, sender string, body []byte) bool {
	if u.later(at) && !bytes.Contains(body, []byte(`"merged"`)) {
		return false
	}
	return sender == u.user || bytes.Contains(body, u.quoted)
}

// later reports whether a record was written after the erasure began.
func (u *target) later(at int64) bool { return u.until != 0 && at > u.until }

// records is a page of records with those of them that may have data of users.
type records struct {
	n    int
	last reference
	hits []hit
}

// hit is a record that may have data of some users.
type hit struct {
	reference
	users []*target
}

// find reads a page of records.
func find(ctx context.Context, s *store.Store, users []target, query string, args ...any) (p records, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		p = records{}
		return r.Read(ctx, query, func(row sqldb.Row) error {
			var at int64
			var sender string
			var body []byte
			err := row.Scan(&p.last.topic, &p.last.seq, &at, &sender, &body)
			p.n++
			h := hit{reference: p.last}
			for i := range users {
				if users[i].may(at, sender, body) {
					h.users = append(h.users, &users[i])
				}
			}
			if len(h.users) > 0 {
				p.hits = append(p.hits, h)
			}
			return err
		}, args...)
	})
	return p, err
}

// rewrite clears records, and returns the number of changed records of each user. It locks the timeline of each.
func rewrite(ctx context.Context, s *store.Store, hits []hit) (changed map[string]int64, err error) {
	changed = map[string]int64{}
	slices.SortStableFunc(hits, func(a, b hit) int { return strings.Compare(a.topic, b.topic) })
	for len(hits) > 0 {
		n := 1
		for n < min(len(hits), chunk) && hits[n].topic == hits[0].topic {
			n++
		}
		part := map[string]int64{}
		err := s.Maintain(ctx, []string{hits[0].topic}, func(ctx context.Context, sess *sqldb.Session, _ int64) error {
			clear(part) // a unit may run again
			for i := range hits[:n] {
				if err := clean(ctx, sess, &hits[i], part); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return changed, err
		}
		for user, c := range part {
			changed[user] += c
		}
		hits = hits[n:]
	}
	return changed, nil
}

// clean clears one record of the data of users, and counts it for those whose data it had. It reads the record once: a
// transaction does not see what it has written.
func clean(ctx context.Context, sess *sqldb.Session, h *hit, changed map[string]int64) error {
	var msg string
	var flags, at int64
	var body []byte
	if err := sess.Query(ctx, queries.Text("EraseRecord"), []any{h.topic, h.seq}, func(row sqldb.Row) error {
		return row.Scan(&msg, &flags, &at, &body)
	}); err != nil {
		return err
	}
	if err := sess.Sync(ctx); err != nil {
		return err
	}
	homes := []string{h.topic}
	for _, u := range h.users {
		text, revoked, ok := erasedRecord(body, u.user, u.later(at))
		if !ok {
			continue
		}
		if body = text; revoked && flags%2 == 0 {
			flags += int64(txn.FlagRevoked)
		}
		changed[u.user]++
		homes = append(homes, im.UserTopic(u.user))
	}
	if len(homes) == 1 {
		return nil
	}
	if err := sess.Exec(ctx, queries.Text("EraseRecordBody"), string(body), flags, h.topic, h.seq); err != nil ||
		msg == "" {
		return err
	}
	// the search index has a one-to-one message on its sender's timeline
	for _, home := range homes {
		for _, q := range sess.Index(sqldb.Phrase{Topic: home, Message: msg}) {
			if err := sess.Exec(ctx, q.Text, q.Args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// content lists the fields with the content or the profile of a user.
func content() []string {
	return []string{
		"text", "custom", "image", "sound", "video", "file", "location", "face", "merged", "data", "offlinePush", "mentions",
		"customData", "revokeReason", "reactions",
		"nameCard", "customInfo", "info", "attributes", "nick", "faceURL", "profile",
	}
}

// erasedRecord removes the content of a user from a record, or from what was forwarded in it; ok is false when it has
// none. Messages of the user become revoked.
func erasedRecord(body []byte, user string, forwarded bool) (clean []byte, revoked, ok bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // keeps the digits of numbers
	var r any
	if d.Decode(&r) != nil {
		return nil, false, false
	}
	s := eraser{user: user}
	top, _ := r.(map[string]any)
	if forwarded {
		s.walk(top["merged"])
	} else {
		s.walk(r)
	}
	if !s.changed {
		return nil, false, false
	}
	clean, err := json.Marshal(r)
	return clean, top["type"] == protocol.TypeMessage && top["revoked"] == true, err == nil
}

// eraser walks through a record and its parts: forwarded messages, answers, members.
type eraser struct {
	user    string
	changed bool
}

func (s *eraser) walk(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			s.walk(e)
		}
	case map[string]any:
		if changes, ok := v["changes"].([]any); ok { // reactions
			v["changes"] = slices.DeleteFunc(changes, func(c any) bool {
				of, _ := c.(map[string]any)
				s.changed = s.changed || of["userID"] == s.user
				return of["userID"] == s.user
			})
		}
		s.clear(v)
		for _, e := range v {
			s.walk(e)
		}
	}
}

// clear empties an object of the user: a message, an action, an answer, or a profile.
func (s *eraser) clear(o map[string]any) {
	signaling := o["type"] == protocol.TypeSignaling
	theirs := o["from"] == s.user || o["from"] == nil &&
		(o["by"] == s.user || o["userID"] == s.user || o["invitee"] == s.user) || signaling && o["inviter"] == s.user
	if o["revokedBy"] == s.user || o["by"] == s.user {
		s.drop(o, "revokeReason")
		s.drop(o, "reason")
	}
	if members, ok := o["members"].([]any); ok && o["tip"] == string(protocol.TipMemberInfo) &&
		slices.Contains(members, any(s.user)) {
		s.drop(o, "nameCard")
		s.drop(o, "customInfo")
	}
	if !theirs {
		return
	}
	for _, f := range content() {
		s.drop(o, f)
	}
	if o["from"] == s.user && o["messageType"] != nil && o["revoked"] != true {
		o["revoked"], s.changed = true, true
	}
}

func (s *eraser) drop(o map[string]any, field string) {
	if _, has := o[field]; has {
		delete(o, field)
		s.changed = true
	}
}
