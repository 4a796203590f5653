package store_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/dump"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/txn"
)

// TestEveryTable compares the schemas with the migrations of both engines, with an export, and with the statements that
// export and erase personal data. A new table or column fails until each of them has it.
func TestEveryTable(t *testing.T) {
	for _, s := range txn.Schemas() {
		if len(s.Key) == 0 || !slices.Equal(s.Columns[:len(s.Key)], s.Key) {
			t.Errorf("%s: the columns %v do not begin with the key %v, as the journal of SQLite needs", s.Name, s.Columns, s.Key)
		}
		for _, c := range s.Fixed {
			if !slices.Contains(s.Columns, c) || slices.Contains(s.Key, c) {
				t.Errorf("%s: the fixed column %s is none outside the key", s.Name, c)
			}
		}
	}
	t.Run("SQLite", everyTableOnSQLite)
	t.Run("PostgreSQL", everyTableOnPostgres)
	t.Run("export", everyTableIsExported)
	t.Run("personal data", everyTableIsPersonalOrNot)
}

// column is a column of a migrated database.
type column struct {
	table, name string
	isNumber    bool
	key         int // its place in the primary key, from 1; 0 = it is not in there
}

// compare compares the schemas with the columns of a database, except tables of an engine.
func compare(t *testing.T, have []column, engine ...string) {
	t.Helper()
	columns, keys := map[string][]string{}, map[string]map[int]string{}
	for _, c := range have {
		if slices.ContainsFunc(engine, func(e string) bool { return strings.HasPrefix(c.table, e) }) {
			continue
		}
		columns[c.table] = append(columns[c.table], c.name)
		if keys[c.table] == nil {
			keys[c.table] = map[int]string{}
		}
		if c.key > 0 {
			keys[c.table][c.key] = c.name
		}
		if is := isNumber(c.table, c.name); is != c.isNumber {
			t.Errorf("%s.%s is a number: %v; numbers() in queries_test.go says %v", c.table, c.name, c.isNumber, is)
		}
	}
	for _, s := range txn.Schemas() {
		want, got := slices.Sorted(slices.Values(s.Columns)), slices.Sorted(slices.Values(columns[s.Name]))
		if !slices.Equal(want, got) {
			t.Errorf("%s: the schema has the columns %v, the migrations make %v", s.Name, want, got)
		}
		for i, c := range s.Key {
			if keys[s.Name][i+1] != c || len(keys[s.Name]) != len(s.Key) {
				t.Errorf("%s: the schema has the key %v, the migrations make %v", s.Name, s.Key, keys[s.Name])
			}
		}
		delete(columns, s.Name)
	}
	for table := range columns {
		t.Errorf("the migrations make the table %s, which has no schema", table)
	}
}

func everyTableOnSQLite(t *testing.T) {
	db, _ := newSQLite(t)
	rows, err := db.QueryContext(t.Context(), `SELECT m.name, c.name, c.type = 'BIGINT', c.pk
		FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var have []column
	for rows.Next() {
		var c column
		if err := rows.Scan(&c.table, &c.name, &c.isNumber, &c.key); err != nil {
			t.Fatal(err)
		}
		have = append(have, c)
	}
	compare(t, have, "sqlite_", "goose_", "phrase") // phrase is the search index of the engine
}

func everyTableOnPostgres(t *testing.T) {
	db, _ := newPostgres(t)
	rows, err := db.Query(t.Context(), `SELECT c.table_name, c.column_name, c.data_type = 'bigint',
		coalesce(k.ordinal_position, 0)
		FROM information_schema.columns c LEFT JOIN information_schema.table_constraints p
		ON p.table_schema = c.table_schema AND p.table_name = c.table_name AND p.constraint_type = 'PRIMARY KEY'
		LEFT JOIN information_schema.key_column_usage k
		ON k.constraint_name = p.constraint_name AND k.column_name = c.column_name
		WHERE c.table_schema = 'public'`)
	if err != nil {
		t.Fatal(err)
	}
	have, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c column, err error) {
		return c, row.Scan(&c.table, &c.name, &c.isNumber, &c.key)
	})
	if err != nil {
		t.Fatal(err)
	}
	compare(t, have, "goose_", "phrase", "writer") // writer has the state of the engine's connections
}

// everyTableIsExported writes a row into each table, and compares an export with the schemas and with its own import.
func everyTableIsExported(t *testing.T) {
	full, empty := newStore(t), newStore(t)
	if err := full.Once(t.Context(), func(sess *sqldb.Session) error {
		for _, s := range dump.Tables() {
			row := make([]any, s.Width)
			for i, c := range s.Columns {
				if row[i] = ""; isNumber(s.Name, c) {
					row[i] = int64(i + 1)
				}
			}
			if err := sess.Write(t.Context(), s.Upsert, s.Width, row); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	if _, err := dump.Export(t.Context(), full, &first); err != nil {
		t.Fatal(err)
	}
	find := func(string, int64, []byte) *sqldb.Phrase { return nil }
	if _, err := dump.Import(t.Context(), empty, bytes.NewReader(first.Bytes()), false, find); err != nil {
		t.Fatal(err)
	}
	if _, err := dump.Export(t.Context(), empty, &second); err != nil {
		t.Fatal(err)
	}
	var table string
	widths := map[string]int{}
	firstLines, secondLines := bytes.Split(first.Bytes(), []byte("\n")), bytes.Split(second.Bytes(), []byte("\n"))
	if len(firstLines) != len(secondLines) {
		t.Fatalf("the export has %d lines, that of its import %d", len(firstLines), len(secondLines))
	}
	for i, line := range firstLines[:len(firstLines)-1] {
		if i > 0 && !bytes.Equal(line, secondLines[i]) { // the first line has the epoch of the open store
			t.Errorf("the export has %s, that of its import %s", line, secondLines[i])
		}
		var l struct {
			Table string
			Row   []any
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		if l.Table != "" {
			table = l.Table
		} else if l.Row != nil {
			widths[table] = len(l.Row)
		}
	}
	for _, s := range txn.Schemas() {
		if want := s.Width; s.NoDump == "" && widths[s.Name] != want || s.NoDump != "" && widths[s.Name] != 0 {
			t.Errorf("%s: a row of the export has %d values, of the schema %d (not exported: %q)", s.Name, widths[s.Name], want,
				s.NoDump)
		}
	}
}

// TestImportOfOlderExports: rows of an export of an earlier version lack the columns at the end, which then have the
// values of the schema: unknown.
func TestImportOfOlderExports(t *testing.T) {
	var export, back bytes.Buffer
	export.WriteString(`{"beckonExport":2,"epoch":"e"}` + "\n")
	rows := 0
	var ends []string // of the rows after the import
	for _, s := range dump.Tables() {
		if len(s.Added) == 0 {
			continue
		}
		row := make([]any, s.Width-len(s.Added))
		for i, c := range s.Columns[:len(row)] {
			if row[i] = ""; isNumber(s.Name, c) {
				row[i] = i + 1
			}
		}
		b, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&export, `{"table":%q}`+"\n"+`{"row":%s}`+"\n", s.Name, b)
		added, err := json.Marshal(s.Added)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, ","+string(added[1:])+"}\n")
		rows++
	}
	fmt.Fprintf(&export, `{"end":%d}`+"\n", rows+1)
	s := newStore(t)
	find := func(string, int64, []byte) *sqldb.Phrase { return nil }
	if n, err := dump.Import(t.Context(), s, &export, false, find); err != nil || n != int64(rows) || rows == 0 {
		t.Fatalf("%d of %d rows, %v", n, rows, err)
	}
	if _, err := dump.Export(t.Context(), s, &back); err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range bytes.Lines(back.Bytes()) {
		if bytes.HasPrefix(line, []byte(`{"row"`)) {
			if found < rows && !bytes.HasSuffix(line, []byte(ends[found])) {
				t.Errorf("the import has %s, which does not end with %s", line, ends[found])
			}
			found++
		}
	}
	if found != rows {
		t.Errorf("%d rows of %d were imported", found, rows)
	}
}

func newStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

var changes = regexp.MustCompile(`^(?:DELETE FROM|UPDATE) (\w+)`)

// everyTableIsPersonalOrNot compares the schemas with the statements of personaldata.sql: each column is exported or
// private, and the erasure changes the tables that say so.
func everyTableIsPersonalOrNot(t *testing.T) {
	exported, kinds, erased := map[string][]string{}, map[string][]string{}, map[string]bool{}
	for _, q := range queries.All() {
		if q.File != "personaldata.sql" {
			continue
		}
		if m := changes.FindStringSubmatch(q.Text); m != nil {
			erased[m[1]] = true
		}
		if kind, ok := strings.CutPrefix(q.Name, "Export"); ok && !strings.HasSuffix(kind, "Next") {
			kind = strings.ToLower(kind[:1]) + kind[1:]
			for table, columns := range selected(q.Text) {
				exported[table] = append(exported[table], columns...)
				kinds[table] = append(kinds[table], kind)
			}
		}
	}
	for _, s := range txn.Schemas() {
		if s.None != "" {
			if len(s.Export)+len(s.Private) > 0 || s.Erase != "" || len(kinds[s.Name]) > 0 {
				t.Errorf("%s is said to have no personal data (%s), and is exported or erased", s.Name, s.None)
			}
			continue
		}
		want, got := slices.Sorted(slices.Values(s.Export)), slices.Sorted(slices.Values(kinds[s.Name]))
		if !slices.Equal(want, got) {
			t.Errorf("%s: the schema says that %v export it, and %v do", s.Name, want, got)
		}
		for _, c := range s.Columns {
			if is, private := slices.Contains(exported[s.Name], c), slices.Contains(s.Private, c); is == private {
				t.Errorf("%s.%s: exported: %v, private: %v; one of them must be true", s.Name, c, is, private)
			}
		}
		if s.Erase == "" || strings.HasPrefix(s.Erase, "kept") == erased[s.Name] {
			t.Errorf("%s: the erasure changes it: %v; the schema says %q", s.Name, erased[s.Name], s.Erase)
		}
	}
}

// selected returns the columns that a query reads, by table.
func selected(text string) map[string][]string {
	read, aliases, main := map[string][]string{}, map[string]string{}, ""
	for i, m := range source.FindAllStringSubmatch(text, -1) {
		if aliases[m[2]] = m[1]; i == 0 {
			main = m[1]
		}
		read[m[1]] = nil
	}
	list, _, _ := strings.Cut(strings.TrimPrefix(text, "SELECT "), " FROM ")
	for c := range strings.SplitSeq(list, ", ") {
		if alias, name, qualified := strings.Cut(c, "."); qualified {
			read[aliases[alias]] = append(read[aliases[alias]], name)
		} else {
			read[main] = append(read[main], c)
		}
	}
	return read
}
