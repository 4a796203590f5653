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
	faultTime = flag.Duration("chaos.time", 6*time.Second, "how long each fault is made again and again")
	which     = flag.String("chaos.faults", "kill a node,lose all bus messages", "the faults, comma-separated, or all")
	loud      = flag.Bool("chaos.loud", false, "show what the nodes log")
)

// fault is one thing that goes wrong. strike does it once and undoes it.
type fault struct {
	name   string
	strike func(*storm)
	clock  bool // it sets the clock of PostgreSQL, and no timeout may be late
}

// storm is a house under a fault.
type storm struct {
	*cluster.Cluster
	t   *testing.T
	h   *chronicle
	log *clockLog
	end time.Time
}

// any picks a node.
func (s *storm) any() *cluster.Node { return s.Nodes[rand.IntN(len(s.Nodes))] }

// lasts keeps a fault up for a time.
func (s *storm) lasts(what string, d time.Duration) {
	done := s.h.fault(what)
	<-time.After(d) // the time of the fault, not a wait for an outcome
	done()
}

func (s *storm) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// says waits until a node says of itself what it should.
func (s *storm) says(n *cluster.Node, what string) {
	s.t.Helper()
	limit := time.Now().Add(20 * time.Second)
	for n.Health() != what {
		if time.Now().After(limit) {
			s.t.Errorf("a node says %q, and should say %q", n.Health(), what)
			return
		}
		<-time.After(20 * time.Millisecond)
	}
}

func faults() []fault {
	return append(clockFaults(), []fault{
		{name: "kill a node", strike: func(s *storm) {
			n := s.any()
			s.must(n.Stop(syscall.SIGKILL))
			s.lasts("killed", time.Second)
			s.must(n.Start())
			s.must(n.Ready(s.t.Context()))
			s.lasts("whole", time.Second)
		}},
		{name: "pause a node for 10 s", strike: func(s *storm) {
			n := s.any()
			s.must(n.Signal(syscall.SIGSTOP))
			s.lasts("paused", 10*time.Second)
			s.must(n.Signal(syscall.SIGCONT))
			s.says(n, "ready")
			s.lasts("whole", 2*time.Second)
		}},
		{name: "cut a node from NATS", strike: func(s *storm) {
			n := s.any()
			for _, l := range n.Bus {
				l.Cut()
			}
			s.says(n, "NATS cannot be reached")
			s.lasts("without NATS", 5*time.Second)
			for _, l := range n.Bus {
				l.Heal()
			}
			s.says(n, "ready")
			s.lasts("whole", time.Second)
		}},
		{name: "cut a node from the database", strike: func(s *storm) {
			n := s.any()
			for _, l := range n.Database {
				if rand.IntN(2) == 0 {
					l.Cut()
				} else {
					l.Freeze()
				}
			}
			s.says(n, "the database cannot be reached")
			s.lasts("without the database", 5*time.Second)
			for _, l := range n.Database {
				l.Heal()
			}
			s.says(n, "ready")
			s.lasts("whole", time.Second)
		}},
		{name: "cut a node from its clients", strike: func(s *storm) {
			n := s.any()
			if rand.IntN(2) == 0 {
				n.Clients.Cut()
			} else {
				n.Clients.Freeze()
			}
			s.lasts("without clients", 5*time.Second)
			n.Clients.Heal()
			s.lasts("whole", 2*time.Second)
		}},
		{name: "lose half of all bus messages", strike: lossy(0.5)},
		{name: "lose all bus messages", strike: lossy(1)},
		{name: "restart PostgreSQL", strike: func(s *storm) {
			s.must(s.Primary.Stop(syscall.SIGINT))
			s.lasts("PostgreSQL is down", 500*time.Millisecond)
			s.must(s.Primary.Launch(context.Background()))
			for _, n := range s.Nodes {
				s.says(n, "ready")
			}
			s.lasts("whole", 5*time.Second)
		}},
		{name: "promote the standby", strike: func(s *storm) {
			if s.Standby == nil {
				s.lasts("on the former standby", time.Until(s.end))
				return
			}
			s.lasts("whole", 2*time.Second)
			s.must(s.Primary.Stop(syscall.SIGQUIT))
			s.lasts("PostgreSQL is lost", time.Second)
			s.must(s.Standby.Promote(s.t.Context()))
			s.Primary, s.Standby = s.Standby, nil
			for _, n := range s.Nodes {
				s.says(n, "ready")
			}
		}},
		{name: "skew a node's clock by an hour", strike: func(s *storm) {
			n := s.any()
			s.must(n.Stop(syscall.SIGTERM))
			s.must(n.Start([]string{"--clock-skew=1h", "--clock-skew=-1h"}[rand.IntN(2)]))
			s.must(n.Ready(s.t.Context()))
			s.lasts("a skewed clock", 10*time.Second)
			s.must(n.Stop(syscall.SIGTERM))
			s.must(n.Start())
			s.must(n.Ready(s.t.Context()))
		}},
		{name: "restart the nodes one after another", strike: func(s *storm) {
			for _, n := range s.Nodes {
				done := s.h.fault("restarting")
				s.must(n.Stop(syscall.SIGTERM))
				s.must(n.Start())
				s.must(n.Ready(s.t.Context()))
				done()
			}
			s.lasts("whole", time.Second)
		}},
	}...)
}

// lossy drops a share of what NATS brings to each node.
func lossy(share float64) func(*storm) {
	return func(s *storm) {
		for _, n := range s.Nodes {
			for _, l := range n.Bus {
				l.Lose(share)
			}
		}
		s.lasts("a lossy bus", time.Until(s.end))
		lost := 0
		for _, n := range s.Nodes {
			for _, l := range n.Bus {
				lost += l.Lost()
			}
		}
		if s.t.Logf("%d messages of the bus were lost", lost); lost < 100 {
			s.t.Error("the bus lost too few messages to show anything")
		}
		for _, n := range s.Nodes {
			for _, l := range n.Bus {
				l.Heal()
			}
		}
	}
}

// TestFaults makes one fault at a time, again and again, while people call and talk, and then compares what they were
// acknowledged, what is there, and what everybody heard.
func TestFaults(t *testing.T) {
	path := program.Build(t, program.Beckon)
	known := map[string]bool{}
	for _, f := range faults() {
		known[f.name] = true
		if *which == "all" || strings.Contains(","+*which+",", ","+f.name+",") {
			t.Run(f.name, func(t *testing.T) { weather(t, path, f) })
		}
	}
	for name := range strings.SplitSeq(*which, ",") {
		if name != "all" && !known[name] {
			t.Errorf("there is no fault %q", name)
		}
	}
}

func weather(t *testing.T, program string, f fault) {
	log := &clockLog{out: io.Discard}
	if *loud {
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
	w := newCrowd(t, c.URL(), c.Nodes[0].Data, min(15*time.Second, *faultTime))
	w.punctual = f.clock
	defer w.keep(t, f.name)
	s := &storm{Cluster: c, t: t, h: w.chronicle, log: log, end: time.Now().Add(*faultTime)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	lived := make(chan struct{})
	go func() {
		defer close(lived)
		w.live(ctx)
	}()
	defer func() { stop(); <-lived }() // also when a strike fails
	strikes := 0
	for ; time.Now().Before(s.end); strikes++ {
		f.strike(s)
	}
	stop()
	<-lived
	w.settle()
	w.check("", c.Primary.URL("beckon"))
	t.Logf("%s, %d times", f.name, strikes)
}
