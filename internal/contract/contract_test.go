package contract

import (
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write comments.json")

// sources are the files with types of the wire.
var sources = []string{"../../protocol/*.go", "../../protocol/*/*.go", "../../invite/invitation.go"}

// TestComments: comments.json has the comments of the Go types.
func TestComments(t *testing.T) {
	want := map[string]string{}
	for _, pattern := range sources {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			gather(want, f)
		}
	}
	text, err := json.MarshalIndent(want, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile("comments.json", text, 0o644); err != nil { //nolint:gosec // a source file
			t.Fatal(err)
		}
	} else if string(text) != string(commentText) {
		t.Error("comments.json is old; run go test ./internal/contract -update")
	}
}

// gather adds the comments of the structs of a file, and those of their fields.
func gather(into map[string]string, f *ast.File) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range g.Specs {
			t, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			s, ok := t.Type.(*ast.StructType)
			if !ok {
				continue
			}
			into[t.Name.Name] = line(g.Doc)
			for _, field := range s.Fields.List {
				for _, name := range field.Names {
					text := line(field.Comment)
					if text == "" {
						text = line(field.Doc)
					}
					if text != "" {
						into[t.Name.Name+"."+name.Name] = text
					}
				}
			}
		}
	}
	maps.DeleteFunc(into, func(_, v string) bool { return v == "" })
}

func line(g *ast.CommentGroup) string {
	return strings.Join(strings.Fields(g.Text()), " ")
}
