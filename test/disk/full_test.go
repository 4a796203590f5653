package disk

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/beckon-im/beckon/test/program"
)

var full = flag.Int("disk.full", 0, "how often the disk is full for a while, each time at another write (needs strace)")

// TestFullDisk lets some writes fail because the disk is full, from a random one on: calls are refused meanwhile, then
// taken again, and no acknowledged message is lost.
func TestFullDisk(t *testing.T) {
	beckon := program.Build(t, program.Beckon)
	failed := 0
	for range *full {
		first, count := 1+rand.IntN(400), 1+rand.IntN(40)
		t.Run(fmt.Sprintf("writes %d to %d", first, first+count), func(t *testing.T) {
			failed += fill(t, beckon, first, count)
		})
	}
	if *full > 0 && failed == 0 {
		t.Error("no write failed")
	}
}

// fill runs a server of which each thread finds the disk full at some of its writes, and returns how many failed.
func fill(t *testing.T, beckon string, first, count int) (failed int) {
	s := newServer(t, beckon, t.TempDir())
	trace := filepath.Join(t.TempDir(), "trace")
	inject := "inject=pwrite64,ftruncate:error=ENOSPC:when=" + fmt.Sprintf("%d..%d", first, first+count)
	s.wrap = []string{"strace", "-f", "-qq", "-o", trace, "-e", "trace=pwrite64,ftruncate", "-e", inject}
	s.start()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.cmd.Wait() }()
	loading, stop := context.WithCancel(ctx)
	go func() {
		select {
		case <-ended: // it was full while the server started
		case <-time.After(5 * time.Second): // load, not a wait for an outcome
		}
		stop()
	}()
	var acked []message
	if s.ready(loading) {
		acked = s.load(loading, "full")
	}
	<-loading.Done()
	select {
	case <-ended:
		if len(acked) > 0 {
			t.Errorf("the server ended when the disk was full:\n%s", s.out.String())
		}
	default:
	}
	_ = syscall.Kill(childOf(t, s.cmd.Process.Pid), syscall.SIGKILL)
	<-ended
	if v := open(t, s.dir, acked); v.refused != nil || len(v.missing) > 0 {
		t.Errorf("%d of %d acknowledged messages are missing: %v\n%s", len(v.missing), len(acked), v.refused, s.out.String())
	}
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	failed = bytes.Count(b, []byte("(INJECTED)"))
	t.Logf("%d acknowledged messages, none lost after %d failed writes", len(acked), failed)
	return failed
}
