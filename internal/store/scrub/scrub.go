// Package scrub takes what a person said and said of themselves out of the database, also where others hold a copy.
//
// It never decides who may ask for that, and leaves the facts that are others' too: that there was a message, an invitation, a call.
package scrub

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/tx"
	"github.com/beckon-im/beckon/internal/world"
	"github.com/beckon-im/beckon/protocol"
)

const (
	topicPage  = 200 // timelines that are gone through together
	recordPage = 200 // records that one commit writes anew

	qTopics = "SELECT name FROM topic WHERE name > $1 ORDER BY name LIMIT $2"
	qSaid   = `SELECT topic, seq, msg, flags, body FROM record WHERE topic >= $1 AND topic <= $2 AND (topic > $3 OR topic = $3 AND seq > $4)
		AND (sender = $5 OR body LIKE $6 ESCAPE '!') ORDER BY topic, seq LIMIT $7`
)

// User takes a person out, and says how many records were written anew.
func User(ctx context.Context, s *store.Store, user string) (records int, err error) {
	if err := s.EmptyTimeline(ctx, im.UserTopic(user)); err != nil {
		return 0, err
	}
	for after := ""; ; {
		var names []string
		err := s.Moment(ctx, func(r tx.Reader) error {
			return r.Read(ctx, qTopics, func(row tx.Row) error {
				var name string
				err := row.Scan(&name)
				names = append(names, name)
				return err
			}, after, topicPage)
		})
		if err != nil || len(names) == 0 {
			if err == nil {
				err = rows(ctx, s, user)
			}
			return records, err
		}
		n, err := said(ctx, s, user, names[0], names[len(names)-1])
		if records += n; err != nil {
			return records, err
		}
		after = names[len(names)-1]
	}
}

// place is a record.
type place struct {
	topic string
	seq   uint64
}

// said goes through the records of some timelines.
func said(ctx context.Context, s *store.Store, user, from, to string) (records int, err error) {
	quoted, err := json.Marshal(user)
	if err != nil {
		return 0, err
	}
	pattern := "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(string(quoted)) + "%"
	at := place{topic: from}
	for {
		next, changed, found := at, 0, 0
		err := s.Tidy(ctx, func(ctx context.Context, sess *tx.Session, _ int64) (int, error) {
			next, changed, found = at, 0, 0 // it may be run again
			type hit struct {
				place
				msg   string
				flags int64
				body  []byte
			}
			var hits []hit
			if err := sess.Query(ctx, qSaid, []any{from, to, at.topic, at.seq, user, pattern, recordPage}, func(row tx.Row) error {
				var h hit
				err := row.Scan(&h.topic, &h.seq, &h.msg, &h.flags, &h.body)
				hits = append(hits, h)
				return err
			}); err != nil {
				return 0, err
			}
			if err := sess.Sync(ctx); err != nil {
				return 0, err
			}
			for _, h := range hits {
				found++
				next = h.place
				body, revoked, ok := scrubbed(h.body, user)
				if !ok {
					continue
				}
				changed++
				if revoked && h.flags%2 == 0 {
					h.flags += int64(world.FlagRevoked)
				}
				if err := sess.Exec(ctx, "UPDATE record SET body = $1, flags = $2 WHERE topic = $3 AND seq = $4", string(body), h.flags, h.topic, h.seq); err != nil {
					return 0, err
				}
				if h.msg == "" {
					continue
				}
				for _, home := range []string{h.topic, im.UserTopic(user)} { // the search knows a one-to-one message by its sender's timeline
					for _, q := range sess.Index(tx.Phrase{Topic: home, Message: h.msg}) {
						if err := sess.Exec(ctx, q.Text, q.Args...); err != nil {
							return 0, err
						}
					}
				}
			}
			return 0, nil
		})
		if err != nil {
			return records, err
		}
		records += changed
		if at = next; found < recordPage {
			return records, nil
		}
	}
}

// content lists the fields of a record that carry what somebody said.
func content() []string {
	return []string{"text", "custom", "image", "sound", "video", "file", "location", "face", "merged", "data", "offlinePush", "mentions", "revokeReason", "reason"}
}

// scrubbed takes what a person said out of a record; ok is false when nothing of theirs is in it. A message of theirs is one that was
// taken back.
func scrubbed(body []byte, user string) (clean []byte, revoked, ok bool) {
	var r map[string]json.RawMessage
	if json.Unmarshal(body, &r) != nil {
		return nil, false, false
	}
	is := func(field string) bool {
		var v string
		return json.Unmarshal(r[field], &v) == nil && v == user
	}
	var kind string
	_ = json.Unmarshal(r["type"], &kind) // every record has one
	if is("from") || kind == protocol.TypeSignaling && is("inviter") {
		for _, f := range content() {
			if _, has := r[f]; has {
				delete(r, f)
				ok = true
			}
		}
		if kind == protocol.TypeMessage {
			if string(r["revoked"]) != "true" {
				ok = true
			}
			r["revoked"], revoked = json.RawMessage("true"), true
		}
	}
	var answers []map[string]json.RawMessage
	if json.Unmarshal(r["answers"], &answers) == nil {
		for _, a := range answers {
			var who string
			if _, has := a["data"]; has && json.Unmarshal(a["invitee"], &who) == nil && who == user {
				delete(a, "data")
				ok = true
			}
		}
		r["answers"], _ = json.Marshal(answers) // texts and numbers always encode
	}
	if inner, has := r["message"]; has { // of an event that tells of a change
		if m, _, changed := scrubbed(inner, user); changed {
			r["message"], ok = m, true
		}
	}
	if !ok {
		return nil, false, false
	}
	clean, err := json.Marshal(r)
	return clean, revoked, err == nil
}

// rows takes a person out of what is not a record.
func rows(ctx context.Context, s *store.Store, user string) error {
	return s.Tidy(ctx, func(ctx context.Context, sess *tx.Session, _ int64) (int, error) {
		for _, q := range []string{
			"UPDATE invitation SET data = '', push = '' WHERE inviter = $1",
			"UPDATE invitee SET data = '' WHERE user_id = $1",
			"DELETE FROM contact WHERE user_id = $1", "DELETE FROM follow WHERE user_id = $1", "DELETE FROM follow WHERE target = $1",
			"DELETE FROM receipt WHERE user_id = $1", "DELETE FROM deleted WHERE user_id = $1", "DELETE FROM application WHERE user_id = $1",
			"DELETE FROM push_token WHERE user_id = $1", "DELETE FROM mark WHERE user_id = $1", "DELETE FROM seat WHERE user_id = $1",
			"UPDATE member SET name_card = '', custom = '' WHERE user_id = $1",
			// What revokes the tokens stays, or they would be good again.
			"UPDATE person SET profile = '', status = '', dnd = '', pushes = 0 WHERE user_id = $1",
		} {
			if err := sess.Exec(ctx, q, user); err != nil {
				return 0, err
			}
		}
		return 0, nil
	})
}

// Files lists what a person uploaded.
func Files(ctx context.Context, s *store.Store, user string) (ids []string, err error) {
	err = s.Moment(ctx, func(r tx.Reader) error {
		return r.Read(ctx, "SELECT id FROM file WHERE owner = $1", func(row tx.Row) error {
			var id string
			err := row.Scan(&id)
			ids = append(ids, id)
			return err
		}, user)
	})
	return ids, err
}

// DropFiles forgets uploads.
func DropFiles(ctx context.Context, s *store.Store, ids []string) error {
	for page := range slices.Chunk(ids, recordPage) {
		if err := s.Tidy(ctx, func(ctx context.Context, sess *tx.Session, _ int64) (int, error) {
			for _, id := range page {
				for _, q := range []string{"DELETE FROM file_reader WHERE file_id = $1", "DELETE FROM file WHERE id = $1"} {
					if err := sess.Exec(ctx, q, id); err != nil {
						return 0, err
					}
				}
			}
			return 0, nil
		}); err != nil {
			return err
		}
	}
	return nil
}
