// Package dump exports a whole database, also as a backup, and imports it into another.
//
// It knows tables and columns from their schemas, and of the meaning of rows only the words of messages.
package dump

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/txn"
)

// exportVersion changes when earlier programs cannot import the export. Exports from oldestExport on can be imported.
const exportVersion, oldestExport = 4, 2

// exportTime limits an export.
const exportTime = 24 * time.Hour

// Tables returns the tables of an export in its order. Their columns give the order of values in its rows.
func Tables() []*txn.Schema {
	return slices.DeleteFunc(txn.Schemas(), func(s *txn.Schema) bool { return s.NoDump != "" })
}

// exportLine is one line of an export: the first has its version, the last the number of rows, others have a table or a
// row.
type exportLine struct {
	Version int    `json:"beckonExport,omitempty"`
	Epoch   string `json:"epoch,omitempty"`
	Table   string `json:"table,omitempty"`
	Row     []any  `json:"row,omitempty"`
	Rows    int64  `json:"end,omitempty"`
}

// Export writes a snapshot of the database as lines of JSON, and returns the number of rows. A server may be running on
// the database.
func Export(ctx context.Context, s *store.Store, to io.Writer) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, exportTime)
	defer cancel()
	out := bufio.NewWriterSize(to, 1<<16)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(exportLine{Version: exportVersion, Epoch: s.Epoch()}); err != nil {
		return 0, err
	}
	rows := int64(1) // one more, so that the end of an empty database has a number too
	err := s.View(ctx, func(r sqldb.Reader) error {
		for _, t := range Tables() {
			if err := enc.Encode(exportLine{Table: t.Name}); err != nil {
				return err
			}
			if err := r.Read(ctx, t.Dump(), func(row sqldb.Row) error {
				values, into := make([]any, t.Width), make([]any, t.Width)
				for i := range values {
					into[i] = &values[i]
				}
				rows++
				return errors.Join(row.Scan(into...), enc.Encode(exportLine{Row: values}))
			}); err != nil {
				return fmt.Errorf("the table %s: %w", t.Name, err)
			}
		}
		return nil
	})
	if err != nil {
		return 0, errors.Join(err, out.Flush()) // without its last line an import refuses it
	}
	return rows - 1, errors.Join(enc.Encode(exportLine{Rows: rows}), out.Flush())
}

// Find returns the words by which a search finds a stored message, given its timeline, its sequence on the other user's
// timeline, and its body; nil when it has none.
type Find func(topic string, pair int64, body []byte) *sqldb.Phrase

const (
	importRows   = 500   // rows in one statement
	importCommit = 20000 // rows in one transaction
)

// Import fills an empty database with an export, and returns the number of rows. With restored, the database keeps its
// own epoch, so that the positions of devices are not valid in it. No server may be running on it.
func Import(ctx context.Context, s *store.Store, from io.Reader, restored bool, find Find) (int64, error) {
	if err := mustBeEmpty(ctx, s); err != nil {
		return 0, err
	}
	in := json.NewDecoder(bufio.NewReaderSize(from, 1<<16))
	in.UseNumber()
	var first exportLine
	if err := in.Decode(&first); err != nil || first.Version == 0 {
		return 0, errors.New("this is not an export of Beckon")
	}
	if first.Version < oldestExport {
		return 0, fmt.Errorf(
			"the export has version %d, and this program reads %d and later: import it with the release that wrote it, then "+
				"upgrade", first.Version, oldestExport)
	}
	if first.Version > exportVersion {
		return 0, fmt.Errorf("the export has version %d, and this program knows %d: use a later one", first.Version,
			exportVersion)
	}
	if _, err := s.Remember(ctx, store.Importing, "yes"); err != nil {
		return 0, err
	}
	w, err := s.OfflineWriter(ctx)
	if err != nil {
		return 0, err
	}
	m := &importer{w: w, find: find, version: first.Version}
	tending, stop := context.WithCancel(ctx)
	var g errgroup.Group
	g.Go(func() error { return s.MaintainOffline(tending) })
	err = m.run(ctx, in)
	stop()
	err = errors.Join(err, g.Wait())
	if err = errors.Join(err, w.Close()); err != nil {
		return 0, err
	}
	return m.total - 1, s.Once(ctx, func(sess *sqldb.Session) error {
		if !restored {
			if err := store.SetEpoch(ctx, sess, first.Epoch); err != nil {
				return err
			}
		}
		return sess.Exec(ctx, queries.Text("MetaRemove"), store.Importing)
	})
}

func mustBeEmpty(ctx context.Context, s *store.Store) error {
	for _, t := range Tables() {
		full := false
		if err := s.View(ctx, func(r sqldb.Reader) error {
			return r.Read(ctx, t.Any(), func(sqldb.Row) error { full = true; return nil })
		}); err != nil {
			return err
		}
		if full {
			return fmt.Errorf("the database is not empty: its table %s has rows; import into a new one", t.Name)
		}
	}
	return nil
}

// importer writes rows, many in each statement and transaction.
type importer struct {
	w       sqldb.Writer
	sess    *sqldb.Session
	find    Find
	version int // of the export

	table   *txn.Schema // nil before the first
	rows    []any       // of the next statement
	phrases []sqldb.Phrase
	open    int   // rows in this transaction
	total   int64 // with one more, as in the last line of the export
}

func (m *importer) run(ctx context.Context, in *json.Decoder) error {
	known := map[string]*txn.Schema{}
	for _, t := range Tables() {
		known[t.Name] = t
	}
	m.total = 1
	for {
		var l exportLine
		if err := in.Decode(&l); err != nil {
			return fmt.Errorf("the export is broken off or damaged after %d rows: %w", m.total-1, err)
		}
		switch {
		case l.Rows > 0:
			if l.Rows != m.total {
				return fmt.Errorf("the export should have %d rows, and has %d", l.Rows-1, m.total-1)
			}
			return m.commit(ctx)
		case l.Table != "":
			if err := m.flush(ctx); err != nil {
				return err
			}
			t, ok := known[l.Table]
			if !ok {
				return fmt.Errorf("the export has a table %q, which this program does not know", l.Table)
			}
			m.table = t
		default:
			if err := m.row(ctx, l.Row); err != nil {
				return err
			}
		}
	}
}

func (m *importer) row(ctx context.Context, row []any) error {
	if m.table == nil {
		return fmt.Errorf("row %d of the export comes before its table", m.total)
	}
	if m.version < exportVersion && len(row) == m.table.Width-len(m.table.Added) {
		row = append(row, m.table.Added...)
	}
	if len(row) != m.table.Width {
		return fmt.Errorf("row %d of the export does not fit the table %q: it has %d values, not %d", m.total, m.table.Name,
			len(row), m.table.Width)
	}
	for i, v := range row {
		if n, ok := v.(json.Number); ok {
			var err error
			if row[i], err = n.Int64(); err != nil {
				return err
			}
		}
	}
	if m.table == txn.Records && row[9] != "" {
		if p := m.find(row[0].(string), row[8].(int64), []byte(row[5].(string))); p != nil {
			p.At = row[2].(int64) // a search orders by time
			m.phrases = append(m.phrases, *p)
		}
	}
	m.total++
	m.open++
	if m.rows = append(m.rows, row...); len(m.rows) < importRows*len(row) {
		return nil
	}
	if err := m.flush(ctx); err != nil || m.open < importCommit {
		return err
	}
	return m.commit(ctx)
}

// flush writes the buffered rows.
func (m *importer) flush(ctx context.Context) (err error) {
	if m.sess == nil {
		if m.sess, err = m.w.Begin(ctx); err != nil {
			return err
		}
		if m.sess.NoTimeout != "" { // the source of the export may be slow
			if err := m.sess.Query(ctx, m.sess.NoTimeout, nil, func(sqldb.Row) error { return nil }); err != nil {
				return err
			}
		}
	}
	if len(m.rows) > 0 {
		err = m.sess.Write(ctx, m.table.Insert, m.table.Width, m.rows)
	}
	for _, p := range m.phrases {
		for _, q := range m.sess.Index(p) {
			err = errors.Join(err, m.sess.Exec(ctx, q.Text, q.Args...))
		}
	}
	m.rows, m.phrases = nil, nil
	return errors.Join(err, m.sess.Sync(ctx))
}

func (m *importer) commit(ctx context.Context) error {
	if err := m.flush(ctx); err != nil {
		return err
	}
	m.sess, m.open = nil, 0
	return m.w.Commit(ctx)
}
