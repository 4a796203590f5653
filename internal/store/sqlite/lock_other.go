//go:build !unix

package sqlite

import "os"

// lockDirectory does nothing: here the lock file alone locks a directory.
func lockDirectory(string) (*os.File, error) { return nil, nil }
