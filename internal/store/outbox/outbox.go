// Package outbox reads what waits to leave the house and what became of it, and forgets it when it is old. It knows where people
// are to be reached by a push.
//
// It never decides or sends: events are written with the records that they tell of, and their fate by units of work.
package outbox

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
)

// Kept is for how long an event that was delivered can be replayed, and DeadKept one that was given up.
const (
	Kept     = 7 * 24 * time.Hour
	DeadKept = 30 * 24 * time.Hour
)

const (
	columns = "SELECT " + txn.OutboxColumns + " FROM outgoing o "
	// What is due but for some owners, of each line the first that waits: by the index of due events, then a look at the head of the line.
	qDue = columns + `WHERE o.queue = $1 AND o.state = 0 AND o.due <= $2 AND (o.due, o.line, o.num) > ($3, $4, $5) AND o.owner NOT IN (%s)
		AND o.num = (SELECT min(e.num) FROM outgoing e WHERE e.queue = $1 AND e.state = 0 AND e.line = o.line) ORDER BY o.due, o.line, o.num LIMIT $6`
	// What waits behind an event rests with it, or every look at what is due would pass it by.
	qRest = `UPDATE outgoing SET due = (SELECT h.due FROM outgoing h WHERE h.queue = outgoing.queue AND h.line = outgoing.line AND h.state = 0 ORDER BY h.num LIMIT 1)
		WHERE state = 0 AND (queue, line) IN (VALUES ?*)`
	qNext = columns + "WHERE o.queue = $1 AND o.state = 0 AND o.line = $2 AND o.num > $3 ORDER BY o.num LIMIT $4"
	qList = columns + `WHERE o.queue = $1 AND o.state = $2 AND o.at >= $3 AND o.at <= $4 AND (o.at > $5 OR o.at = $5 AND (o.line > $6 OR o.line = $6 AND o.num > $7))
		ORDER BY o.at, o.line, o.num LIMIT $8`
	qCount = "SELECT count(*), coalesce(min(at), 0) FROM outgoing WHERE queue = $1 AND state = $2"
	qOld   = "SELECT queue, line, num FROM outgoing WHERE queue = $1 AND state = $2 AND at <= $3 LIMIT $4"
)

// DuePlace is where a page of due events begins: after an event. BeforeDue is before all.
type DuePlace struct {
	Due         int64
	OrderingKey string
	Seq         int64
}

// BeforeDue returns the place before all due events.
func BeforeDue() DuePlace { return DuePlace{Due: math.MinInt64} }

// Due reads a page of the events of a queue that are due, of each line the first that waits, in the order in which they are due,
// without those of some owners.
func Due(ctx context.Context, s *store.Store, queue string, now int64, after DuePlace, without []string, limit int) ([]txn.OutboxEvent, error) {
	args, list := []any{queue, now, after.Due, after.OrderingKey, after.Seq, limit}, []string{"'\n'"} // no owner is called so
	for _, owner := range without {
		args = append(args, owner)
		list = append(list, "$"+strconv.Itoa(len(args)))
	}
	return read(ctx, s, fmt.Sprintf(qDue, strings.Join(list, ", ")), args...)
}

// Rest lets what waits behind an event be due when that is.
func Rest(tx *txn.Tx, k txn.OutboxKey) { tx.Exec(qRest, 2, k.Queue, k.OrderingKey) }

// Next reads the events of a line that wait after one of them.
func Next(ctx context.Context, s *store.Store, k txn.OutboxKey, limit int) ([]txn.OutboxEvent, error) {
	return read(ctx, s, qNext, k.Queue, k.OrderingKey, k.Seq, limit)
}

// RingPushes reads the first hundred pushes that ring an invitation for a user, in whichever state.
func RingPushes(ctx context.Context, s *store.Store, inviteID, user string) ([]txn.OutboxEvent, error) {
	return read(ctx, s, columns+"WHERE o.queue = $1 AND o.line = $2 ORDER BY o.num LIMIT 100", txn.QueuePush, ringKey(inviteID, user))
}

// Place is where a page of a list begins: after an event.
type Place struct {
	At          int64
	OrderingKey string
	Seq         int64
}

// List reads a page of the events of a queue in one state that happened in a range of milliseconds, the oldest first.
func List(ctx context.Context, s *store.Store, queue string, state txn.OutboxState, from, until int64, after Place, limit int) ([]txn.OutboxEvent, error) {
	return read(ctx, s, qList, queue, int64(state), from, until, after.At, after.OrderingKey, after.Seq, limit)
}

// Count counts the events of a queue in a state, and says when the oldest happened; 0 when there is none.
func Count(ctx context.Context, s *store.Store, queue string, state txn.OutboxState) (n, oldest int64, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		return r.Read(ctx, qCount, func(row sqldb.Row) error { return row.Scan(&n, &oldest) }, queue, int64(state))
	})
	return n, oldest, err
}

func read(ctx context.Context, s *store.Store, query string, args ...any) ([]txn.OutboxEvent, error) {
	var list []txn.OutboxEvent
	err := s.View(ctx, func(r sqldb.Reader) error {
		return r.Read(ctx, query, func(row sqldb.Row) error {
			o, err := txn.ScanOutboxEvent(row)
			if err == nil {
				list = append(list, *o)
			}
			return err
		}, args...)
	})
	return list, err
}

// Trim forgets events of a queue that ended long ago.
func Trim(ctx context.Context, s *store.Store, queue string) error {
	for state, age := range map[txn.OutboxState]time.Duration{txn.OutgoingDone: Kept, txn.OutgoingDead: DeadKept} {
		err := s.MaintainChunks(ctx, func(ctx context.Context, sess *sqldb.Session, now int64) (int, error) {
			var keys []any
			err := sess.Query(ctx, qOld, []any{queue, int64(state), now - age.Milliseconds(), store.TrimChunk}, func(row sqldb.Row) error {
				var k txn.OutboxKey
				err := row.Scan(&k.Queue, &k.OrderingKey, &k.Seq)
				keys = append(keys, k.Queue, k.OrderingKey, k.Seq)
				return err
			})
			if err == nil {
				err = sess.Sync(ctx)
			}
			if err == nil {
				err = sess.Write(ctx, "DELETE FROM outgoing WHERE state <> 0 AND (queue, line, num) IN (VALUES ?*)", 3, keys)
			}
			return len(keys) / 3, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
