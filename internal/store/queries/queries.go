// Package queries holds the statements that are not part of a batch: reads, retention, erasure. They are prepared and
// explained on both engines by TestQueries.
//
// It runs none of them, and does not know the types of their rows.
package queries

import (
	"embed"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/txn"
)

//go:embed *.sql
var files embed.FS

// Statement is one statement of a .sql file.
//
// A line "-- name: UserByID" begins it; "-- fragment: LastRecord" begins a text that others include as {LastRecord}.
// {invitation i} stands for all columns of the table invitation, with the alias i. "-- scan: reason" allows the
// statement to read a whole table. "Index: record_history" in a comment requires that its plan uses this index.
type Statement struct {
	Name, Text string
	File       string
	Scan       string   // why it may read a whole table; empty = it may not
	Indexes    []string // indexes that its plan must use, beside primary keys
}

var statements = load()

// Text returns a statement, on one line. It panics when there is none of this name; TestNames finds such calls.
func Text(name string) string {
	s, ok := statements[name]
	if !ok {
		panic("queries: there is no statement " + name)
	}
	return s.Text
}

// Numbered returns a statement whose mark "?*" is replaced by n parameters, the first of which has a number.
func Numbered(name string, first, n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = "$" + strconv.Itoa(first+i)
	}
	return strings.Replace(Text(name), "?*", strings.Join(list, ", "), 1)
}

// All returns the statements by name.
func All() []Statement {
	return slices.SortedFunc(maps.Values(statements), func(a, b Statement) int { return strings.Compare(a.Name, b.Name) })
}

// Reads returns the queries of methods without a mark "?*", which an engine may prepare. Queries of operators and
// maintenance are rare.
func Reads() (list []string) {
	rare := []string{"admin.sql", "check.sql", "meta.sql", "personaldata.sql", "retention.sql"}
	for _, s := range All() {
		if strings.HasPrefix(s.Text, "SELECT ") && !strings.Contains(s.Text, "?*") && !slices.Contains(rare, s.File) {
			list = append(list, s.Text)
		}
	}
	return list
}

func load() map[string]Statement {
	all, fragments := map[string]Statement{}, lists()
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		panic(err)
	}
	for _, file := range names {
		b, err := files.ReadFile(file)
		if err != nil {
			panic(err)
		}
		for part := range strings.SplitSeq(string(b), "\n\n") {
			s, fragment := parse(part)
			if s.Name == "" {
				continue // a comment on the file
			}
			if _, twice := all[s.Name]; twice {
				panic("queries: two statements are called " + s.Name)
			}
			if s.File = file; fragment {
				fragments[s.Name] = func(string) string { return s.Text }
			} else {
				all[s.Name] = s
			}
		}
	}
	for name, s := range all {
		for macro.MatchString(s.Text) {
			s.Text = macro.ReplaceAllStringFunc(s.Text, func(m string) string {
				key, alias, _ := strings.Cut(m[1:len(m)-1], " ")
				expand, ok := fragments[key]
				if !ok {
					panic("queries: " + name + " has the unknown macro " + m)
				}
				return expand(alias)
			})
		}
		all[name] = s
	}
	return all
}

// index finds the indexes that a comment requires: "Index: outgoing_due and outgoing_line".
var index = regexp.MustCompile(`Index: (\w+(?: and \w+)*)`)

var macro = regexp.MustCompile(`\{\w+( \w+)?\}`)

// lists returns the macros of tables: each takes the alias.
func lists() map[string]func(string) string {
	macros := map[string]func(string) string{}
	for _, s := range txn.Schemas() {
		macros[s.Name] = func(alias string) string { return sqldb.List(alias, s.Columns) }
	}
	for name, columns := range txn.Views() {
		macros[name] = func(alias string) string { return sqldb.List(alias, columns) }
	}
	return macros
}

// parse reads the lines of one statement and joins them, without comments.
func parse(text string) (s Statement, fragment bool) {
	var lines, comments []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if comment, ok := strings.CutPrefix(line, "--"); ok {
			comments = append(comments, strings.TrimSpace(comment))
			key, value, _ := strings.Cut(strings.TrimSpace(comment), ": ")
			switch key {
			case "name":
				s.Name = value
			case "fragment":
				s.Name, fragment = value, true
			case "scan":
				s.Scan = value
			}
			continue
		}
		lines = append(lines, line)
	}
	s.Text = strings.TrimSuffix(strings.TrimSpace(strings.Join(lines, " ")), ";")
	if m := index.FindStringSubmatch(strings.Join(comments, " ")); m != nil {
		s.Indexes = strings.Split(m[1], " and ")
	}
	return s, fragment
}
