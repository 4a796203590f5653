package beckon_test

import (
	"go/ast"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// dialect are words that comments of this field hardly use, with the most that 1,000 words of our comments may have.
// The limits may only fall.
func dialect() []struct {
	name  string
	words *regexp.Regexp
	most  float64
} {
	return []struct {
		name  string
		words *regexp.Regexp
		most  float64
	}{
		{"what", regexp.MustCompile(`(?i)^what$`), 0.5},
		{"who, whom, whose", regexp.MustCompile(`(?i)^(who|whom|whose|whoever)$`), 1},
		{"somebody, nobody, everybody", regexp.MustCompile(`(?i)^(some|no|every|any)body('s|’s)?$`), 0.1},
		{"tell, hear, say", regexp.MustCompile(`(?i)^(tell|tells|told|hear|hears|heard|say|says|said)$`), 0.2},
	}
}

// TestDialect counts the words of dialect in the comments of the program; -v prints the counts.
func TestDialect(t *testing.T) {
	word := regexp.MustCompile(`[A-Za-z]+(['’][a-z]+)?`)
	words, total := dialect(), 0
	counts := map[string]int{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, group := range s.file.Comments {
			for _, w := range word.FindAllString(group.Text(), -1) {
				total++
				for _, d := range words {
					if d.words.MatchString(w) {
						counts[d.name]++
					}
				}
			}
		}
	}
	for _, d := range words {
		per := 1000 * float64(counts[d.name]) / float64(total)
		t.Logf("%-28s %4d in %d comment words, %.1f per 1,000 (at most %.1f)", d.name, counts[d.name], total, per, d.most)
		if per > d.most {
			t.Errorf("comments use %q %.1f times in 1,000 words; at most %.1f", d.name, per, d.most)
		}
	}
}

// jargon are words of ours that the field has other words for (DESIGN, "Names and English"), in names of files,
// packages and declarations. "verb" is the documented label of a metric, and stays in its flag and field.
var jargon = regexp.MustCompile(`^(house|door|world|dossier|scrub|courier|survey|pulse|plant|desk|anew|lasting|somebody|nobody|everybody|told)s?$`)

// unwanted are phrases that logs, help texts and error messages do not use.
var unwanted = regexp.MustCompile(`(?i)\b(house|door|courier|somebody|nobody|everybody|is told|are told|anew|tried again|comes again|whom)\b`)

// TestNames refuses names that a reader of this field has to look up.
func TestNames(t *testing.T) {
	for _, s := range sources(t) {
		for _, part := range regexp.MustCompile(`[/_.]`).Split(strings.TrimSuffix(s.path, ".go"), -1) {
			if jargon.MatchString(part) {
				t.Errorf("%s: the field has another word for %q", s.path, part)
			}
		}
		if regexp.MustCompile(`\d(_test)?\.go$`).MatchString(s.path) {
			t.Errorf("%s: a file is named for its subject, not numbered", s.path)
		}
		if s.test {
			continue
		}
		if filepath.Base(s.path) == "deprecated.go" {
			continue // names of the version before
		}
		for _, id := range declared(s.file) {
			if id.Name == "RoomNobody" {
				continue // a public name and a value on the wire
			}
			for _, w := range camel(id.Name) {
				if jargon.MatchString(strings.ToLower(w)) {
					t.Errorf("%s: %s: the field has another word for %q", s.fset.Position(id.Pos()), id.Name, w)
				}
			}
		}
	}
}

// declared returns the names of functions, types, fields, methods, constants and package variables.
func declared(f *ast.File) (list []*ast.Ident) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			list = append(list, n.Name)
			return false
		case *ast.TypeSpec:
			list = append(list, n.Name)
		case *ast.Field:
			list = append(list, n.Names...)
		case *ast.ValueSpec:
			list = append(list, n.Names...)
		}
		return true
	})
	return list
}

// camel splits a name into its words.
func camel(name string) (words []string) {
	begin := 0
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) && !unicode.IsUpper(rune(name[i-1])) {
			words, begin = append(words, name[begin:i]), i
		}
	}
	return append(words, name[begin:])
}

// maxLogMessage is the most characters of a log message: it is a key to search for; the attributes have the rest.
const maxLogMessage = 60

// TestMessages refuses log messages that are long, and jargon in logs, help texts and error messages.
func TestMessages(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.path, "test/") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if text, ok := logMessage(n); ok && len([]rune(text)) > maxLogMessage {
					t.Errorf("%s: the log message has %d characters; at most %d", s.fset.Position(n.Pos()), len([]rune(text)),
						maxLogMessage)
				}
			case *ast.BasicLit:
				if n.Kind == token.STRING && strings.Contains(n.Value, " ") && unwanted.MatchString(n.Value) &&
					!strings.Contains(n.Value, "json:") {
					t.Errorf("%s: the field has other words for %q", s.fset.Position(n.Pos()), unwanted.FindString(n.Value))
				}
			}
			return true
		})
	}
}

// logMessage returns the message of a call to a logger.
func logMessage(call *ast.CallExpr) (text string, ok bool) {
	sel, isSel := call.Fun.(*ast.SelectorExpr)
	if !isSel || len(call.Args) == 0 {
		return "", false
	}
	at := 0
	switch sel.Sel.Name {
	case "Debug", "Info", "Warn", "Error":
	case "DebugContext", "InfoContext", "WarnContext", "ErrorContext":
		at = 1
	default:
		return "", false
	}
	if at >= len(call.Args) {
		return "", false
	}
	lit, isLit := call.Args[at].(*ast.BasicLit)
	if !isLit || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// maxColumns is the most columns of a line; a tab is one.
const maxColumns = 120

// mayBeLong matches lines that cannot be broken: raw strings, among them struct tags, and addresses.
var mayBeLong = regexp.MustCompile("`|https?://")

// TestColumns refuses long lines.
func TestColumns(t *testing.T) {
	for _, s := range sources(t) {
		for n, line := range strings.Split(s.text, "\n") {
			if c := utf8.RuneCountInString(line); c > maxColumns && !mayBeLong.MatchString(line) {
				t.Errorf("%s:%d has %d columns; a line has at most %d", s.path, n+1, c, maxColumns)
			}
		}
	}
}
