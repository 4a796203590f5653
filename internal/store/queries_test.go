package store_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/store/sqlite"
	"github.com/beckon-im/beckon/internal/txn"
)

// statements returns every statement of queries, of the schemas, and of the transaction.
func statements() []queries.Statement {
	list := queries.All()
	for _, s := range txn.Schemas() {
		for _, text := range []string{s.Select, s.Insert, s.Upsert, s.Change, s.Delete} {
			list = append(list, queries.Statement{Name: s.Name, Text: text})
		}
	}
	for _, text := range txn.Statements() {
		list = append(list, queries.Statement{Name: "txn", Text: text})
	}
	return list
}

// TestQueriesOnSQLite prepares and explains every statement. A scan of a whole table or of a whole index needs a
// reason, except for an index with a condition, which has few rows.
func TestQueriesOnSQLite(t *testing.T) {
	db, fill := newSQLite(t)
	partial := indexes(t, db)
	needed := map[string]bool{}
	scan := regexp.MustCompile(`^SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?`)
	using := regexp.MustCompile(`USING (?:COVERING )?INDEX (\w+)`)
	used := map[string]bool{}
	for _, s := range statements() {
		if s.Name == "DueSoon" {
			continue // only nodes that share a PostgreSQL ask; SQLite has no index for it
		}
		text, args := s.Text, []any(nil)
		switch highest := parameters(text); {
		case strings.Contains(text, "?*") && highest == 0:
			text, args, _ = fill(text, width(text), samples(text))
		case strings.Contains(text, "?*"):
			text = strings.Replace(text, "?*", "$"+strconv.Itoa(highest+1), 1)
			args = make([]any, highest+1)
		default:
			args = make([]any, highest)
		}
		rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
		if err != nil {
			t.Errorf("%s: %v\n%s", s.Name, err, s.Text)
			continue
		}
		mine := map[string]bool{}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			if m := using.FindStringSubmatch(detail); m != nil {
				mine[m[1]], used[m[1]] = true, true
			}
			if m := scan.FindStringSubmatch(detail); m != nil && isTable(text, m[1]) && !partial[m[2]] {
				if needed[s.Name] = true; s.Scan == "" {
					t.Errorf("%s: %s\n%s", s.Name, detail, s.Text)
				}
			}
		}
		if err := rows.Err(); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		rows.Close()
		requireIndexes(t, s, mine)
	}
	for name := range indexes(t, db) {
		if !used[name] {
			t.Errorf("no statement uses the index %s", name)
		}
	}
	for _, s := range queries.All() {
		if s.Scan != "" && !needed[s.Name] {
			t.Errorf("%s is marked with a scan, and has none", s.Name)
		}
	}
}

// TestUnparkReadsOneEvent: the end of an event reads the next one of its ordering key by its whole key, whatever else
// waits.
func TestUnparkReadsOneEvent(t *testing.T) {
	db, fill := newSQLite(t)
	text, args, _ := fill(queries.Text("OutboxUnpark"), 2, []any{"hook", "key"})
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	if len(plan) == 0 || !strings.HasSuffix(plan[0], "(queue=? AND line=? AND num=?)") {
		t.Errorf("the plan is %q, %v", plan, rows.Err())
	}
}

// requireIndexes checks that the plan of a statement uses the indexes that its comment requires.
func requireIndexes(t *testing.T, s queries.Statement, used map[string]bool) {
	t.Helper()
	for _, name := range s.Indexes {
		if !used[name] {
			t.Errorf("%s does not use the index %s, but %v", s.Name, name, slices.Sorted(maps.Keys(used)))
		}
	}
}

type filler = func(template string, width int, values []any) (text string, args, rest []any)

// newSQLite migrates a new database, and returns it with the engine's form of templates.
func newSQLite(t *testing.T) (*sql.DB, filler) {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	fill := fillOf(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, sqlite.File))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db, fill
}

func fillOf(t *testing.T, s *store.Store) (fill filler) {
	t.Helper()
	if err := s.Once(t.Context(), func(sess *sqldb.Session) error { fill = sess.Fill; return nil }); err != nil {
		t.Fatal(err)
	}
	return fill
}

// indexes returns the indexes of a database beside primary keys; true: it has a condition.
func indexes(t *testing.T, db *sql.DB) map[string]bool {
	t.Helper()
	rows, err := db.QueryContext(t.Context(),
		"SELECT name, sql LIKE '% WHERE %' FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	list := map[string]bool{}
	for rows.Next() {
		var name string
		var partial bool
		if err := rows.Scan(&name, &partial); err != nil {
			t.Fatal(err)
		}
		list[name] = partial
	}
	return list
}

// TestQueriesOnPostgres does the same on PostgreSQL, where scans of tables are as expensive as can be.
func TestQueriesOnPostgres(t *testing.T) {
	db, fill := newPostgres(t)
	partial, used := indexesOfPostgres(t, db), map[string]bool{}
	for _, s := range statements() {
		text := s.Text
		if highest := parameters(text); strings.Contains(text, "?*") && highest == 0 {
			text, _, _ = fill(text, width(text), samples(text))
		} else {
			text = strings.Replace(text, "?*", "$"+strconv.Itoa(highest+1), 1)
		}
		d, err := db.Prepare(t.Context(), "", text)
		if err != nil {
			t.Errorf("%s: %v\n%s", s.Name, err, text)
			continue
		}
		args := make([]string, len(d.ParamOIDs))
		for i, oid := range d.ParamOIDs {
			var known bool
			if args[i], known = samplesOfPostgres()[oid]; !known {
				t.Errorf("%s: the parameter %d has the type %d", s.Name, i+1, oid)
			}
		}
		b, err := explain(t, db, text, args)
		if err != nil {
			t.Errorf("%s: %v\n%s", s.Name, err, text)
			continue
		}
		var plans []struct{ Plan plan }
		if err := json.Unmarshal(b, &plans); err != nil {
			t.Fatal(err)
		}
		mine := map[string]bool{}
		for _, p := range plans {
			p.Plan.indexes(mine)
			for _, found := range p.Plan.scans(partial) {
				if s.Scan == "" {
					t.Errorf("%s: %s\n%s", s.Name, found, s.Text)
				}
			}
		}
		requireIndexes(t, s, mine)
		maps.Copy(used, mine)
	}
	for name := range partial {
		if !used[name] && name != "phrase_words" { // the search by words is built from the request
			t.Errorf("no statement uses the index %s", name)
		}
	}
}

// indexesOfPostgres is indexes on PostgreSQL.
func indexesOfPostgres(t *testing.T, db *pgx.Conn) map[string]bool {
	t.Helper()
	rows, err := db.Query(t.Context(), `SELECT indexname, indexdef LIKE '% WHERE %' FROM pg_indexes i
		WHERE schemaname = current_schema() AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conname = i.indexname)`)
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]bool{}
	var name string
	var partial bool
	collect := func() error { list[name] = partial; return nil }
	if _, err := pgx.ForEachRow(rows, []any{&name, &partial}, collect); err != nil {
		t.Fatal(err)
	}
	return list
}

// newPostgres starts a server with a migrated database, and returns a connection with the engine's form of templates.
func newPostgres(t *testing.T) (*pgx.Conn, filler) {
	t.Helper()
	_, url := newDatabase(t)
	s, err := store.Open(t.Context(), store.Options{Postgres: url})
	if err != nil {
		t.Fatal(err)
	}
	fill := fillOf(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(t.Context()) })
	// few rows per user, so that the planner prefers the indexes by user
	if _, err := db.Exec(t.Context(), `
		INSERT INTO member (group_id, user_id, role, joined_at, joined_seq, gone)
		SELECT 'g' || n, 'u' || n % 500, 300, 1, 1, 0 FROM generate_series(1, 5000) n;
		INSERT INTO invitation (id, inviter, group_id, open, accepted)
		SELECT 'i' || n, 'u' || n % 500, 'g' || n, n % 2, 1 FROM generate_series(1, 5000) n;
		INSERT INTO invitee
		SELECT 'i' || n, 'u' || (n + 1) % 500, 1, n % 2, '', '', '', '', 0, 0, 0, 0 FROM generate_series(1, 5000) n;
		INSERT INTO person SELECT 'u' || n, '', '', '', 0, n % 2 FROM generate_series(1, 5000) n;
		ANALYZE member, invitation, invitee, person`); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"enable_seqscan": "off", "enable_hashjoin": "off",
		"enable_mergejoin": "off", "plan_cache_mode": "force_generic_plan"} {
		if _, err := db.Exec(t.Context(), "SET "+name+" = "+value); err != nil {
			t.Fatal(err)
		}
	}
	return db, fill
}

// explain returns the plan of a statement for any values of its parameters.
func explain(t *testing.T, db *pgx.Conn, text string, args []string) (plan []byte, err error) {
	t.Helper()
	if _, err := db.Exec(t.Context(), "PREPARE explained AS "+text); err != nil {
		return nil, err
	}
	query := "EXPLAIN (FORMAT JSON, COSTS OFF) EXECUTE explained"
	if len(args) > 0 {
		query += "(" + strings.Join(args, ", ") + ")"
	}
	if err := db.QueryRow(t.Context(), query).Scan(&plan); err != nil {
		return nil, err
	}
	_, err = db.Exec(t.Context(), "DEALLOCATE explained")
	return plan, err
}

// samplesOfPostgres has a value for each type of parameters: text, bigint, integer, and arrays of the first two.
func samplesOfPostgres() map[uint32]string {
	return map[uint32]string{25: "'x'", 20: "1", 23: "1", 1009: "ARRAY['x']", 1016: "ARRAY[1]"}
}

// plan is a node of a plan of PostgreSQL.
type plan struct {
	NodeType  string `json:"Node Type"`
	Relation  string `json:"Relation Name"`
	Index     string `json:"Index Name"`
	IndexCond string `json:"Index Cond"`
	Plans     []plan
}

// indexes adds the indexes of the plan.
func (p *plan) indexes(list map[string]bool) {
	if p.Index != "" {
		list[p.Index] = true
	}
	for i := range p.Plans {
		p.Plans[i].indexes(list)
	}
}

// scans describes the scans of whole tables and of whole indexes without a condition.
func (p *plan) scans(partial map[string]bool) (list []string) {
	if p.NodeType == "Seq Scan" {
		list = append(list, "Seq Scan on "+p.Relation)
	}
	if p.Index != "" && p.IndexCond == "" && !partial[p.Index] {
		list = append(list, fmt.Sprintf("%s of all of %s", p.NodeType, p.Index))
	}
	for i := range p.Plans {
		list = append(list, p.Plans[i].scans(partial)...)
	}
	return list
}

var (
	number = regexp.MustCompile(`\$(\d+)`)
	tuple  = regexp.MustCompile(`(?:\(([^()]*)\)|(\S+)) (?:IN \(VALUES|IN \(|AS \(VALUES|VALUES) ?\?\*`)
	source = regexp.MustCompile(`(?:FROM|JOIN|UPDATE|INTO) (\w+)(?: (\w+))?`)
)

// parameters returns the highest number of a parameter.
func parameters(text string) (highest int) {
	for _, m := range number.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(m[1])
		highest = max(highest, n)
	}
	return highest
}

// tupleOf returns the columns to which a template gives values.
func tupleOf(template string) []string {
	m := tuple.FindStringSubmatch(template)
	if m == nil {
		return nil
	}
	return strings.Split(m[1]+m[2], ", ")
}

func width(template string) int { return len(tupleOf(template)) }

// samples returns a row for a template.
func samples(template string) (row []any) {
	for _, c := range tupleOf(template) {
		_, column, qualified := strings.Cut(c, ".")
		if !qualified {
			column = c
		}
		if isNumber(template, column) {
			row = append(row, int64(1))
		} else {
			row = append(row, "x")
		}
	}
	return row
}

// isNumber reports whether a column has numbers; TestEveryTable compares the list with the migrations.
func isNumber(template, column string) bool {
	switch column {
	case "revoked":
		return strings.Contains(template, "person")
	case "role":
		return !strings.Contains(template, "seat")
	}
	return slices.Contains(numbers(), column)
}

// numbers lists the columns of type bigint.
func numbers() []string {
	return strings.Fields(`head floor counted seq at ord pair flags version readers timeout accept_limit min_ring
		created_at deadline party due last open accepted rejected cancelled timed_out digested state
		ringing_at decided_at deaf expires_at members dismissed muted max_members role joined_at
		joined_seq gone muted_until banned_until marks own own_read read_seq read_ord pinned_at opt
		hidden_seq cleared_seq peer_read blocked_at applied_at handled_at pushes size width height
		until entered ended_at empty_at check_at opened_at began_at ms present total dropped seen_at
		video first_at left_at num tries n oldest used_at stage rewritten memberships files owned_until
		accepted_at acknowledged_at failed_at failures`)
}

// isTable reports whether a name in a plan is that of a table, or an alias of one.
func isTable(text, name string) bool {
	for _, m := range source.FindAllStringSubmatch(text, -1) {
		known := slices.ContainsFunc(txn.Schemas(), func(s *txn.Schema) bool { return s.Name == m[1] })
		if known && (m[1] == name || m[2] == name) {
			return true
		}
	}
	return false
}
