package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// clock is the clock of a server under libfaketime: that of the machine with an offset, which is read from a file with
// each reading. The monotonic clock stays.
type clock struct {
	library string
	file    string
}

// StartWithClock makes a new server with a clock that SetClock sets.
func StartWithClock(ctx context.Context, sync bool) (*Server, error) {
	found, err := filepath.Glob("/usr/lib*/*/faketime/libfaketime.so.1")
	if more, failed := filepath.Glob("/usr/lib*/faketime/libfaketime.so.1"); failed == nil {
		found = append(found, more...)
	}
	if err != nil || len(found) == 0 {
		return nil, errors.Join(err, errors.New(
			"libfaketime is missing, which sets the clock of PostgreSQL in these tests: apt-get install faketime"))
	}
	return start(ctx, sync, &clock{library: found[0]})
}

// SetClock sets the clock of a server of StartWithClock, also while it runs: the offset from that of the machine.
func (s *Server) SetClock(offset time.Duration) error { return s.clock.set(offset) }

// place puts the file into a directory.
func (c *clock) place(dir string) error {
	c.file = filepath.Join(dir, "clock")
	return c.set(0)
}

// set replaces the file, so that no reading finds half of it.
func (c *clock) set(offset time.Duration) error {
	next := c.file + ".next"
	if err := os.WriteFile(next, fmt.Appendf(nil, "%+.3f\n", offset.Seconds()), 0o644); err != nil {
		return err
	}
	return os.Rename(next, c.file)
}

func (c *clock) env() []string {
	return []string{"LD_PRELOAD=" + c.library, "FAKETIME_TIMESTAMP_FILE=" + c.file, "FAKETIME_NO_CACHE=1",
		"FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"}
}

// clean removes the shared memory that libfaketime leaves when its process is killed.
func (c *clock) clean(pid int) {
	_ = os.Remove(fmt.Sprintf("/dev/shm/faketime_shm_%d", pid))
	_ = os.Remove(fmt.Sprintf("/dev/shm/sem.faketime_sem_%d", pid))
}
