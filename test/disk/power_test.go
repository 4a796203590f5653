package disk

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/beckon-im/beckon/test/program"
)

var (
	cuts = flag.Int("disk.cuts", 0, "how many power cuts are rebuilt, half of them after a failed fsync (needs strace)")
	seed = flag.Uint64("disk.seed", 0, "seed of the power cuts; 0 = a random one")
)

// traced starts a server on the directory of a killed one, under load, records its writes and syncs, and stops it.
func traced(t *testing.T, beckon string, failing int) (base map[string][]byte, ops []op, acked []message) {
	t.Helper()
	from, before := killed(t, beckon, "before")
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	copyDir(t, from, dir)
	base = readFiles(t, dir)
	s := newServer(t, beckon, dir)
	trace := filepath.Join(t.TempDir(), "trace")
	s.wrap = []string{"strace", "-f", "-qq", "-y", "-xx", "-s", "20000000", "-ttt", "-o", trace, "-e",
		"trace=open,openat,linkat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,ftruncate"}
	if failing > 0 {
		s.wrap = append(s.wrap, "-e", fmt.Sprintf("inject=fsync,fdatasync:error=EIO:when=%d", failing))
	}
	s.start()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.cmd.Wait() }()
	loading, stop := context.WithCancel(ctx)
	go func() { // a failed fsync ends the server
		select {
		case <-ended:
		case <-time.After(6 * time.Second): // load, not a wait for an outcome
		}
		stop()
	}()
	if s.ready(loading) {
		acked = s.load(loading, "traced")
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = syscall.Kill(childOf(t, s.cmd.Process.Pid), syscall.SIGTERM)
	<-ended
	if ops, err := readTrace(trace, dir); err != nil || len(ops) < 50 {
		t.Fatalf("%d operations, %v:\n%s", len(ops), err, s.out.String())
	} else {
		return base, ops, append(before, acked...)
	}
	return nil, nil, nil
}

// childOf returns the first child of a process, or the process itself.
func childOf(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	child := pid
	if err == nil {
		_, _ = fmt.Sscan(string(b), &child)
	}
	return child
}

func readFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = b
	}
	return files
}

// TestPowerCuts rebuilds possible states after power cuts from a trace of the server's writes and syncs: with all
// synced content and any part of the rest, torn at sectors. Each state is opened, and has every message that was
// acknowledged before.
func TestPowerCuts(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	random := rand.New(rand.NewPCG(*seed, 1))
	if *cuts == 0 {
		return
	}
	beckon := program.Build(t, program.Beckon)
	for _, failing := range []int{0, 10 + random.IntN(60)} {
		t.Run(fmt.Sprintf("failed fsync %d", failing), func(t *testing.T) {
			base, ops, acked := traced(t, beckon, failing)
			states, told := 0, 0
			for ; states < *cuts/2; states++ {
				c := powerCut{strict: states%2 == 0, sector: 512 << (3 * (states / 2 % 2)), at: random.IntN(len(ops)), syncs: true}
				v := c.open(t, base, ops, acked, random)
				if v.refused != nil || len(v.missing) > 0 {
					t.Errorf("seed %d, %+v: %d messages are missing: %v", *seed, c, len(v.missing), v.refused)
				}
				if v.said != "" {
					told++
				}
			}
			t.Logf("seed %d: %d states of %d operations with %d acknowledged messages, nothing lost; %d starts dropped a torn "+
				"entry", *seed, states, len(ops), len(acked), told)
			for range 20 { // the test finds a server that does not sync
				c := powerCut{strict: true, sector: 512, at: len(ops) * 9 / 10}
				if v := c.open(t, base, ops, acked, random); v.refused != nil || len(v.missing) > 0 {
					return
				}
			}
			t.Error("without any sync, nothing is lost either")
		})
	}
}

// powerCut is one state that a power cut may leave.
type powerCut struct {
	strict bool // directories, as in disk
	sector int  // bytes that the disk writes at once
	at     int  // operations before it
	syncs  bool // false = the disk ignores them
}

// open opens the state, and looks for the messages that were acknowledged before.
func (c powerCut) open(t *testing.T, base map[string][]byte, ops []op, acked []message, random *rand.Rand) verdict {
	t.Helper()
	d := newDisk(c.strict, base, random)
	for n, o := range ops[:c.at] {
		if o.call == "sync" && !c.syncs {
			continue
		}
		if err := d.do(n, o); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for path, b := range d.cut(c.sector) {
		if strings.HasPrefix(path, "lock") || strings.HasSuffix(path, "-shm") || strings.Contains(path, "/") {
			continue
		}
		put(t, filepath.Join(dir, path), b)
	}
	var want []message
	for _, m := range acked {
		if m.at.Before(ops[c.at].at) {
			want = append(want, m)
		}
	}
	return open(t, dir, want)
}
