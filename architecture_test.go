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
	"unicode/utf8"
)

// module is the path of this module.
const module = "github.com/beckon-im/beckon"

// ladder lists the packages in order: each may import those before it (docs/adr/0001).
func ladder() []string {
	return []string{"im", "invite", "protocol", "protocol/pushcheck", "protocol/operator",
		"internal/view", "internal/listen", "internal/freeport", "internal/sqldb", "internal/tables", "internal/txn",
		"internal/store/clock", "internal/store/queries",
		"internal/store/sqlite/journal", "internal/store/sqlite/pagesum", "internal/store/sqlite", "internal/store/postgres",
		"internal/store", "internal/store/holder", "internal/store/reaction",
		"internal/store/receipt",
		"internal/store/blocklist", "internal/store/userstate", "internal/store/outbox", "internal/store/admin",
		"internal/store/retention",
		"internal/store/personaldata", "internal/store/dump", "internal/store/check", "internal/store/datadir",
		"internal/store/storetest", "internal/store/storetest/pgtest",
		"internal/auth", "internal/rpc", "internal/delay", "internal/delivery", "internal/presence", "internal/address",
		"internal/gateway/link",
		"internal/gateway", "internal/room",
		"internal/signaling/deadline", "internal/signaling/offlinepush", "internal/signaling/snapshot", "internal/signaling",
		"internal/chat", "internal/group", "internal/user", "internal/files", "internal/privacy", "internal/media",
		"internal/relay", "internal/hook/sink", "internal/hook",
		"internal/push/health", "internal/push", "internal/stats", "internal/console",
		"internal/trace", "internal/contract", "internal/api", "web", "",
		"client/forward", "client/upload", "client/internal/failure", "client/internal/connection",
		"client/internal/transport", "client/internal/repeat", "client/internal/transfer", "client/internal/filestore",
		"client/internal/hold", "client/internal/inbox", "client/internal/ledger", "client/internal/mailbox",
		"client/internal/token", "client/appserver", "client",
		"beckontest", "cmd/beckon/bench",
		"cmd/beckon/sfu", "cmd/beckon/memory", "cmd/beckon/listener", "cmd/beckon/mediacheck", "cmd/beckon/datadir",
		"cmd/beckon/settings", "cmd/beckon"}
}

// source is a Go file of ours.
type source struct {
	path, pkg string
	test      bool
	size      int
	text      string
	file      *ast.File
	fset      *token.FileSet
}

func sources(t *testing.T) []source {
	t.Helper()
	var list []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); path != "." && (strings.HasPrefix(n, ".") || n == "node_modules" || n == "testdata" ||
				n == "bin" || path == "test/drivers") {
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
		pkg := filepath.ToSlash(filepath.Dir(path))
		if pkg == "." {
			pkg = ""
		}
		list = append(list, source{path, pkg, strings.HasSuffix(path, "_test.go"), len(b), string(b), f, fset})
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
		here := slices.Index(order, s.pkg)
		if here < 0 && !regexp.MustCompile("^(test|client|examples)/").MatchString(s.pkg) {
			t.Errorf("%s: the package %q is not in ladder(); add it where its imports allow", s.path, s.pkg)
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
				t.Errorf("%s imports %q, which does not come before it in ladder()", s.path, to)
			}
			if s.pkg == "client" && !strings.HasPrefix(to, "client/") && there > slices.Index(order, "protocol/pushcheck") {
				t.Errorf("%s imports %q; the SDK imports im, invite, protocol and its own packages only", s.path, to)
			}
		}
	}
}

// TestTestsOfTheSDK keeps the server out of the tests of the SDK: go mod tidy of a program that uses the SDK would
// record the checksums of all libraries of the server (docs/adr/0019).
func TestTestsOfTheSDK(t *testing.T) {
	shared := []string{"im", "invite", "protocol", "protocol/pushcheck"}
	ofSDK := func(pkg string) bool {
		return slices.Contains(shared, pkg) || pkg == "client" || strings.HasPrefix(pkg, "client/")
	}
	for _, s := range sources(t) {
		if !s.test || !ofSDK(s.pkg) {
			continue
		}
		for _, imp := range s.file.Imports {
			path := strings.Trim(imp.Path.Value, `"`)
			rest, ours := strings.CutPrefix(path, module)
			if ours && !ofSDK(strings.TrimPrefix(rest, "/")) {
				t.Errorf("%s imports %q; tests of the SDK import the SDK only", s.path, path)
			}
		}
	}
}

// TestOutsideImports allows each outside library only in the packages that own it.
func TestOutsideImports(t *testing.T) {
	owners := map[string][]string{
		`modernc\.org/sqlite/lib|modernc\.org/libc`:            {"internal/store/sqlite/pagesum"},
		`modernc\.org/sqlite$|mattn/go-sqlite3|^database/sql$`: {"internal/store/sqlite"},
		`jackc/pgx`:     {"internal/store/postgres"},
		`pressly/goose`: {"internal/store/sqlite", "internal/store/postgres"},
		`centrifugal/|gorilla/websocket|coder/websocket|lxzan/gws`: {"internal/gateway/link", "internal/gateway", "client",
			"client/internal/transport", "cmd/beckon/mediacheck"},
		`nats-io/`:                         {"internal/delivery", "internal/hook/sink", "beckontest"},
		`pelletier/go-toml`:                {"cmd/beckon/settings"},
		`twmb/franz-go`:                    {"internal/hook/sink"},
		`livekit/`:                         {"internal/media", "cmd/beckon/sfu", "cmd/beckon/mediacheck"},
		`gocloud\.dev|golang\.org/x/image`: {"internal/files"},
		`standard-webhooks/`:               {"internal/hook", "client/appserver"},
		`alecthomas/kong|^flag$`:           {"cmd/beckon/settings", "cmd/beckon"},
	}
	pure := map[string]string{"im": `^(time|os|net|net/.*|io|database/.*|context|math/rand.*)$`,
		"invite": `^(time|os|net|net/.*|io|database/.*|context|math/rand.*)$`}
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.pkg, "test/") || strings.HasPrefix(s.pkg, "examples/") {
			continue
		}
		for _, imp := range s.file.Imports {
			path := strings.Trim(imp.Path.Value, `"`)
			for pattern, owner := range owners {
				if regexp.MustCompile(pattern).MatchString(path) && !slices.Contains(owner, s.pkg) {
					t.Errorf("%s imports %s, which only %v may", s.path, path, owner)
				}
			}
			if banned, ok := pure[s.pkg]; ok && regexp.MustCompile(banned).MatchString(path) {
				t.Errorf("%s imports %s; a pure package has no I/O and no clock", s.path, path)
			}
			if strings.Contains(path, "testify") || path == "testing" && s.pkg != "beckontest" &&
				!strings.HasPrefix(s.pkg, "internal/store/storetest") {
				t.Errorf("%s imports %s; test libraries stay in tests", s.path, path)
			}
		}
	}
}

// The sizes of DESIGN, in bytes and columns.
const (
	maxFile     = 20_000
	maxTestFile = 28_000
	maxPackage  = 80_000
)

func TestSizes(t *testing.T) {
	sizes, functions, long := map[string]int{}, 0, 0
	for _, s := range sources(t) {
		if s.size > maxFile && !s.test || s.size > maxTestFile {
			t.Errorf("%s has %d bytes; a file has at most %d", s.path, s.size, maxFile)
		}
		if s.test {
			continue
		}
		sizes[s.pkg] += s.size
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
		t.Errorf("%d of %d functions have over 40 lines: %.1f %%; at most 8 %%", long, functions, 100*share)
	}
	// these limits may only fall
	over := map[string]int{"internal/txn": 84_100}
	for pkg, n := range sizes {
		if most := cmp.Or(over[pkg], maxPackage); n > most {
			t.Errorf("the package %q has %d bytes; it has at most %d", pkg, n, most)
		}
	}
}

// maxScriptColumns is the most columns of a line of TypeScript, JavaScript or CSS. Prettier wraps code at 120, but not
// strings and comments.
const maxScriptColumns = 140

// svgPath matches the path of an icon.
var svgPath = regexp.MustCompile(`'M[0-9. ]+[A-Za-z0-9 .-]+z'`)

// TestSizesOfScripts limits the bytes and columns of TypeScript, JavaScript and CSS.
func TestSizesOfScripts(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if n := d.Name(); err == nil && (n == "node_modules" || n == "dist" || n == ".git") {
				err = filepath.SkipDir
			}
			return err
		}
		ext := filepath.Ext(path)
		if !slices.Contains([]string{".ts", ".tsx", ".js", ".mjs", ".css"}, ext) || filepath.Base(path) == "schema.ts" {
			return nil
		}
		b, err := os.ReadFile(path)
		most := maxFile
		if strings.HasSuffix(strings.TrimSuffix(path, ext), ".test") {
			most = maxTestFile
		}
		if len(b) > most {
			t.Errorf("%s has %d bytes; a file has at most %d", path, len(b), most)
		}
		for n, line := range strings.Split(string(b), "\n") {
			if c := utf8.RuneCountInString(line); c > maxScriptColumns && !svgPath.MatchString(line) {
				t.Errorf("%s:%d has %d columns; a line has at most %d", path, n+1, c, maxScriptColumns)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestConventions checks package names and comments, sleeps and skips in tests, and package variables.
func TestConventions(t *testing.T) {
	bad := regexp.MustCompile(`(^|/)(util|utils|common|types|models|manager|service)(/|$)`)
	documented := map[string]bool{}
	list := sources(t)
	assigned := assignedNames(list)
	for _, s := range list {
		if bad.MatchString(s.pkg) {
			t.Errorf("%s: this package name says nothing", s.path)
		}
		if s.file.Doc != nil && !s.test {
			documented[s.pkg] = true
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
			noMutableState(t, s, assigned)
		}
	}
	for _, pkg := range ladder() {
		if !documented[pkg] {
			t.Errorf("the package %q has no package comment", pkg)
		}
	}
}

// inBubble reports whether a test file uses synctest, whose clock moves by itself.
func inBubble(s source) bool {
	return slices.ContainsFunc(s.file.Imports,
		func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing/synctest"` })
}

// noMutableState refuses package variables that are assigned. Errors and embedded files are constants in all but the
// keyword.
func noMutableState(t *testing.T, s source, assigned map[string]bool) {
	for _, d := range s.file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names {
				if name.Name != "_" && assigned[s.pkg+"."+name.Name] {
					t.Errorf("%s: the package variable %s is assigned: it is mutable state", s.fset.Position(name.Pos()), name.Name)
				}
			}
		}
	}
}

// assignedNames returns package.name for every name that a package assigns, increments or takes the address of, outside
// of declarations.
func assignedNames(list []source) map[string]bool {
	names := map[string]bool{}
	for _, s := range list {
		if s.test {
			continue
		}
		note := func(e ast.Expr) {
			for {
				switch x := e.(type) {
				case *ast.SelectorExpr:
					e = x.X
					continue
				case *ast.IndexExpr:
					e = x.X
					continue
				case *ast.Ident:
					if x.Obj == nil || x.Obj.Decl == nil { // not a local variable of this file
						names[s.pkg+"."+x.Name] = true
					} else if _, local := x.Obj.Decl.(*ast.ValueSpec); local {
						names[s.pkg+"."+x.Name] = true
					}
				}
				return
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, e := range n.Lhs {
						note(e)
					}
				}
			case *ast.IncDecStmt:
				note(n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					note(n.X)
				}
			}
			return true
		})
	}
	return names
}

// TestPackageTable compares the table of packages in ARCHITECTURE.md with the packages.
func TestPackageTable(t *testing.T) {
	b, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+) \\|").FindAllStringSubmatch(string(b), -1) {
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			if name[1] == "beckon" {
				name[1] = "" // the root
			}
			listed = append(listed, name[1])
		}
	}
	for _, pkg := range ladder() {
		if !slices.Contains(listed, pkg) && !strings.HasPrefix(pkg, "internal/store/storetest") {
			t.Errorf("ARCHITECTURE.md does not list the package %q", pkg)
		}
	}
	for _, name := range listed {
		if _, err := os.Stat(filepath.Join(".", name)); err != nil {
			t.Errorf("ARCHITECTURE.md lists %q, which does not exist", name)
		}
	}
}

// TestCallbacks keeps callbacks where DESIGN allows them: methods return transactions.
func TestCallbacks(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || !strings.HasPrefix(s.pkg, "internal/") ||
			slices.Contains([]string{"internal/rpc", "internal/store", "internal/api"}, s.pkg) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			f, ok := n.(*ast.FuncType)
			if !ok {
				return true
			}
			for _, p := range f.Params.List {
				if _, isFunc := p.Type.(*ast.FuncType); isFunc && len(p.Names) == 1 && p.Names[0].Name == "done" {
					t.Errorf("%s: a done callback; return a value, or an rpc.Txn", s.fset.Position(p.Pos()))
				}
			}
			return true
		})
	}
}

// TestSQLPlaces keeps statements where TestQueries finds them: in internal/store/queries, in the schemas, and in the
// engines.
func TestSQLPlaces(t *testing.T) {
	statement := regexp.MustCompile(
		"(?s)^[`\"]\\s*(SELECT\\s+[\\w$(*]|INSERT INTO\\s|INSERT OR\\s|UPDATE\\s+\\S+\\s+SET\\s|DELETE FROM\\s)")
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.pkg, "internal/store/storetest") ||
			slices.Contains([]string{"internal/store/sqlite", "internal/store/postgres"}, s.pkg) ||
			regexp.MustCompile(`^internal/(txn|sqldb)/schema[a-z_]*\.go$`).MatchString(s.path) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && statement.MatchString(lit.Value) {
				t.Errorf("%s: a statement in Go: %.60s; name it in internal/store/queries", s.fset.Position(n.Pos()), lit.Value)
			}
			return true
		})
	}
}

// maxBackground limits the contexts without a caller, in the packages of the program. It may only fall: a request has a
// context, and only work that outlives its caller begins one of its own.
const maxBackground = 36

// TestBackground counts the contexts that begin in the program.
func TestBackground(t *testing.T) {
	count := 0
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.pkg, "test/") || s.pkg == "beckontest" ||
			strings.HasPrefix(s.pkg, "internal/store/storetest") ||
			strings.HasPrefix(s.pkg, "examples") {
			continue
		}
		count += strings.Count(s.text, "context.Background()")
	}
	if count > maxBackground {
		t.Errorf("context.Background() is used %d times; at most %d", count, maxBackground)
	}
}

// TestRoot keeps the root free of tests: those of the whole server are in test/scenario.
func TestRoot(t *testing.T) {
	tests, err := filepath.Glob("*_test.go")
	if err != nil || len(tests) > 3 {
		t.Errorf("the root has %d test files, %v; at most 3", len(tests), err)
	}
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
