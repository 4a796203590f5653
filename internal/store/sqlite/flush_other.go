//go:build !linux

package sqlite

import "os"

// flush makes what was written to a file durable.
func flush(f *os.File) error { return f.Sync() }
