// Package clients tests that clients which known generators make from the OpenAPI documents compile, and make a call.
package clients

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
)

// The generators, by the version that the test runs.
const (
	oapiCodegen = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2"
	ogen        = "github.com/ogen-go/ogen/cmd/ogen@v1.25.0"
	root        = "../../.."
)

// run runs a program in a directory, and returns its output.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%.4000s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// copyAs copies a file of the directory program.
func copyAs(t *testing.T, name, to string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("program", name))
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func documents(t *testing.T, dir string) {
	t.Helper()
	for name, text := range map[string][]byte{"openapi.json": beckon.OpenAPI(), "openapi-3.0.json": beckon.OpenAPI30()} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func serve(t *testing.T) []string {
	h := beckontest.Start(t, 1)
	return []string{"BECKON_URL=" + h.URL, "BECKON_API_KEY=" + h.Server.APIKey(), "GOFLAGS=-mod=mod"}
}

func expect(t *testing.T, out string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(out, line) {
			t.Errorf("the output lacks %q:\n%s", line, out)
		}
	}
}

// TestGo: clients in Go, from the document in OpenAPI 3.0.
func TestGo(t *testing.T) {
	dir := t.TempDir()
	documents(t, dir)
	for _, name := range []string{"main.go", "go.mod", "go.sum"} {
		copyAs(t, name+".txt", filepath.Join(dir, name))
	}
	if err := os.Mkdir(filepath.Join(dir, "oapi"), 0o700); err != nil {
		t.Fatal(err)
	}
	env := serve(t)
	run(t, dir, env, "go", "run", oapiCodegen, "-generate", "types,client", "-response-type-suffix", "Result", "-package",
		"oapi", "-o", "oapi/client.go", "openapi-3.0.json")
	run(t, dir, env, "go", "run", ogen, "-target", "ogen", "-package", "ogen", "openapi-3.0.json")
	expect(t, run(t, dir, env, "go", "run", "."), "oapi-codegen: alice calls 1", "ogen: accepted, over is true")
}

// TestTypeScript: Redocly finds no fault in the documents, and clients in TypeScript compile and make a call.
func TestTypeScript(t *testing.T) {
	base, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(base, ".contract-") // below the libraries of the project
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	documents(t, dir)
	copyAs(t, "call.ts.txt", filepath.Join(dir, "call.ts"))
	copyAs(t, "redocly.yaml", filepath.Join(dir, "redocly.yaml"))
	copyAs(t, "tsconfig.json", filepath.Join(dir, "tsconfig.json"))
	copyAs(t, "package.json", filepath.Join(dir, "package.json"))
	env := serve(t)
	for _, name := range []string{"openapi.json", "openapi-3.0.json"} {
		out := run(t, dir, env, "npx", "--no-install", "redocly", "lint", "--config", "redocly.yaml", name)
		expect(t, out, "Your API description is valid")
	}
	run(t, dir, env, "npx", "--no-install", "openapi-typescript", "openapi.json", "-o", "types.d.ts")
	run(t, dir, env, "npx", "--no-install", "openapi-ts", "-i", "openapi.json", "-o", "client", "-c",
		"@hey-api/client-fetch", "--no-log-file")
	run(t, dir, env, "npx", "--no-install", "tsc", "-p", ".")
	out := run(t, dir, env, "node", "--import", "tsx", "call.ts")
	expect(t, out, "hey-api: alice calls, over is true", "openapi-typescript: invitation.answered accepted")
}
