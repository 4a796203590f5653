package world

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// Dialect is what differs between the engines' SQL. Everything else is the same text for all of them.
type Dialect struct {
	Begin     string // starts a transaction that will write
	ForUpdate string // appended to the SELECT that locks topics
	Numbered  bool   // generated parameters are $1, $2…; else ?, which SQLite binds faster

	// Index says what to run so that a message is found by the words of a phrase, and no longer by others.
	Index func(Phrase) []Statement
}

// Statement is a text with its arguments.
type Statement struct {
	Text string
	Args []any
}

// Statements for many rows or keys come in sizes 1 to 32, 64 and 128, so that a batch needs few of them and few are
// prepared.
const (
	exact = 32
	chunk = 128
)

// fit is the largest size of statement that n rows fill.
func fit(n int) int {
	switch {
	case n >= chunk:
		return chunk
	case n >= chunk/2:
		return chunk / 2
	}
	return min(n, exact)
}

// Session is one connection with its prepared statements. It is used by one goroutine at a time.
type Session struct {
	Dialect
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	texts map[shape]string
}

// shape names a generated statement: its template and how many rows it has.
type shape struct {
	template string
	rows     int
}

func NewSession(ctx context.Context, db *sql.DB, d Dialect) (*Session, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &Session{Dialect: d, conn: conn, stmts: map[string]*sql.Stmt{}, texts: map[shape]string{}}, nil
}

func (s *Session) Close() error {
	for _, st := range s.stmts {
		_ = st.Close()
	}
	return s.conn.Close()
}

func (s *Session) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if st, ok := s.stmts[query]; ok {
		return st, nil
	}
	st, err := s.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", query, err)
	}
	s.stmts[query] = st
	return st, nil
}

func (s *Session) Exec(ctx context.Context, query string, args ...any) error {
	st, err := s.stmt(ctx, query)
	if err != nil {
		return err
	}
	if _, err = st.ExecContext(ctx, args...); err != nil {
		return fmt.Errorf("exec %.80s: %w", query, err)
	}
	return nil
}

func (s *Session) Query(ctx context.Context, query string, args []any, scan func(*sql.Rows) error) error {
	st, err := s.stmt(ctx, query)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return fmt.Errorf("query %.80s: %w", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("scan %.80s: %w", query, err)
		}
	}
	return rows.Err()
}

// expand replaces the mark "?*" of a template by n tuples of width placeholders each.
func (s *Session) expand(template string, width, n int) string {
	k := shape{template, n}
	if text, ok := s.texts[k]; ok {
		return text
	}
	var b strings.Builder
	p := 0
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		if width > 1 {
			b.WriteByte('(')
		}
		for j := range width {
			if j > 0 {
				b.WriteByte(',')
			}
			p++
			if s.Numbered {
				fmt.Fprintf(&b, "$%d", p)
			} else {
				b.WriteByte('?')
			}
		}
		if width > 1 {
			b.WriteByte(')')
		}
	}
	text := strings.Replace(template, "?*", b.String(), 1)
	s.texts[k] = text
	return text
}

// selectIn runs a template for any number of keys of the given width.
func (s *Session) SelectIn(ctx context.Context, template string, width int, keys []any, scan func(*sql.Rows) error) error {
	for len(keys) > 0 {
		n := fit(len(keys) / width)
		if err := s.Query(ctx, s.expand(template, width, n), keys[:n*width], scan); err != nil {
			return err
		}
		keys = keys[n*width:]
	}
	return nil
}

// write runs a template for any number of rows of the given width.
func (s *Session) Write(ctx context.Context, template string, width int, values []any) error {
	for len(values) > 0 {
		n := fit(len(values) / width)
		if err := s.Exec(ctx, s.expand(template, width, n), values[:n*width]...); err != nil {
			return err
		}
		values = values[n*width:]
	}
	return nil
}
