package database

import (
	"context"
	"errors"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/txn"
)

// Writer writes records and the heads of their timelines, without the work of a call. Its zero value with a session is
// valid.
type Writer struct {
	Session *sqldb.Session
	At      int64 // time of the next records, in milliseconds

	records, topics []any
	seqs            map[string]int
}

var columns = []string{"topic", "seq", "at", "device", "listen", "body", "peer", "ord", "pair", "sender"}

// Add adds a record; last is the last one of its timeline.
func (w *Writer) Add(topic, peer, sender, body string, last bool) {
	if w.seqs == nil {
		w.seqs = map[string]int{}
	}
	w.seqs[topic]++
	w.records = append(w.records, topic, w.seqs[topic], w.At, "", "", body, peer, 0, 0, sender)
	if last {
		w.topics = append(w.topics, topic, w.seqs[topic], 0, w.At)
	}
}

// Flush writes the added records and heads.
func (w *Writer) Flush(ctx context.Context) error {
	err := errors.Join(w.Session.Write(ctx, txn.SetFloors, 4, w.topics),
		w.Session.Write(ctx, txn.Records.InsertOf(columns), len(columns), w.records))
	w.records, w.topics = w.records[:0], w.topics[:0]
	return err
}
