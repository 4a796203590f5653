package outbox

import (
	"context"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
)

// Token is where a device of a person is reached when it is not connected.
type Token struct {
	Key      string // the same for the same device, whoever uses it
	UserID   string
	DeviceID string
	Provider string
	Body     string // JSON
	At       int64  // when it was registered, milliseconds
}

// Tokens reads the push tokens of a user, the oldest first.
func Tokens(ctx context.Context, s *store.Store, user string) (list []Token, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		return r.Read(ctx, "SELECT key, user_id, device_id, provider, body, at FROM push_token WHERE user_id = $1 ORDER BY at, key", func(row sqldb.Row) error {
			var t Token
			err := row.Scan(&t.Key, &t.UserID, &t.DeviceID, &t.Provider, &t.Body, &t.At)
			list = append(list, t)
			return err
		}, user)
	})
	return list, err
}

// HasTokens says whether anybody has a push token.
func HasTokens(ctx context.Context, s *store.Store) (some bool, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		return r.Read(ctx, "SELECT 1 FROM push_token LIMIT 1", func(sqldb.Row) error { some = true; return nil })
	})
	return some, err
}

// DropAllTokens forgets the push tokens of a user.
func DropAllTokens(tx *txn.Tx, user string) {
	tx.Exec("DELETE FROM push_token WHERE user_id IN (?*)", 1, user)
}

// PutToken registers a push token; whoever had it before has it no longer.
func PutToken(tx *txn.Tx, t Token) {
	tx.Exec(`INSERT INTO push_token (key, user_id, device_id, provider, body, at) VALUES ?*
		ON CONFLICT (key) DO UPDATE SET user_id = excluded.user_id, device_id = excluded.device_id, body = excluded.body, at = excluded.at`, 6,
		t.Key, t.UserID, t.DeviceID, t.Provider, t.Body, t.At)
}

// DropTokens forgets push tokens of a user.
func DropTokens(tx *txn.Tx, user string, keys ...string) {
	rows := make([]any, 0, 2*len(keys))
	for _, k := range keys {
		rows = append(rows, k, user)
	}
	tx.Exec("DELETE FROM push_token WHERE (key, user_id) IN (VALUES ?*)", 2, rows...)
}

// Unreached lists people for whom something rings that only their devices were told, and who could be told by a push.
func Unreached(ctx context.Context, s *store.Store, limit int) (users []string, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		return r.Read(ctx, `SELECT DISTINCT i.user_id FROM invitee i JOIN person p ON p.user_id = i.user_id
			WHERE i.state = 0 AND i.deaf = 0 AND p.pushes > 0 ORDER BY i.user_id LIMIT $1`, func(row sqldb.Row) error {
			var user string
			err := row.Scan(&user)
			users = append(users, user)
			return err
		}, limit)
	})
	return users, err
}
