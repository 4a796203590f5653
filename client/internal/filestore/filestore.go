// Package filestore keeps a small text in a file.
package filestore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// File is the path of a file. A missing directory is created.
type File string

// Load returns the text of the last Save; nil if there is none.
func (f File) Load() ([]byte, error) {
	text, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// Save replaces the text.
func (f File) Save(text []byte) error {
	if err := os.MkdirAll(filepath.Dir(string(f)), 0o700); err != nil {
		return err
	}
	next := string(f) + ".new"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return err
	}
	return os.Rename(next, string(f)) // atomic: the file is never partial
}
