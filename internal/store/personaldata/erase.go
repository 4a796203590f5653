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

// Erase removes a user from the database, and returns the number of rewritten records. It reads everything in pages,
// and changes rows in small units, so that other units do not wait for it.
func Erase(ctx context.Context, s *store.Store, user string) (records int, err error) {
	if err := s.EmptyTimeline(ctx, im.UserTopic(user)); err != nil {
		return 0, err
	}
	for at := (reference{}); ; {
		hits, next, n, err := find(ctx, s, at, user)
		if err != nil {
			return records, err
		}
		for topic, seqs := range hits {
			changed, err := rewrite(ctx, s, topic, seqs, user)
			if records += changed; err != nil {
				return records, err
			}
		}
		if at = next; n < page {
			if err := rows(ctx, s, user); err != nil {
				return records, err
			}
			return records, s.Purge(ctx)
		}
	}
}

// reference names a record.
type reference struct {
	topic string
	seq   uint64
}

// find reads a page of records, and returns those that may have data of the user.
func find(ctx context.Context, s *store.Store, at reference, user string) (hits map[string][]uint64, next reference,
	n int, err error) {
	quoted, err := json.Marshal(user)
	if err != nil {
		return nil, at, 0, err
	}
	hits, next = map[string][]uint64{}, at
	err = s.View(ctx, func(r sqldb.Reader) error {
		return r.Read(ctx, queries.Text("EraseRecords"), func(row sqldb.Row) error {
			var sender string
			var body []byte
			err := row.Scan(&next.topic, &next.seq, &sender, &body)
			n++
			if sender == user || bytes.Contains(body, quoted) {
				hits[next.topic] = append(hits[next.topic], next.seq)
			}
			return err
		}, at.topic, at.seq, page)
	})
	return hits, next, n, err
}

// rewrite clears records of a timeline, which it locks.
func rewrite(ctx context.Context, s *store.Store, topic string, seqs []uint64, user string) (records int, err error) {
	for part := range slices.Chunk(seqs, chunk) {
		changed := 0
		err := s.Maintain(ctx, []string{topic}, func(ctx context.Context, sess *sqldb.Session, _ int64) error {
			changed = 0 // a unit may run again
			for _, seq := range part {
				ok, err := clean(ctx, sess, reference{topic, seq}, user)
				if err != nil {
					return err
				}
				if ok {
					changed++
				}
			}
			return nil
		})
		if records += changed; err != nil {
			return records, err
		}
	}
	return records, nil
}

// clean clears one record, and reports whether it had data of the user.
func clean(ctx context.Context, sess *sqldb.Session, at reference, user string) (bool, error) {
	var msg string
	var flags int64
	var body []byte
	if err := sess.Query(ctx, queries.Text("EraseRecord"), []any{at.topic, at.seq}, func(row sqldb.Row) error {
		return row.Scan(&msg, &flags, &body)
	}); err != nil {
		return false, err
	}
	if err := sess.Sync(ctx); err != nil {
		return false, err
	}
	text, revoked, ok := erasedRecord(body, user)
	if !ok {
		return false, nil
	}
	if revoked && flags%2 == 0 {
		flags += int64(txn.FlagRevoked)
	}
	if err := sess.Exec(ctx, queries.Text("EraseRecordBody"), string(text), flags, at.topic, at.seq); err != nil ||
		msg == "" {
		return true, err
	}
	// the search index has a one-to-one message on its sender's timeline
	for _, home := range []string{at.topic, im.UserTopic(user)} {
		for _, q := range sess.Index(sqldb.Phrase{Topic: home, Message: msg}) {
			if err := sess.Exec(ctx, q.Text, q.Args...); err != nil {
				return true, err
			}
		}
	}
	return true, nil
}

// content lists the fields with the content or the profile of a user.
func content() []string {
	return []string{
		"text", "custom", "image", "sound", "video", "file", "location", "face", "merged", "data", "offlinePush", "mentions",
		"customData", "revokeReason",
		"nameCard", "customInfo", "info", "attributes", "nick", "faceURL", "profile",
	}
}

// erasedRecord removes the content of a user from a record; ok is false when it has none. Messages of the user become
// revoked.
func erasedRecord(body []byte, user string) (clean []byte, revoked, ok bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // keeps the digits of numbers
	var r any
	if d.Decode(&r) != nil {
		return nil, false, false
	}
	s := eraser{user: user}
	s.walk(r)
	if !s.changed {
		return nil, false, false
	}
	top, _ := r.(map[string]any)
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

// erasePart names two statements for the rows of a user in one table: find reads their keys, change changes the row of
// one key.
type erasePart struct{ find, change string }

func eraseParts() []erasePart {
	return []erasePart{
		{queries.Text("EraseInvitationFind"), queries.Text("EraseInvitation")},
		{queries.Text("EraseInviteeFind"), queries.Text("EraseInvitee")},
		{queries.Text("EraseContactFind"), queries.Text("EraseContact")},
		{queries.Text("EraseFollowFind"), queries.Text("EraseFollow")},
		{queries.Text("EraseFollowerFind"), queries.Text("EraseFollower")},
		{queries.Text("EraseReceiptFind"), queries.Text("EraseReceipt")},
		{queries.Text("EraseDeletionFind"), queries.Text("EraseDeletion")},
		{queries.Text("EraseApplicationFind"), queries.Text("EraseApplication")},
		{queries.Text("ErasePushTokenFind"), queries.Text("ErasePushToken")},
		{queries.Text("EraseTombstoneFind"), queries.Text("EraseTombstone")},
		{queries.Text("EraseSeatFind"), queries.Text("EraseSeat")},
		{queries.Text("EraseRoomLinkFind"), queries.Text("EraseRoomLink")},
		{queries.Text("EraseMemberFind"), queries.Text("EraseMember")},
		{queries.Text("ErasePersonFind"), queries.Text("ErasePerson")},
		{queries.Text("ErasePushFind"), queries.Text("ErasePush")},
	}
}

// rows erases a user from the rows of all tables but the records.
func rows(ctx context.Context, s *store.Store, user string) error {
	quoted, err := json.Marshal(user)
	if err != nil {
		return err
	}
	for _, p := range eraseParts() {
		var keys [][2]string
		if err := s.View(ctx, func(r sqldb.Reader) error {
			return r.Read(ctx, p.find, func(row sqldb.Row) error {
				var k [2]string
				err := row.Scan(&k[0], &k[1])
				if !strings.HasPrefix(k[1], "{") || strings.Contains(k[1], string(quoted)) {
					keys = append(keys, k)
				}
				return err
			}, user)
		}); err != nil {
			return err
		}
		for some := range slices.Chunk(keys, chunk) {
			if err := s.Maintain(ctx, []string{im.UserTopic(user)},
				func(ctx context.Context, sess *sqldb.Session, _ int64) error {
					for _, k := range some {
						if err := sess.Exec(ctx, p.change, user, k[0], k[1]); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Files lists the files that a user uploaded.
func Files(ctx context.Context, s *store.Store, user string) (ids []string, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		ids, err = sqldb.All(ctx, r, sqldb.Text, queries.Text("EraseFiles"), user)
		return err
	})
	return ids, err
}

// DropFiles removes the rows of files.
func DropFiles(ctx context.Context, s *store.Store, ids []string) error {
	for some := range slices.Chunk(ids, chunk) {
		keys := make([]any, len(some))
		for i, id := range some {
			keys[i] = id
		}
		if err := s.MaintainRows(ctx, func(ctx context.Context, sess *sqldb.Session, _ int64) error {
			for _, q := range []string{queries.Text("FileHoldersRemove"), queries.Text("FileReadersRemove"),
				queries.Text("FilesRemove")} {
				if err := sess.Write(ctx, q, 1, keys); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
