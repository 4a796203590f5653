package txn

import (
	"context"

	"github.com/beckon-im/beckon/internal/sqldb"
)

// Flush writes the rows and records that the units of a batch have put, one statement for each kind of row. The engine
// sends the rest with the commit.
func (tx *Tx) Flush(ctx context.Context, s *sqldb.Session, records []Record) error {
	f := flusher{ctx: ctx, s: s}
	tx.flushRecords(&f, records)
	tx.flushInvitations(&f)
	put(&f, invitees, &tx.invitees)
	put(&f, tombstones, &tx.tombstones)
	put(&f, groups, &tx.groups)
	put(&f, members, &tx.members)
	tx.flushMessages(&f)
	put(&f, contacts, &tx.contacts)
	put(&f, applications, &tx.applications)
	put(&f, extras, &tx.extras)
	put(&f, users, &tx.users)
	putOrRemove(&f, follows, &tx.follows, func(v *Follow) bool { return v.Gone })
	var files []any
	for i := range tx.files {
		files = encodeFile(files, &tx.files[i])
	}
	f.write(Files.Insert, Files.Width, files)
	put(&f, roomTable, &tx.rooms.rooms)
	put(&f, seats, &tx.seats)
	put(&f, links, &tx.links)
	put(&f, calls, &tx.calls)
	put(&f, participants, &tx.participants)
	f.write(removeParticipants, 1, tx.voidCalls)
	f.write(removeCalls, 1, tx.voidCalls)
	put(&f, outbox, &tx.outbox)
	for _, e := range tx.execs {
		f.write(e.template, e.width, e.values)
	}
	return f.err
}

// flusher writes until an error.
type flusher struct {
	ctx context.Context
	s   *sqldb.Session
	err error
}

func (f *flusher) write(template string, width int, rows []any) {
	if f.err == nil && len(rows) > 0 {
		f.err = f.s.Write(f.ctx, template, width, rows)
	}
}

func (f *flusher) exec(query string, args ...any) {
	if f.err == nil {
		f.err = f.s.Exec(f.ctx, query, args...)
	}
}

// put writes the rows of a table that were put.
func put[K comparable, V any](f *flusher, d *schema[K, V], t *table[K, V]) {
	f.write(d.Upsert, d.Width, d.rows(t))
}

// putOrRemove writes the rows of a table that were put, and removes those that are gone.
func putOrRemove[K interface {
	comparable
	compound
}, V any](f *flusher, d *schema[K, V], t *table[K, V], gone func(*V) bool) {
	var rows []any
	for _, k := range t.order {
		if v := t.rows[k]; gone(v) {
			f.exec(d.Delete, k.values(nil)...)
		} else {
			rows = d.encode(rows, v)
		}
	}
	f.write(d.Upsert, d.Width, rows)
}

func (tx *Tx) flushRecords(f *flusher, records []Record) {
	var rows, messages, topics, first []any
	written := map[string]bool{}
	for i := range records {
		r, d := &records[i], &tx.drafts[i]
		if r.Seq == 0 {
			continue
		}
		if d.Message == "" && d.Flags == 0 && d.Audience == "" {
			rows = append(rows, r.Topic, r.Seq, r.At, r.Device, r.Listen, string(r.Body), d.Peer, d.Ord, d.pair, d.Sender)
		} else {
			messages = append(messages, r.Topic, r.Seq, r.At, r.Device, r.Listen, string(r.Body), d.Peer, d.Ord, d.pair,
				d.Sender,
				d.Message, int64(d.Flags), d.Audience)
		}
		if !written[r.Topic] {
			written[r.Topic] = true
			topics = append(topics, r.Topic, tx.heads[r.Topic], tx.counted[r.Topic])
			if tx.empty[r.Topic] {
				first = append(first, r.Topic, r.Seq-1, r.Seq-1, r.At)
				delete(tx.empty, r.Topic)
			}
		}
	}
	f.write(insertPlain, len(plainColumns), rows)
	f.write(insertMessages, len(writtenColumns), messages)
	f.write(SetFloors, 4, first)
	f.write(Topics.Change, Topics.Narrow, topics)
}

// flushInvitations writes whole rows where there is a single writer, so that only the last state of several is applied,
// and elsewhere whole rows of new invitations and the changing columns of others.
func (tx *Tx) flushInvitations(f *flusher) {
	if f.s.SingleWriter {
		put(f, invitations, &tx.invitations)
		return
	}
	var fresh, changed []any
	for _, id := range tx.invitations.order {
		if v := tx.invitations.rows[id]; tx.invitations.dirty[id] {
			fresh = invitations.encode(fresh, v)
		} else {
			changed = encodeChange(changed, v)
		}
	}
	f.write(invitations.Insert, invitations.Width, fresh)
	f.write(invitations.Change, invitations.Narrow, changed)
}

func (tx *Tx) flushMessages(f *flusher) {
	for _, k := range tx.messages.order {
		m := tx.messages.rows[k]
		f.exec(updateMessage, string(m.Body), int64(m.Flags), m.Version, m.Readers, m.Topic, m.Seq)
	}
	put(f, receipts, &tx.receipts)
	putOrRemove(f, reactions, &tx.reactions, func(r *Reaction) bool { return r.Gone })
	for _, p := range tx.phrases {
		for _, q := range f.s.Index(p) {
			f.exec(q.Text, q.Args...)
		}
	}
}
