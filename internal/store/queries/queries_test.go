package queries_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/beckon-im/beckon/internal/store/queries"
)

// TestNames compares the statements with the calls of Text and Numbered in the program.
func TestNames(t *testing.T) {
	unused := map[string]bool{}
	for _, s := range queries.All() {
		unused[s.Name] = true
	}
	call := regexp.MustCompile(`queries\.(Text|Numbered)\(([^),]*)`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range call.FindAllStringSubmatch(string(b), -1) {
			name, constant := strings.CutPrefix(strings.TrimSuffix(m[2], `"`), `"`)
			if !constant {
				t.Errorf("%s: %s takes a variable: this test cannot find its name", path, m[0])
			} else if _, known := unused[name]; !known {
				t.Errorf("%s: there is no statement %s", path, name)
			} else {
				unused[name] = false
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, is := range unused {
		if is {
			t.Errorf("the statement %s is not used", name)
		}
	}
}

// TestBits keeps the flags of rows readable: a bit is tested with &, unless an index has another form.
func TestBits(t *testing.T) {
	for _, s := range queries.All() {
		if strings.Contains(s.Text, "% 2") && s.Name != "Undigested" && s.Name != "OnlineInvitationsDue" {
			t.Errorf("%s tests a bit with %%; use &", s.Name)
		}
	}
}
