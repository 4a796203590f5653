// Package holder owns which messages hold a file: a user may read the files that a standing message of theirs holds.
//
// It never decides what a message holds.
package holder

import (
	"context"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
)

// Holder is a message that holds a file: the readers of its topic who may read the message may read the file.
type Holder struct {
	File, Topic, Message string
	Until                int64 // of an onlineUserOnly message, which is not stored: when it ends, milliseconds
}

// Columns are those of the table.
const Columns = "file_id, topic, msg, until"

// Hold notes that a message holds a file. A stored message stays its holder, also when an onlineUserOnly one had the same messageID.
func Hold(tx *txn.Tx, h Holder) {
	tx.Exec("INSERT INTO file_holder ("+Columns+`) VALUES ?* ON CONFLICT (file_id, topic, msg) DO UPDATE SET
		until = CASE WHEN excluded.until = 0 OR file_holder.until = 0 THEN 0 ELSE excluded.until END`, 4, h.File, h.Topic, h.Message, h.Until)
}

// Release notes that a message holds no file any more.
func Release(tx *txn.Tx, topic, message string) {
	tx.Exec("DELETE FROM file_holder WHERE (topic, msg) IN (VALUES ?*)", 2, topic, message)
}

// A message stands that is neither revoked nor deleted or cleared by the reader.
const (
	undeleted = " AND NOT EXISTS (SELECT 1 FROM deleted d WHERE d.user_id = $2 AND d.topic = r.topic AND d.seq = r.seq)"

	qPeers = `SELECT count(*) FROM file_holder f WHERE f.file_id = $1 AND f.topic = 'user:' || $2 AND (f.until > $3 OR EXISTS (
		SELECT 1 FROM record r WHERE r.topic = f.topic AND r.msg = f.msg AND r.msg <> '' AND r.flags % 2 = 0` + undeleted + `
		AND NOT EXISTS (SELECT 1 FROM contact c WHERE c.user_id = $2 AND c.peer = r.peer AND c.cleared_seq >= r.seq)))`
	qGroups = `SELECT f.until, coalesce(r.seq, 0), coalesce(r.audience, ''), g.type, m.joined_seq, m.cleared_seq FROM file_holder f
		JOIN member m ON m.group_id = substr(f.topic, 7) AND m.user_id = $2 AND m.gone = 0 JOIN grp g ON g.id = m.group_id AND g.dismissed = 0
		LEFT JOIN record r ON r.topic = f.topic AND r.msg = f.msg AND r.msg <> '' AND r.flags % 2 = 0` + undeleted + `
		WHERE f.file_id = $1 AND f.topic LIKE 'group:%' AND (f.until > $3 OR r.seq > m.cleared_seq)`
)

// MayRead reports whether a message that the user may read holds a file.
func MayRead(ctx context.Context, s *store.Store, file, user string) (may bool, err error) {
	now := s.Now()
	err = s.View(ctx, func(r sqldb.Reader) error {
		may = false
		n := 0
		if err := r.Read(ctx, qPeers, func(row sqldb.Row) error { return row.Scan(&n) }, file, user, now); err != nil || n > 0 {
			may = n > 0
			return err
		}
		return r.Read(ctx, qGroups, func(row sqldb.Row) error {
			var until int64
			var seq uint64
			var audience string
			g, m := &im.Group{}, &im.Member{}
			err := row.Scan(&until, &seq, &audience, &g.Type, &m.JoinedSeq, &m.ClearedSeq)
			may = may || until > now || seq > m.Sees(g) && (audience == "" || strings.Contains(audience, " "+user+" "))
			return err
		}, file, user, now)
	})
	return may, err
}
