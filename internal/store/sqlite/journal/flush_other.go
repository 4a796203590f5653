//go:build !linux

package journal

import "os"

// flush syncs a file.
func flush(f *os.File) error { return f.Sync() }
