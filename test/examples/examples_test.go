// Package examples runs the programs of the directory examples, each against a server of its own.
package examples

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/internal/freeport"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw7V9PMzFQ2h8="

// TestGo runs the examples in Go.
func TestGo(t *testing.T) {
	bin := t.TempDir() + "/"
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", bin, "../../examples/go/...")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, source := range list(t, "../../examples/go/*/main.go") {
		name := filepath.Base(filepath.Dir(source))
		t.Run(name, func(t *testing.T) { run(t, source, filepath.Join(bin, name)) })
	}
}

// TestTypeScript runs the examples in TypeScript. It needs the built SDK: make test-js.
func TestTypeScript(t *testing.T) {
	for _, source := range list(t, "../../examples/typescript/*.ts") {
		if name := strings.TrimSuffix(filepath.Base(source), ".ts"); name != "env" {
			t.Run(name, func(t *testing.T) { run(t, source, "node", "--import", "tsx", source) })
		}
	}
}

func list(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples at %s: %v", pattern, err)
	}
	return files
}

// run runs a program and compares its output with the one in its first comment, in any order.
func run(t *testing.T, source, program string, args ...string) {
	hooks, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	server := beckontest.StartWith(t, beckon.Config{Webhook: "http://" + hooks, WebhookSecret: secret})
	ctx, cancel := context.WithTimeout(t.Context(), beckontest.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "BECKON_URL="+server.URL, "BECKON_API_KEY="+server.Server.APIKey(),
		"BECKON_WEBHOOK_SECRET="+secret, "LISTEN="+hooks)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got := strings.Split(strings.TrimSpace(string(out)), "\n")
	want := documented(t, source)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the output is\n%s\nthe comment of %s has\n%s", strings.Join(got, "\n"), source, strings.Join(want, "\n"))
	}
}

// documented returns the output in the first comment of a program: the indented lines after "It prints:".
func documented(t *testing.T, source string) (lines []string) {
	t.Helper()
	b, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	_, output, found := strings.Cut(string(b), "It prints:\n//\n")
	if !found {
		t.Fatalf("%s does not document its output", source)
	}
	for line := range strings.Lines(output) {
		m := regexp.MustCompile(`^//(?:\t|   +)(.+)\n$`).FindStringSubmatch(line)
		if m == nil {
			break
		}
		lines = append(lines, m[1])
	}
	return lines
}
