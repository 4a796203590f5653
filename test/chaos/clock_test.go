package chaos

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/beckon-im/beckon/test/cluster"
)

// clockFaults set the clock of PostgreSQL, which decides. Its steps are of ten minutes and an hour, in both directions.
func clockFaults() []fault {
	return []fault{
		{name: "step PostgreSQL's clock", clock: true, inject: func(s *faultRun) {
			s.step(time.Hour, "an hour ahead", 3*time.Second)
			s.step(0, "right", 2*time.Second)
			s.step(-10*time.Minute, "ten minutes behind", 3*time.Second)
			s.step(0, "right", 2*time.Second)
		}},
		{name: "restart PostgreSQL and nodes with another clock", clock: true, inject: func(s *faultRun) {
			s.restartAt(time.Hour, "an hour ahead")
			s.restartNodes()
			s.restartAt(0, "right")
			s.restartAt(-10*time.Minute, "ten minutes behind")
			s.restartNodes()
			s.step(0, "right", 2*time.Second)
			s.restartAll(-10*time.Minute, "all restarted, ten minutes behind")
			s.step(0, "right", 2*time.Second)
		}},
		{name: "promote a standby that is ten minutes behind", clock: true, inject: func(s *faultRun) {
			if s.Standby == nil {
				s.hold("on the former standby", time.Until(s.end))
				return
			}
			s.must(s.Standby.SetClock(-10 * time.Minute))
			s.hold("healthy", 2*time.Second)
			up := s.h.fault(down)
			s.must(s.Primary.Stop(syscall.SIGQUIT))
			s.must(s.Standby.Promote(s.t.Context()))
			s.Primary, s.Standby = s.Standby, nil
			s.ready()
			up()
			s.noticed(0, -10*time.Minute)
			s.hold("ten minutes behind", 3*time.Second)
		}},
	}
}

// step sets the clock of PostgreSQL and keeps it for a time.
func (s *faultRun) step(offset time.Duration, name string, d time.Duration) {
	s.t.Helper()
	before := s.steps()
	s.must(s.Primary.SetClock(offset))
	s.noticed(before, offset)
	s.hold(name, d)
}

// restartAt restarts PostgreSQL with another clock.
func (s *faultRun) restartAt(offset time.Duration, name string) {
	s.t.Helper()
	before, up := s.steps(), s.h.fault(down)
	s.must(s.Primary.Stop(syscall.SIGINT))
	s.must(s.Primary.SetClock(offset))
	s.must(s.Primary.Launch(context.Background()))
	s.ready()
	up()
	s.noticed(before, offset)
	s.hold(name, 2*time.Second)
}

// restartNodes kills and starts one node after another, so that each finds the corrected time at its start.
func (s *faultRun) restartNodes() {
	s.t.Helper()
	defer s.h.fault(down)()
	for _, n := range s.Nodes {
		s.must(n.Stop(syscall.SIGKILL))
		s.must(n.Start())
		s.must(n.Ready(s.t.Context()))
	}
}

// restartAll stops everything, and starts it with another clock.
func (s *faultRun) restartAll(offset time.Duration, name string) {
	s.t.Helper()
	up := s.h.fault(down)
	for _, n := range s.Nodes {
		s.must(n.Stop(syscall.SIGKILL))
	}
	s.must(s.Primary.Stop(syscall.SIGINT))
	s.must(s.Primary.SetClock(offset))
	s.must(s.Primary.Launch(context.Background()))
	for _, n := range s.Nodes {
		s.must(n.Start())
		s.must(n.Ready(s.t.Context()))
	}
	up()
	s.hold(name, 2*time.Second)
}

func (s *faultRun) ready() {
	s.t.Helper()
	for _, n := range s.Nodes {
		s.awaitHealth(n, "ready")
	}
}

// steps sums the steps that nodes have counted.
func (s *faultRun) steps() (sum int) {
	for _, n := range s.Nodes {
		sum += int(metric(n.Addr, "beckon_clock_steps_total"))
	}
	return sum
}

// noticed waits until a node has counted and logged a step, and until each node reports the error of the clock in the
// metric with an alert.
func (s *faultRun) noticed(before int, offset time.Duration) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("a step to %v is not counted", offset), func() bool { return s.steps() > before })
	eventually(s.t, "a step is not logged", func() bool { return s.log.steps() >= s.steps() })
	for _, n := range s.Nodes {
		eventually(s.t, fmt.Sprintf("the error of the time is not %v", offset), func() bool {
			wrong := metric(n.Addr, "beckon_clock_error_seconds") - offset.Seconds()
			return wrong > -30 && wrong < 30
		})
	}
}

func eventually(t *testing.T, fault string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !ok(); <-time.After(50 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Error(fault)
			return
		}
	}
}

// metric reads a metric of a node; 0 if it has none.
func metric(addr, name string) float64 {
	for line := range strings.Lines(cluster.Get("http://" + addr + "/metrics")) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			v, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return v
		}
	}
	return 0
}

// clockLog counts the steps in the logs of nodes. mu guards all fields.
type clockLog struct {
	mu  sync.Mutex
	out io.Writer
	n   int
}

func (l *clockLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n += bytes.Count(b, []byte("clock was set"))
	return l.out.Write(b)
}

func (l *clockLog) steps() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// down is a fault in which the database or a node is unavailable.
const down = "down"

// The time follows a clock that was set by 5 %, and differences below a second at once.
const (
	slew   = 1.06
	jitter = 1.0  // seconds
	notice = 10.0 // seconds until the first event of a timeout; the steps are of ten minutes and more
)

// checkTimes checks the time from each invite to the first event of its timeout, by the monotonic clock of this
// process.
func (w *workload) checkTimes() {
	begun, first := map[string]attempt{}, map[string]float64{}
	for _, a := range w.Attempts {
		if a.Action == "invite" {
			begun[a.ID] = a
		}
	}
	for _, n := range w.Deliveries {
		if at, there := first[n.ID]; n.Action == "timeout" && (!there || n.At < at) {
			first[n.ID] = n.At
		}
	}
	early, late, ends := 0.0, 0.0, 0
	for id, at := range first {
		invite, there := begun[id]
		a := w.invitations[id]
		if !there || a == nil {
			continue
		}
		ends++
		least, most, want := at-invite.End-w.away(invite.End, at), at-invite.Begin, a.timeout.Seconds()
		early, late = max(early, want-most), max(late, least-want)
		if most < want/slew-jitter {
			w.t.Errorf("%s timed out %.1f s after its invite instead of %v", id, most, a.timeout)
		}
		if w.punctual && least > want*slew+notice {
			w.t.Errorf("%s timed out %.1f s after its invite instead of %v", id, least, a.timeout)
		}
	}
	w.t.Logf("%d timeouts, at most %.1f s early and %.1f s late", ends, early, late)
}

// away returns the time between two moments during which the database or a node was unavailable.
func (w *workload) away(from, to float64) (sum float64) {
	for _, f := range w.Faults {
		if f.Action == down {
			sum += max(0, min(to, f.End)-max(from, f.Begin))
		}
	}
	return sum
}

// TestCheckTimesCanFail gives checkTimes wrong timeouts.
func TestCheckTimesCanFail(t *testing.T) {
	for name, c := range map[string]struct {
		at       float64
		punctual bool
		fine     bool
	}{
		"in time":   {15.2, true, true},
		"too early": {12, false, false},
		"too late":  {587, true, false},
		"late, while the database was unavailable": {40, true, true},
		"late in a fault of another kind":          {30, false, true},
	} {
		fake := &testing.T{}
		w := &workload{t: fake, punctual: c.punctual, invitations: map[string]*invitation{"i": {timeout: 15 * time.Second}},
			recorder: &recorder{Attempts: []attempt{{Action: "invite", ID: "i", End: 0.1}},
				Faults: []attempt{{Action: down, Begin: 17, End: 37}},
				Deliveries: []delivery{{User: "a", Action: "timeout", ID: "i", At: c.at},
					{User: "b", Action: "timeout", ID: "i", At: c.at + 99}}}}
		if w.checkTimes(); fake.Failed() == c.fine {
			t.Errorf("%s: failed=%v", name, fake.Failed())
		}
	}
}

// TestMachineClockSteps sets the clock of the machine of one server on SQLite, under load and across restarts.
func TestMachineClockSteps(t *testing.T) {
	v := newServer(t)
	file := filepath.Join(t.TempDir(), "clock")
	v.args = []string{"--clock-file", file}
	set := func(offset time.Duration) {
		t.Helper()
		if err := os.WriteFile(file+".next", []byte(offset.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".next", file); err != nil { // a reader finds all of it
			t.Fatal(err)
		}
	}
	v.start()
	defer func() { v.kill() }()
	if _, err := v.token("patient"); err != nil { // the server has made its keys
		t.Fatal(err)
	}
	w := newWorkload(t, "http://"+v.addr, v.data, min(15*time.Second, *faultTime))
	w.punctual = true
	defer w.keep(t, "step the clock of SQLite")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.run(ctx)
	}()
	defer func() { stop(); <-ended }()
	hold := func(name string, d time.Duration) {
		done := w.fault(name)
		<-time.After(d) // the duration of the fault, not a wait for an outcome
		done()
	}
	step := func(offset time.Duration, name string, d time.Duration) {
		t.Helper()
		before := metric(v.addr, "beckon_clock_steps_total")
		set(offset)
		eventually(t, fmt.Sprintf("a step to %v is not counted", offset),
			func() bool { return metric(v.addr, "beckon_clock_steps_total") > before })
		hold(name, d)
	}
	injections := 0
	for end := time.Now().Add(*faultTime); time.Now().Before(end); injections++ {
		step(time.Hour, "an hour ahead", 3*time.Second)
		step(0, "right", time.Second)
		step(-10*time.Minute, "ten minutes behind", time.Second)
		step(0, "right", time.Second)
		up := w.fault(down)
		v.kill()
		set(-10 * time.Minute)
		v.start()
		up()
		hold("started ten minutes behind", 2*time.Second)
		step(0, "right", time.Second)
	}
	stop()
	<-ended
	w.settle()
	w.check(v.data, "")
	t.Logf("%d times", injections)
}
