package retention_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/beckon-im/beckon/internal/store/retention"
	"github.com/beckon-im/beckon/internal/txn"
)

// TestEveryTable: each table of both engines has a description of the removal of its rows, and docs/operating.md has
// the same list.
func TestEveryTable(t *testing.T) {
	listed, rows := map[string]bool{}, []string{}
	for _, r := range retention.Tables() {
		listed[r.Name] = true
		rows = append(rows, fmt.Sprintf("| `%s` | %s |", r.Name, r.Removal))
	}
	known := []string{"phrase"} // the search index of each engine
	for _, s := range txn.Schemas() {
		known = append(known, s.Name)
	}
	column := regexp.MustCompile(`(?m)^(?:index )?(\w+)\.\w+`)
	for _, engine := range []string{"sqlite", "postgres"} {
		b, err := os.ReadFile("../" + engine + "/schema.txt")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range column.FindAllStringSubmatch(string(b), -1) {
			known = append(known, m[1])
		}
	}
	for _, name := range known {
		if !listed[name] {
			t.Errorf("Tables does not state what removes the rows of %s", name)
			listed[name] = true
		}
	}
	for name := range listed {
		if !slices.Contains(known, name) {
			t.Errorf("Tables has %s, which is no table", name)
		}
	}
	b, err := os.ReadFile("../../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	if table := strings.Join(rows, "\n"); !strings.Contains(string(b), table+"\n") {
		t.Errorf("docs/operating.md does not have this table:\n%s", table)
	}
}
