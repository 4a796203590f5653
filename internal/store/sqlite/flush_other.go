//go:build !linux

package sqlite

import "os"

// flush syncs a file.
func flush(f *os.File) error { return f.Sync() }
