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
)

// applier writes to the database what the journal has, many batches in each transaction: rows that change often are written
// once, and pages that many rows share as well. Readers wait until what was acknowledged before they came is there.
type applier struct {
	conn   *conn
	log    *slog.Logger
	retire func(applied uint64) error
	ended  chan struct{}

	aside func(entry) error // keeps an entry that the database will not take

	mu      sync.Mutex
	waiting []entry
	batches int    // in waiting, and in what is being applied
	bytes   int64  // of them
	last    uint64 // entry of the journal that waiting ends with
	applied uint64
	urgent  bool // somebody waits
	closing bool
	failed  error         // of the last try
	changed chan struct{} // closed, and made anew, with each change of the above
}

// entry is a batch as the journal has it.
type entry struct {
	number uint64
	ops    []operation
	bytes  int64
}

const (
	applyEvery   = 100 * time.Millisecond
	applyBatches = 256      // then it begins at once
	maxBehind    = 1024     // batches; then the writer waits
	maxBytes     = 64 << 20 // of batches; likewise
	applyAgain   = time.Second
)

// errBehind says that the database cannot be written, so that what it should say is not known.
var errBehind = errors.New("what was committed cannot be written to the database")

func (a *applier) change(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	close(a.changed)
	a.changed = make(chan struct{})
}

// push hands over a batch that the journal has.
func (a *applier) push(e entry) {
	a.change(func() {
		a.waiting = append(a.waiting, e)
		a.batches++
		a.bytes += e.bytes
		a.last = e.number
	})
}

// until waits for a condition, which is looked at under the lock.
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

// wait waits for a condition, and gives up when the database cannot be written.
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

// room waits until the database is not too far behind.
func (a *applier) room(ctx context.Context) error {
	return a.wait(ctx, func() bool { return a.batches < maxBehind && a.bytes < maxBytes })
}

// waitAll waits until the database has everything that was pushed before.
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

// run applies until it is closed and everything is there.
func (a *applier) run() {
	defer close(a.ended)
	ctx := context.Background()
	for {
		_ = a.until(ctx, func() bool { return len(a.waiting) > 0 || a.closing })
		soon, cancel := context.WithTimeout(ctx, applyEvery)
		_ = a.until(soon, func() bool { return a.urgent || a.closing || a.batches >= applyBatches || a.bytes >= maxBytes })
		cancel()
		a.mu.Lock()
		taken, batches, bytes, last := a.waiting, a.batches, a.bytes, a.last
		a.waiting, a.urgent = nil, false
		a.mu.Unlock()
		if len(taken) == 0 || !a.insist(ctx, taken) { // at its end
			return
		}
		a.change(func() { a.batches -= batches; a.bytes -= bytes; a.applied = last; a.failed = nil })
		if err := a.retire(last); err != nil {
			a.log.Warn("a part of the journal that is done with could not be removed; it is tried again", "error", err)
		}
	}
}

// closingTries is how often it is tried when the server stops. What is not applied then stays in the journal.
const closingTries = 3

// insist applies entries however long it takes. It reports false when the server stops before that.
func (a *applier) insist(ctx context.Context, list []entry) bool {
	for tries := 1; ; tries++ {
		err := a.conn.applyAll(ctx, list, a.aside)
		if err == nil {
			return true
		}
		a.log.Error("what was committed could not be written to the database; it is tried again", "error", err)
		closing := false
		a.change(func() { a.failed = err; closing = a.closing })
		if closing && tries >= closingTries {
			return false
		}
		<-time.After(applyAgain)
	}
}

// applyAll applies entries together, or, when the database will not take one of them, each alone, and sets that one aside: it
// cannot be told to whoever was acknowledged any more, and must not take everything after it along.
func (c *conn) applyAll(ctx context.Context, list []entry, aside func(entry) error) error {
	var ops []operation
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
			c.db.log.Error("a commit that was acknowledged contradicts the database and is set aside; please report this", "entry", e.number, "error", err)
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

// refused reports whether the database will never take something.
func refused(err error) bool {
	const constraint = 19 // SQLITE_CONSTRAINT
	var e *driver.Error
	return errors.As(err, &e) && e.Code()&0xff == constraint
}

// apply carries out operations in one transaction, which also notes the entry of the journal that they end with.
func (c *conn) apply(ctx context.Context, ops []operation, last uint64) (err error) {
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
	c.restartLog(ctx)
	return nil
}

// qApplied notes how far the database has the journal.
const qApplied = "INSERT INTO meta (name, value) VALUES ('journal', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value"

// gathered collects rows of many batches, by template, so that few statements write them and what was replaced is not written.
type gathered struct {
	c     *conn
	order []*heap
	late  []*operation // changes of records and of the index of words, which come after the rows
}

// heap is the rows of one template.
type heap struct {
	op    operation
	place map[string]int // of a row, by its key
}

func (g *gathered) take(ctx context.Context, op *operation) error {
	shape, ok := g.c.shapes[op.text]
	if !ok {
		shape = look(op.text)
		g.c.shapes[op.text] = shape
	}
	switch {
	case op.width == 0 && (strings.HasPrefix(op.text, "UPDATE record ") || strings.Contains(op.text, " phrase")):
		g.late = append(g.late, op)
		return nil
	case op.width == 0 || !shape.rows: // whatever it is, it comes after what came before
		if err := g.write(ctx); err != nil {
			return err
		}
		return g.c.do(ctx, op)
	}
	i := slices.IndexFunc(g.order, func(h *heap) bool { return h.op.text == op.text })
	if i < 0 {
		i = len(g.order)
		g.order = append(g.order, &heap{op: operation{text: op.text, width: op.width}, place: map[string]int{}})
	}
	g.order[i].add(op.values, shape)
	return nil
}

func (h *heap) add(values []any, shape shapeOf) {
	if shape.key == 0 {
		h.op.values = append(h.op.values, values...)
		return
	}
	var name []byte
	for row := range slices.Chunk(values, h.op.width) {
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
				copy(h.op.values[at:], row)
			}
			continue
		}
		h.place[string(name)] = len(h.op.values)
		h.op.values = append(h.op.values, row...)
	}
}

// write carries out what was gathered.
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

func (c *conn) do(ctx context.Context, op *operation) error {
	if op.width == 0 {
		return c.query(ctx, op.text, op.values, nil)
	}
	for values := op.values; len(values) > 0; {
		var text string
		var args []any
		text, args, values = c.texts.fill(op.text, op.width, values)
		if err := c.query(ctx, text, args, nil); err != nil {
			return err
		}
	}
	return nil
}

// shapeOf is what the applier knows of a template.
type shapeOf struct {
	rows  bool // it adds rows, or replaces those with the same key
	keeps bool // it leaves those with the same key alone
	key   int  // how many columns at the beginning of a row are the key; 0 = every row is new
}

// look reads from a template what it does with rows: the key is what it calls a conflict.
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
