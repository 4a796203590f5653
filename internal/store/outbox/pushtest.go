package outbox

import (
	"context"
	"time"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/tables"
	"github.com/beckon-im/beckon/internal/txn"
)

// TestKept is the retention of the rows of a test push.
const TestKept = time.Hour

// TestPush is the test of one push token. Times are milliseconds; 0 = not yet.
type TestPush struct {
	TestID         string
	Key            string // of the token
	UserID         string
	DeviceID       string
	Provider       string
	At             int64 // the beginning
	AcceptedAt     int64 // by the provider
	AcknowledgedAt int64 // by the device
	Error          string
}

// TestEvery is the shortest time between two tests of a user.
const TestEvery = 10 * time.Second

// TestKeys returns the keys of the events of a test that begins now and of the test before, of which a transaction
// enqueues the first if neither event is younger than TestEvery.
func TestKeys(user string, now int64) [2]txn.OutboxKey {
	slot := now / TestEvery.Milliseconds()
	key := func(slot int64) txn.OutboxKey {
		return txn.OutboxKey{Queue: txn.QueuePush, OrderingKey: testKey(user), Seq: slot}
	}
	return [2]txn.OutboxKey{key(slot), key(slot - 1)}
}

// Test returns the push that tests the tokens with some keys, for a key of TestKeys.
func Test(k txn.OutboxKey, user, testID string, tokens []string, now int64) txn.OutboxEvent {
	o := post(k.OrderingKey, Order{Kind: KindTest, UserID: user, TestID: testID, Only: tokens}, k.Seq, now)
	o.Due = 0 // as the push of an invitation, so that a test takes as long
	return o
}

// PutTests adds the rows of a test.
func PutTests(tx *txn.Tx, list []TestPush) {
	rows := make([]any, 0, tables.PushTests.Width*len(list))
	for i := range list {
		t := &list[i]
		rows = append(rows, t.TestID, t.Key, t.UserID, t.DeviceID, t.Provider, t.At, t.AcceptedAt, t.AcknowledgedAt, t.Error)
	}
	tx.Upsert(tables.PushTests, rows...)
}

// TestAccepted notes the outcome of a test at the provider of a token: the time of its acceptance, or an error. An
// acceptance stays.
func TestAccepted(tx *txn.Tx, testID, key string, at int64, failure string) {
	tx.Exec(queries.Text("PushTestsAccepted"), 4, testID, key, at, failure)
}

// TestAcknowledged notes the first acknowledgement of a test by tokens.
func TestAcknowledged(tx *txn.Tx, testID string, keys []string, at int64) {
	rows := make([]any, 0, 3*len(keys))
	for _, k := range keys {
		rows = append(rows, testID, k, at)
	}
	tx.Exec(queries.Text("PushTestsAcknowledged"), 3, rows...)
}

// TestPushes reads the rows of a test.
func TestPushes(ctx context.Context, s *store.Store, testID string) (list []TestPush, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		list, err = sqldb.All(ctx, r, func(row sqldb.Row) (*TestPush, error) {
			var t TestPush
			return &t, row.Scan(&t.TestID, &t.Key, &t.UserID, &t.DeviceID, &t.Provider, &t.At, &t.AcceptedAt,
				&t.AcknowledgedAt, &t.Error)
		}, queries.Text("PushTest"), testID)
		return err
	})
	return list, err
}
