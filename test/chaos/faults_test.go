package chaos

import (
	"context"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/beckon-im/beckon/test/cluster"
	"github.com/beckon-im/beckon/test/program"
)

var (
	faultTime = flag.Duration("chaos.time", 6*time.Second, "duration for which each fault is repeated")
	selected  = flag.String("chaos.faults", "kill a node,lose all bus messages", "the faults, comma-separated, or all")
	showLogs  = flag.Bool("chaos.loud", false, "show the logs of the nodes")
)

// fault is a kind of failure. inject causes it once and undoes it.
type fault struct {
	name   string
	inject func(*faultRun)
	clock  bool // it sets the clock of PostgreSQL, and no timeout may be late
}

// faultRun is a cluster with repeated faults of one kind.
type faultRun struct {
	*cluster.Cluster
	t   *testing.T
	h   *recorder
	log *clockLog
	end time.Time
}

// any picks a node.
func (s *faultRun) any() *cluster.Node { return s.Nodes[rand.IntN(len(s.Nodes))] }

// hold keeps a fault for a time.
func (s *faultRun) hold(name string, d time.Duration) {
	done := s.h.fault(name)
	<-time.After(d) // the duration of the fault, not a wait for an outcome
	done()
}

func (s *faultRun) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// awaitHealth waits until a node reports a state.
func (s *faultRun) awaitHealth(n *cluster.Node, name string) {
	s.t.Helper()
	limit := time.Now().Add(20 * time.Second)
	for n.Health() != name {
		if time.Now().After(limit) {
			s.t.Errorf("a node reports %q instead of %q", n.Health(), name)
			return
		}
		<-time.After(20 * time.Millisecond)
	}
}

func faults() []fault {
	return append(clockFaults(), []fault{
		{name: "kill a node", inject: func(s *faultRun) {
			n := s.any()
			s.must(n.Stop(syscall.SIGKILL))
			s.hold("killed", time.Second)
			s.must(n.Start())
			s.must(n.Ready(s.t.Context()))
			s.hold("healthy", time.Second)
		}},
		{name: "pause a node for 10 s", inject: func(s *faultRun) {
			n := s.any()
			s.must(n.Signal(syscall.SIGSTOP))
			s.hold("paused", 10*time.Second)
			s.must(n.Signal(syscall.SIGCONT))
			s.awaitHealth(n, "ready")
			s.hold("healthy", 2*time.Second)
		}},
		{name: "cut a node from NATS", inject: func(s *faultRun) {
			n := s.any()
			for _, l := range n.Bus {
				l.Cut()
			}
			s.awaitHealth(n, "NATS cannot be reached")
			s.hold("without NATS", 5*time.Second)
			for _, l := range n.Bus {
				l.Heal()
			}
			s.awaitHealth(n, "ready")
			s.hold("healthy", time.Second)
		}},
		{name: "cut a node from the database", inject: func(s *faultRun) {
			n := s.any()
			for _, l := range n.Database {
				if rand.IntN(2) == 0 {
					l.Cut()
				} else {
					l.Freeze()
				}
			}
			s.awaitHealth(n, "the database cannot be reached")
			s.hold("without the database", 5*time.Second)
			for _, l := range n.Database {
				l.Heal()
			}
			s.awaitHealth(n, "ready")
			s.hold("healthy", time.Second)
		}},
		{name: "cut a node from its clients", inject: func(s *faultRun) {
			n := s.any()
			if rand.IntN(2) == 0 {
				n.Clients.Cut()
			} else {
				n.Clients.Freeze()
			}
			s.hold("without clients", 5*time.Second)
			n.Clients.Heal()
			s.hold("healthy", 2*time.Second)
		}},
		{name: "lose half of all bus messages", inject: lossy(0.5)},
		{name: "lose all bus messages", inject: lossy(1)},
		{name: "restart PostgreSQL", inject: func(s *faultRun) {
			s.must(s.Primary.Stop(syscall.SIGINT))
			s.hold("PostgreSQL is down", 500*time.Millisecond)
			s.must(s.Primary.Launch(context.Background()))
			for _, n := range s.Nodes {
				s.awaitHealth(n, "ready")
			}
			s.hold("healthy", 5*time.Second)
		}},
		{name: "promote the standby", inject: func(s *faultRun) {
			if s.Standby == nil {
				s.hold("on the former standby", time.Until(s.end))
				return
			}
			s.hold("healthy", 2*time.Second)
			s.must(s.Primary.Stop(syscall.SIGQUIT))
			s.hold("PostgreSQL is lost", time.Second)
			s.must(s.Standby.Promote(s.t.Context()))
			s.Primary, s.Standby = s.Standby, nil
			for _, n := range s.Nodes {
				s.awaitHealth(n, "ready")
			}
		}},
		{name: "skew a node's clock by an hour", inject: func(s *faultRun) {
			n := s.any()
			s.must(n.Stop(syscall.SIGTERM))
			s.must(n.Start([]string{"--clock-skew=1h", "--clock-skew=-1h"}[rand.IntN(2)]))
			s.must(n.Ready(s.t.Context()))
			s.hold("a skewed clock", 10*time.Second)
			s.must(n.Stop(syscall.SIGTERM))
			s.must(n.Start())
			s.must(n.Ready(s.t.Context()))
		}},
		{name: "restart the nodes one after another", inject: func(s *faultRun) {
			for _, n := range s.Nodes {
				done := s.h.fault("restarting")
				s.must(n.Stop(syscall.SIGTERM))
				s.must(n.Start())
				s.must(n.Ready(s.t.Context()))
				done()
			}
			s.hold("healthy", time.Second)
		}},
	}...)
}

// lossy drops a share of the NATS messages to each node.
func lossy(share float64) func(*faultRun) {
	return func(s *faultRun) {
		for _, n := range s.Nodes {
			for _, l := range n.Bus {
				l.Lose(share)
			}
		}
		s.hold("a lossy bus", time.Until(s.end))
		lost := 0
		for _, n := range s.Nodes {
			for _, l := range n.Bus {
				lost += l.Lost()
			}
		}
		if s.t.Logf("%d messages of the bus were lost", lost); lost < 100 {
			s.t.Error("too few messages of the bus were lost for a result")
		}
		for _, n := range s.Nodes {
			for _, l := range n.Bus {
				l.Heal()
			}
		}
	}
}

// TestFaults repeats one fault at a time under load, and then compares the acknowledgements, the stored state, and the
// events of all clients.
func TestFaults(t *testing.T) {
	path := program.Build(t, program.Beckon)
	known := map[string]bool{}
	for _, f := range faults() {
		known[f.name] = true
		if *selected == "all" || strings.Contains(","+*selected+",", ","+f.name+",") {
			t.Run(f.name, func(t *testing.T) { runFault(t, path, f) })
		}
	}
	for name := range strings.SplitSeq(*selected, ",") {
		if name != "all" && !known[name] {
			t.Errorf("there is no fault %q", name)
		}
	}
}

func runFault(t *testing.T, program string, f fault) {
	log := &clockLog{out: io.Discard}
	if *showLogs {
		log.out = os.Stderr
	}
	c, err := cluster.Start(t.Context(), cluster.Options{Program: program, Dir: t.TempDir(), Nodes: 3, Standby: true,
		Buses: 3, Log: log, Clock: f.clock,
		Args: []string{"--user-rate", "100000", "--user-burst", "100000", "--ping", "2s", "--drain", "1s"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	w := newWorkload(t, c.URL(), c.Nodes[0].Data, min(15*time.Second, *faultTime))
	w.punctual = f.clock
	defer w.keep(t, f.name)
	s := &faultRun{Cluster: c, t: t, h: w.recorder, log: log, end: time.Now().Add(*faultTime)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.run(ctx)
	}()
	defer func() { stop(); <-ended }() // also when an injection fails
	injections := 0
	for ; time.Now().Before(s.end); injections++ {
		f.inject(s)
	}
	stop()
	<-ended
	w.settle()
	w.check("", c.Primary.URL("beckon"))
	t.Logf("%s, %d times", f.name, injections)
}
