package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	driver "modernc.org/sqlite"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store/sqlite/journal"
)

// applier writes the entries of the journal to the database, many batches in each transaction: rows that change often
// are written once, and so are pages that many rows share. Readers wait until the batches acknowledged before their
// start are applied.
type applier struct {
	conn   *conn
	broken *brokenDisk
	log    *slog.Logger
	retire func() error
	ended  chan struct{}

	aside func(entry) error // keeps an entry that the database refuses

	mu      sync.Mutex
	waiting []entry
	batches int       // in waiting, and being applied
	bytes   int64     // of these batches
	last    uint64    // number of the last entry of waiting
	since   time.Time // when the oldest batch came; zero = there is none
	applied uint64
	urgent  bool // a reader or the writer waits
	shrink  bool // the database has free pages to give back
	closing bool
	failed  error         // of the last attempt
	changed chan struct{} // closed and replaced with each change of the fields above
}

// entry is a batch in the journal.
type entry struct {
	number uint64
	ops    []journal.Operation
	bytes  int64
}

const (
	applyEvery   = 100 * time.Millisecond
	applyBatches = 256      // then it starts at once
	maxBehind    = 1024     // batches; then commits wait
	maxBytes     = 64 << 20 // of batches; likewise
	applyAgain   = time.Second
)

// errBehind is the error of reads and commits while the database cannot be written.
var errBehind = errors.New("committed batches cannot be written to the database")

func (a *applier) change(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	close(a.changed)
	a.changed = make(chan struct{})
}

// push adds a batch that the journal has.
func (a *applier) push(e entry) {
	a.change(func() {
		a.waiting = append(a.waiting, e)
		a.batches++
		a.bytes += e.bytes
		a.last = e.number
		if a.since.IsZero() {
			a.since = time.Now()
		}
	})
}

// until waits for a condition, which is evaluated under the lock.
func (a *applier) until(ctx context.Context, ok func() bool) error {
	for {
		a.mu.Lock()
		done, changed := ok(), a.changed
		a.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wait waits for a condition, and returns an error when the database cannot be written.
func (a *applier) wait(ctx context.Context, ok func() bool) error {
	var failed error
	var there bool
	err := a.until(ctx, func() bool {
		there, failed = ok(), a.failed
		return there || failed != nil
	})
	if err != nil || there {
		return err
	}
	return fmt.Errorf("%w: %w", errBehind, failed)
}

// room waits until the database is less than maxBehind and maxBytes behind.
func (a *applier) room(ctx context.Context) error {
	return a.wait(ctx, func() bool { return a.batches < maxBehind && a.bytes < maxBytes })
}

// lastApplied returns the number of the last applied entry.
func (a *applier) lastApplied() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.applied
}

// age returns how long the oldest batch has waited, within the time of one transaction; 0 = there is none.
func (a *applier) age() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.since.IsZero() {
		return 0
	}
	return time.Since(a.since)
}

// waitAll waits until all batches that were pushed before are applied.
func (a *applier) waitAll(ctx context.Context) error {
	a.mu.Lock()
	want, there := a.last, a.applied >= a.last
	a.mu.Unlock()
	if there {
		return nil
	}
	a.change(func() { a.urgent = true })
	return a.wait(ctx, func() bool { return a.applied >= want })
}

// run applies batches until it is closed and all are applied.
func (a *applier) run() {
	defer close(a.ended)
	ctx := context.Background()
	for {
		_ = a.until(ctx, func() bool { return len(a.waiting) > 0 || a.closing || a.shrink })
		a.giveBack(ctx)
		if a.idle() {
			continue
		}
		soon, cancel := context.WithTimeout(ctx, applyEvery)
		_ = a.until(soon, func() bool { return a.urgent || a.closing || a.batches >= applyBatches || a.bytes >= maxBytes })
		cancel()
		a.mu.Lock()
		taken, batches, bytes, last := a.waiting, a.batches, a.bytes, a.last
		a.waiting, a.urgent = nil, false
		a.mu.Unlock()
		if len(taken) == 0 || !a.insist(ctx, taken) { // closed
			return
		}
		a.change(func() {
			a.batches, a.bytes, a.applied, a.failed = a.batches-batches, a.bytes-bytes, last, nil
			if a.since = time.Now(); len(a.waiting) == 0 {
				a.since = time.Time{}
			}
		})
		if err := a.retire(); errors.Is(err, sqldb.ErrBroken) {
			a.change(func() { a.failed = err })
			return
		} else if err != nil {
			a.log.Warn("journal file not removed, retrying", "error", err)
		}
	}
}

// idle reports whether there is nothing to apply.
func (a *applier) idle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.waiting) == 0 && !a.closing
}

// giveBack shortens the database by some free pages, when it was asked to.
func (a *applier) giveBack(ctx context.Context) {
	asked := false
	a.change(func() { asked, a.shrink = a.shrink, false })
	if !asked {
		return
	}
	if err := a.conn.query(ctx, qGiveBack, nil, nil); err != nil {
		a.log.Warn("free pages not given back, retrying", "error", err)
	}
}

// closingTries limits the attempts while the server stops. Entries that are not applied then stay in the journal.
const closingTries = 3

// insist applies entries with retries without a limit. It reports false when the server stops before.
func (a *applier) insist(ctx context.Context, list []entry) bool {
	for tries := 1; ; tries++ {
		err := a.conn.applyAll(ctx, list, a.aside)
		if err == nil {
			return true
		}
		if failedSync(err) {
			err = a.broken.fail(err)
			a.change(func() { a.failed = err })
			return false
		}
		a.log.Error("applying the journal failed", "retry_in", applyAgain, "error", err)
		closing := false
		a.change(func() { a.failed = err; closing = a.closing })
		if closing && tries >= closingTries {
			return false
		}
		<-time.After(applyAgain)
	}
}

// applyAll applies entries together, or, when the database refuses one of them, each alone. It sets a refused entry
// aside: its callers have their responses already, and it must not block the entries behind it.
func (c *conn) applyAll(ctx context.Context, list []entry, aside func(entry) error) error {
	var ops []journal.Operation
	for i := range list {
		ops = append(ops, list[i].ops...)
	}
	err := c.apply(ctx, ops, list[len(list)-1].number)
	if err == nil || !refused(err) {
		return err
	}
	for _, e := range list {
		err := c.apply(ctx, e.ops, e.number)
		if err != nil && refused(err) {
			c.db.log.Error("journal entry refused and set aside; please report this", "entry", e.number, "error", err)
			if err = aside(e); err == nil {
				err = c.apply(ctx, nil, e.number)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// refused reports whether a retry fails too.
func refused(err error) bool {
	const constraint = 19 // SQLITE_CONSTRAINT
	var e *driver.Error
	return errors.As(err, &e) && e.Code()&0xff == constraint
}

// apply runs operations in one transaction, which also writes the number of their last entry.
func (c *conn) apply(ctx context.Context, ops []journal.Operation, last uint64) (err error) {
	if err := c.query(ctx, "BEGIN IMMEDIATE", nil, nil); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = c.query(ctx, "ROLLBACK", nil, nil)
		}
	}()
	g := gathered{c: c}
	for i := range ops {
		if err := g.take(ctx, &ops[i]); err != nil {
			return err
		}
	}
	if err := g.write(ctx); err != nil {
		return err
	}
	if err := c.query(ctx, qApplied, []any{strconv.FormatUint(last, 10)}, nil); err != nil {
		return err
	}
	if err := c.query(ctx, "COMMIT", nil, nil); err != nil {
		return err
	}
	return c.restartLog(ctx)
}

// qApplied writes the number of the last applied entry.
// The name that programs before this format of the journal read has no number any more: they would take the journal's
// files for torn, and remove them.
const qApplied = "INSERT INTO meta (name, value) VALUES ('journal_applied', $1), ('journal', 'see journal_applied') " +
	"ON CONFLICT (name) DO UPDATE SET value = excluded.value"

// gathered collects rows of many batches, by template, so that few statements write them and replaced rows are not
// written.
type gathered struct {
	c     *conn
	order []*heap
	late  []*journal.Operation // changes of records, of the search index and of the outbox, which run after the rows
}

// heap is the rows of one template.
type heap struct {
	op    journal.Operation
	place map[string]int // index of a row, by its key
}

func (g *gathered) take(ctx context.Context, op *journal.Operation) error {
	shape, ok := g.c.shapes[op.Text]
	if !ok {
		shape = look(op.Text)
		g.c.shapes[op.Text] = shape
	}
	switch {
	case op.Width == 0 && (strings.HasPrefix(op.Text, "UPDATE record ") || strings.Contains(op.Text, " phrase")) ||
		strings.Contains(op.Text, " UPDATE outgoing "):
		g.late = append(g.late, op)
		return nil
	case op.Width == 0 || !shape.rows: // an unknown statement runs after the ones before it
		if err := g.write(ctx); err != nil {
			return err
		}
		return g.c.do(ctx, op)
	}
	i := slices.IndexFunc(g.order, func(h *heap) bool { return h.op.Text == op.Text })
	if i < 0 {
		i = len(g.order)
		g.order = append(g.order, &heap{op: journal.Operation{Text: op.Text, Width: op.Width}, place: map[string]int{}})
	}
	g.order[i].add(op.Values, shape)
	return nil
}

func (h *heap) add(values []any, shape shapeOf) {
	if shape.key == 0 {
		h.op.Values = append(h.op.Values, values...)
		return
	}
	var name []byte
	for row := range slices.Chunk(values, h.op.Width) {
		name = name[:0]
		for _, v := range row[:shape.key] {
			switch v := v.(type) {
			case string:
				name = append(binary.AppendUvarint(name, uint64(len(v))), v...)
			default:
				name = append(fmt.Append(name, v), 0)
			}
		}
		if at, ok := h.place[string(name)]; ok {
			if !shape.keeps {
				copy(h.op.Values[at:], row)
			}
			continue
		}
		h.place[string(name)] = len(h.op.Values)
		h.op.Values = append(h.op.Values, row...)
	}
}

// write runs the gathered operations.
func (g *gathered) write(ctx context.Context) error {
	for _, h := range g.order {
		if err := g.c.do(ctx, &h.op); err != nil {
			return err
		}
	}
	for _, op := range g.late {
		if err := g.c.do(ctx, op); err != nil {
			return err
		}
	}
	g.order, g.late = nil, nil
	return nil
}

func (c *conn) do(ctx context.Context, op *journal.Operation) error {
	if op.Width == 0 {
		return c.query(ctx, op.Text, op.Values, nil)
	}
	for values := op.Values; len(values) > 0; {
		var text string
		var args []any
		text, args, values = c.texts.fill(op.Text, op.Width, values)
		if err := c.query(ctx, text, args, nil); err != nil {
			return err
		}
	}
	return nil
}

// shapeOf describes the effect of a template on rows.
type shapeOf struct {
	rows  bool // it adds rows, or replaces those with the same key
	keeps bool // it leaves those with the same key alone
	key   int  // how many columns at the beginning of a row are the key; 0 = every row is new
}

// look derives the shape of a template; the key is that of its conflict clause.
func look(template string) shapeOf {
	if !strings.HasPrefix(template, "INSERT INTO ") {
		return shapeOf{}
	}
	_, after, ok := strings.Cut(template, "ON CONFLICT (")
	if !ok {
		return shapeOf{rows: true}
	}
	key, _, _ := strings.Cut(after, ")")
	return shapeOf{rows: true, keeps: strings.HasSuffix(template, "DO NOTHING"), key: 1 + strings.Count(key, ",")}
}
