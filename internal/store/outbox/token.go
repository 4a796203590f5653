package outbox

import (
	"context"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/tables"
	"github.com/beckon-im/beckon/internal/txn"
)

// Token is the address of a user's device for pushes.
type Token struct {
	Key      string // of the device, for any user
	UserID   string
	DeviceID string
	Provider string
	Body     string // JSON
	At       int64  // time of registration, milliseconds
	Health
}

// Health is whether pushes of a token arrive. Times are milliseconds; 0 = never.
type Health struct {
	AcceptedAt     int64  // the last push that its provider accepted
	AcknowledgedAt int64  // the last push that its device acknowledged
	FailedAt       int64  // the last push that its provider refused, or that did not reach the provider
	Failures       int64  // since the last accepted push
	Error          string // of the last failed push
}

// HealthChange is what a node has seen of a token since its last change. Without an acceptance, Failures are added to
// those that are stored.
type HealthChange struct {
	Key, UserID string
	Health
}

// Tokens reads the push tokens of a user, the oldest first.
func Tokens(ctx context.Context, s *store.Store, user string) (list []Token, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		list, err = sqldb.All(ctx, r, func(row sqldb.Row) (*Token, error) {
			var t Token
			return &t, row.Scan(&t.Key, &t.UserID, &t.DeviceID, &t.Provider, &t.Body, &t.At, &t.AcceptedAt, &t.AcknowledgedAt,
				&t.FailedAt, &t.Failures, &t.Error)
		}, queries.Text("PushTokens"), user)
		return err
	})
	return list, err
}

// HasTokens reports whether any user has a push token.
func HasTokens(ctx context.Context, s *store.Store) (some bool, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		return r.Read(ctx, queries.Text("PushTokensAny"), func(sqldb.Row) error { some = true; return nil })
	})
	return some, err
}

// DropAllTokens removes the push tokens of a user.
func DropAllTokens(tx *txn.Tx, user string) { tx.Exec(queries.Text("PushTokensRemoveAll"), 1, user) }

// PutToken registers a push token; it is taken from its previous user. That of the same user keeps its health.
func PutToken(tx *txn.Tx, t Token) {
	tx.Upsert(tables.PushTokens, t.Key, t.UserID, t.DeviceID, t.Provider, t.Body, t.At, 0, 0, 0, 0, "")
}

// ChangeHealth changes the health of push tokens, except those that are gone or of another user by now.
func ChangeHealth(tx *txn.Tx, list []HealthChange) {
	const width = 7
	rows := make([]any, 0, width*len(list))
	for i := range list {
		c := &list[i]
		rows = append(rows, c.Key, c.UserID, c.AcceptedAt, c.AcknowledgedAt, c.FailedAt, c.Failures, c.Error)
	}
	tx.Exec(queries.Text("PushTokensHealth"), width, rows...)
}

// DropTokens removes push tokens of a user.
func DropTokens(tx *txn.Tx, user string, keys ...string) {
	rows := make([]any, 0, 2*len(keys))
	for _, k := range keys {
		rows = append(rows, k, user)
	}
	tx.Exec(queries.Text("PushTokensRemove"), 2, rows...)
}

// Ringing lists users with push tokens and an open invitation.
func Ringing(ctx context.Context, s *store.Store, limit int) (users []string, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		users, err = sqldb.All(ctx, r, sqldb.Text, queries.Text("PushRinging"), limit)
		return err
	})
	return users, err
}
