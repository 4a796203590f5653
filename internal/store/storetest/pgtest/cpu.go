package pgtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// CPU returns the processor time of all processes of the server, also of those that have ended. Linux only.
func (s *Server) CPU() (sum time.Duration, err error) {
	pid := s.PID()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, err
	}
	if sum, err = spent(pid, true); err != nil {
		return 0, err
	}
	for child := range strings.FieldsSeq(string(children)) {
		n, err := strconv.Atoi(child)
		if err != nil {
			return 0, err
		}
		if t, err := spent(n, false); err == nil { // otherwise it has just ended, and its parent's reading misses it once
			sum += t
		}
	}
	return sum, nil
}

// spent returns the user and system time of a process; with ended, also that of its ended children.
func spent(pid int, ended bool) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))[11:15]
	if !ended {
		fields = fields[:2]
	}
	var ticks int64
	for _, f := range fields {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100, nil
}
