// Package program builds programs of this module for tests that run them as processes.
package program

import (
	"net"
	"os/exec"
	"path"
	"path/filepath"
	"testing"
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
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	return ln.Addr().String()
}
