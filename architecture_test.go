package beckon_test

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The ladder of HOUSE rules: a room may import itself and those before it. docs/adr/0001 tells why.
const module = "github.com/beckon-im/beckon"

func ladder() []string {
	return []string{"im", "invite", "protocol", "internal/sqldb", "internal/txn", "internal/store/clock", "internal/store/sqlite", "internal/store/postgres", "internal/store", "internal/store/holder", "internal/store/blocklist", "internal/store/outbox", "internal/store/admin", "internal/store/personaldata", "internal/store/dump", "internal/store/check", "internal/store/storetest", "internal/store/storetest/pgtest", "internal/rpc", "internal/delivery", "internal/address", "internal/gateway/link", "internal/gateway", "internal/room", "internal/signaling/deadline", "internal/signaling/offlinepush", "internal/signaling/snapshot", "internal/signaling", "internal/chat", "internal/group", "internal/user", "internal/files", "internal/privacy", "internal/media", "internal/relay", "internal/hook", "internal/push", "internal/stats", "internal/console", "internal/trace", "internal/api", "web", "", "client/inbox", "client/ledger", "client", "beckontest", "cmd/beckon/bench", "cmd/beckon/sfu", "cmd/beckon"}
}

// source is a Go file of ours.
type source struct {
	path, room  string
	test        bool
	lines, size int
	file        *ast.File
	fset        *token.FileSet
}

func sources(t *testing.T) []source {
	t.Helper()
	var list []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); path != "." && (strings.HasPrefix(n, ".") || n == "node_modules" || n == "testdata" || n == "bin" || path == "test/drivers") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, b, parser.ParseComments)
		if err != nil {
			return err
		}
		room := filepath.ToSlash(filepath.Dir(path))
		if room == "." {
			room = ""
		}
		list = append(list, source{path, room, strings.HasSuffix(path, "_test.go"), strings.Count(string(b), "\n"), len(b), f, fset})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestImportsPointLeft(t *testing.T) {
	order := ladder()
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		here := slices.Index(order, s.room)
		if here < 0 && !strings.HasPrefix(s.room, "test/") && !strings.HasPrefix(s.room, "client/") {
			t.Errorf("%s: the room %q is not on the ladder; place it in ladder()", s.path, s.room)
			continue
		}
		for _, imp := range s.file.Imports {
			path := strings.Trim(imp.Path.Value, `"`)
			if path != module && !strings.HasPrefix(path, module+"/") {
				continue
			}
			to := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
			there := slices.Index(order, to)
			if here >= 0 && there >= here {
				t.Errorf("%s imports %q, which does not stand before it on the ladder", s.path, to)
			}
			if s.room == "client" && to != "client/inbox" && to != "client/ledger" && there > slices.Index(order, "protocol") {
				t.Errorf("%s imports %q; the SDK imports im, invite and protocol only", s.path, to)
			}
		}
	}
}

// TestDoorsToTheOutside keeps each outside thing in the rooms that own it.
func TestDoorsToTheOutside(t *testing.T) {
	doors := map[string][]string{
		`modernc\.org/sqlite|mattn/go-sqlite3|^database/sql$`: {"internal/store/sqlite"},
		`jackc/pgx`:     {"internal/store/postgres"},
		`pressly/goose`: {"internal/store/sqlite", "internal/store/postgres"},
		`centrifugal/|gorilla/websocket|coder/websocket|lxzan/gws`: {"internal/gateway/link", "internal/gateway", "client"},
		`nats-io/`:                         {"internal/delivery", "beckontest"},
		`livekit/`:                         {"internal/media", "cmd/beckon/sfu"},
		`gocloud\.dev|golang\.org/x/image`: {"internal/files"},
		`standard-webhooks/`:               {"internal/hook"},
		`alecthomas/kong|^flag$`:           {"cmd/beckon"},
	}
	pure := map[string]string{"im": `^(time|os|net|net/.*|io|database/.*|context|math/rand.*)$`, "invite": `^(time|os|net|net/.*|io|database/.*|context|math/rand.*)$`}
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.room, "test/") {
			continue
		}
		for _, imp := range s.file.Imports {
			path := strings.Trim(imp.Path.Value, `"`)
			for pattern, rooms := range doors {
				if regexp.MustCompile(pattern).MatchString(path) && !slices.Contains(rooms, s.room) {
					t.Errorf("%s imports %s, which only %v may", s.path, path, rooms)
				}
			}
			if banned, ok := pure[s.room]; ok && regexp.MustCompile(banned).MatchString(path) {
				t.Errorf("%s imports %s; a pure room has no I/O and no clock", s.path, path)
			}
			if strings.Contains(path, "testify") || path == "testing" && s.room != "beckontest" && !strings.HasPrefix(s.room, "internal/store/storetest") {
				t.Errorf("%s imports %s; no test kit in production", s.path, path)
			}
		}
	}
}

// The sizes of DESIGN, in bytes.
const (
	maxFile    = 20_000
	maxPackage = 80_000
)

func TestSizes(t *testing.T) {
	rooms, functions, long := map[string]int{}, 0, 0
	for _, s := range sources(t) {
		if s.size > maxFile && !s.test || s.lines > 500 {
			t.Errorf("%s has %d bytes in %d lines; a file has at most %d, and 500 lines", s.path, s.size, s.lines, maxFile)
		}
		if s.test {
			continue
		}
		rooms[s.room] += s.size
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
			functions++
			if n > 40 {
				long++
			}
			if n > 80 {
				t.Errorf("%s: %s has %d lines; a function has at most 80", s.path, f.Name.Name, n)
			}
		}
	}
	if share := float64(long) / float64(functions); share >= 0.08 {
		t.Errorf("%d of %d functions have over 40 lines: %.1f %%; the house allows 8 %%", long, functions, 100*share)
	}
	over := map[string]int{"protocol": 84_000, "internal/txn": 81_000} // these limits may only fall
	for room, n := range rooms {
		if most := cmp.Or(over[room], maxPackage); n > most {
			t.Errorf("the package %q has %d bytes; it has at most %d", room, n, most)
		}
	}
}

// TestSizesOfScripts holds the TypeScript and JavaScript to the same length.
func TestSizesOfScripts(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if n := d.Name(); err == nil && (n == "node_modules" || n == "dist" || n == ".git") {
				err = filepath.SkipDir
			}
			return err
		}
		if ext := filepath.Ext(path); ext != ".ts" && ext != ".tsx" && ext != ".js" && ext != ".mjs" && ext != ".css" || filepath.Base(path) == "schema.ts" {
			return nil
		}
		b, err := os.ReadFile(path)
		if n := strings.Count(string(b), "\n"); n > 500 {
			t.Errorf("%s has %d lines; a file has at most 500", path, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestManners(t *testing.T) {
	bad := regexp.MustCompile(`(^|/)(util|utils|common|types|models|manager|service)(/|$)`)
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if bad.MatchString(s.room) {
			t.Errorf("%s: the name of this room says nothing", s.path)
		}
		if s.file.Doc != nil && !s.test {
			documented[s.room] = true
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || !s.test {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok {
				if x.Name == "time" && sel.Sel.Name == "Sleep" && !inBubble(s) {
					t.Errorf("%s: a test sleeps; wait for a signal", s.fset.Position(n.Pos()))
				}
				if strings.HasPrefix(sel.Sel.Name, "Skip") && (x.Name == "t" || x.Name == "b" || x.Name == "tb") {
					t.Errorf("%s: a test is skipped; one that cannot run fails and says why", s.fset.Position(n.Pos()))
				}
			}
			return true
		})
		if !s.test {
			noMutableState(t, s)
		}
	}
	for _, room := range ladder() {
		if !documented[room] {
			t.Errorf("the room %q has no package comment that says what it owns and what it never does", room)
		}
	}
}

// inBubble reports whether a test file uses synctest, whose clock moves by itself.
func inBubble(s source) bool {
	return slices.ContainsFunc(s.file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing/synctest"` })
}

// noMutableState refuses package variables, except errors and embedded files, which nobody changes.
func noMutableState(t *testing.T, s source) {
	for _, d := range s.file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			v := spec.(*ast.ValueSpec)
			embedded := g.Doc != nil && strings.Contains(commentText(g.Doc), "go:embed")
			for _, name := range v.Names {
				if name.Name != "_" && !strings.HasPrefix(name.Name, "Err") && !strings.HasPrefix(name.Name, "err") && !embedded {
					t.Errorf("%s: the package variable %s is mutable state", s.fset.Position(v.Pos()), name.Name)
				}
			}
		}
	}
}

func commentText(c *ast.CommentGroup) string {
	var b strings.Builder
	for _, l := range c.List {
		b.WriteString(l.Text)
	}
	return b.String()
}

// TestLinks checks that every relative link of the documents leads somewhere.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			if err == nil {
				err = filepath.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, ".md") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			if to := m[1]; !strings.Contains(to, "://") {
				if _, err := os.Stat(filepath.Join(filepath.Dir(path), to)); err != nil {
					t.Errorf("%s: the link %s leads nowhere", path, to)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
