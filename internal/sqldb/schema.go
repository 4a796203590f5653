package sqldb

import (
	"slices"
	"strconv"
	"strings"
)

// Schema describes one table. Statements, scans, exports and the treatment of personal data follow from it. A new
// column needs a migration for each engine and an entry in the schema; TestEveryTable compares all of them.
type Schema struct {
	Name    string
	Key     []string          // columns of the primary key, which begin Columns
	Columns []string          // all columns, in the order of rows in statements, scans and exports
	Fixed   []string          // columns outside the key that an upsert does not change
	Merge   map[string]string // expressions for columns that an upsert does not simply replace
	NoDump  string            // why an export leaves the table out; empty = the export has it
	Added   []any             // values of the columns at the end of Columns that exports of earlier versions lack
	Personal

	Select string // reads rows by their keys
	Insert string // writes rows of all columns
	Upsert string // writes rows of all columns; a row with a known key replaces its columns that are not Fixed
	Change string // writes rows without the Fixed columns, as Upsert does
	Delete string // removes the row of one key
	Width  int    // columns of a row of Insert and Upsert
	Narrow int    // columns of a row of Change
}

// Personal says how the export and the erasure of a user treat a table.
type Personal struct {
	Export  []string // kinds of entries that an export makes of its rows
	Private []string // columns that no entry has: internal, or another user's data; all without an Export
	Erase   string   // how an erasure changes its rows, or why it keeps them
	None    string   // why the table has no personal data; Export, Private and Erase are empty then
}

// Columns splits a list of columns.
func Columns(list string) []string { return strings.Fields(list) }

// Build computes the statements of a table.
func (s Schema) Build() *Schema {
	s.Width = len(s.Columns)
	if s.Erase != "" && s.Export == nil {
		s.Private = s.Columns
	}
	var changing, set []string
	for _, c := range s.Columns {
		switch value, merged := s.Merge[c]; {
		case slices.Contains(s.Fixed, c):
			continue
		case slices.Contains(s.Key, c):
		case merged:
			set = append(set, c+" = "+value)
		default:
			set = append(set, c+" = excluded."+c)
		}
		changing = append(changing, c)
	}
	s.Narrow = len(changing)
	conflict := " ON CONFLICT (" + strings.Join(s.Key, ", ") + ") DO "
	if len(set) == 0 {
		conflict += "NOTHING"
	} else {
		conflict += "UPDATE SET " + strings.Join(set, ", ")
	}
	s.Insert = s.InsertOf(s.Columns)
	s.Upsert = s.Insert + conflict
	s.Change = s.InsertOf(changing) + conflict
	s.Select = s.Where(matches(s.Key))
	equal := make([]string, len(s.Key))
	for i, c := range s.Key {
		equal[i] = c + " = $" + strconv.Itoa(i+1)
	}
	s.Delete = "DELETE FROM " + s.Name + " WHERE " + strings.Join(equal, " AND ")
	return &s
}

// matches returns the condition of a template that columns equal one of its keys.
func matches(columns []string) string {
	if len(columns) == 1 {
		return columns[0] + " IN (?*)"
	}
	return "(" + strings.Join(columns, ", ") + ") IN (VALUES ?*)"
}

// InsertOf returns a template that writes rows of some columns.
func (s *Schema) InsertOf(columns []string) string {
	return "INSERT INTO " + s.Name + " (" + List("", columns) + ") VALUES ?*"
}

// Where returns a query of whole rows.
func (s *Schema) Where(condition string) string {
	return "SELECT " + List("", s.Columns) + " FROM " + s.Name + " WHERE " + condition
}

// Dump returns the query of an export: all rows in a stable order.
func (s *Schema) Dump() string {
	return "SELECT " + List("", s.Columns) + " FROM " + s.Name + " ORDER BY 1, 2"
}

// Any returns a query with a row when the table has one.
func (s *Schema) Any() string { return "SELECT 1 FROM " + s.Name + " LIMIT 1" }

// Count returns a query of the number of rows.
func (s *Schema) Count() string { return "SELECT count(*) FROM " + s.Name }

// RemoveWhere returns a statement that removes rows.
func (s *Schema) RemoveWhere(condition string) string {
	return "DELETE FROM " + s.Name + " WHERE " + condition
}

// List separates columns by commas, each with an alias of their table unless it is empty.
func List(alias string, columns []string) string {
	if alias == "" {
		return strings.Join(columns, ", ")
	}
	return alias + "." + strings.Join(columns, ", "+alias+".")
}
