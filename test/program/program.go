// Package program builds programs of this module for tests that run them as processes.
package program

import (
	"os/exec"
	"path"
	"path/filepath"
	"testing"

	"github.com/beckon-im/beckon/internal/freeport"
)

// Beckon is the package of the server.
const Beckon = "github.com/beckon-im/beckon/cmd/beckon"

// Build compiles a package, and returns the path of the program, which the test removes at its end.
func Build(t testing.TB, from string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), path.Base(from))
	if out, err := exec.Command("go", "build", "-o", program, from).CombinedOutput(); err != nil {
		t.Fatalf("%s does not build: %v\n%s", from, err, out)
	}
	return program
}

// FreeAddress returns an unused address on 127.0.0.1.
func FreeAddress(t testing.TB) string {
	t.Helper()
	addr, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}
