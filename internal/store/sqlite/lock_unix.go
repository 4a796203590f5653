//go:build unix

package sqlite

import (
	"errors"
	"os"
	"syscall"
)

// lockDirectory locks a directory itself, so that the lock does not end when a file of it is deleted.
func lockDirectory(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		closing := f.Close()
		switch {
		case errors.Is(err, syscall.EWOULDBLOCK):
			err = errHeld
		case errors.Is(err, syscall.EBADF), errors.Is(err, syscall.ENOLCK), errors.Is(err, errors.ErrUnsupported):
			return nil, closing // the file system has no locks of directories
		}
		return nil, errors.Join(err, closing)
	}
	return f, nil
}
