// Command retention simulates hours of calls with an injected clock, on SQLite and on PostgreSQL, with and without
// retention. It prints rows and sizes over time, and draws them. Every row is written by the methods of invitations,
// through the store. A run on SQLite that is broken off goes on when it is run again.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// options configure a run.
type options struct {
	engine        string
	rate, users   int
	age, length   time.Duration
	every         time.Duration
	naptime, data string
}

func main() {
	var o options
	flag.StringVar(&o.engine, "engine", "sqlite", "sqlite or postgres; none only draws the plot")
	flag.IntVar(&o.rate, "rate", 276, "flows in a simulated second: an invite and an accept")
	flag.DurationVar(&o.age, "age", time.Hour, "retention")
	flag.DurationVar(&o.length, "length", 4*time.Hour, "simulated time with retention; 0 = no such run")
	without := flag.Duration("without", 2*time.Hour, "simulated time of a run without retention; 0 = no such run")
	flag.DurationVar(&o.every, "every", 20*time.Minute, "simulated time between two lines of the table")
	flag.IntVar(&o.users, "users", 20_000, "users, who call each other")
	flag.StringVar(&o.naptime, "naptime", "", "autovacuum_naptime of PostgreSQL, such as 5s: it runs in real time, which "+
		"passes more slowly than the simulated one; default: that of PostgreSQL, 1min")
	flag.StringVar(&o.data, "data", "bin/retention", "directory of the points of all runs, from which the plot is drawn")
	plot := flag.String("plot", "docs/retention.svg", "output file of the plot")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.runs(ctx, *without, *plot); err != nil {
		fmt.Fprintln(os.Stderr, "retention:", err)
		os.Exit(1)
	}
}

func (o options) runs(ctx context.Context, without time.Duration, plot string) error {
	if err := os.MkdirAll(o.data, 0o755); err != nil {
		return err
	}
	if o.engine != "none" {
		if o.length > 0 {
			if err := o.run(ctx); err != nil {
				return err
			}
		}
		if o.age, o.length = 0, without; o.length > 0 {
			if err := o.run(ctx); err != nil {
				return err
			}
		}
	}
	var all []*series
	for _, name := range []string{"sqlite-retention", "sqlite-forever", "postgres-retention", "postgres-forever"} {
		b, err := os.ReadFile(filepath.Join(o.data, name+".json"))
		if os.IsNotExist(err) {
			continue
		}
		s := &series{}
		if err == nil {
			err = json.Unmarshal(b, s)
		}
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	return os.WriteFile(plot, []byte(draw(all)), 0o644)
}

// series is the points of a run.
type series struct {
	Engine string        `json:"engine"`
	Age    time.Duration `json:"age"` // 0 = no retention
	Rate   int           `json:"rate"`
	Users  int           `json:"users"`
	Points []point       `json:"points"`
	base   point         // of the empty database
}

// point is one line of the table.
type point struct {
	At          int           `json:"at"` // simulated seconds
	Flows       int           `json:"flows"`
	Records     int64         `json:"records"`
	Invitations int64         `json:"invitations"`
	Database    int64         `json:"database"` // bytes
	Used        int64         `json:"used"`     // bytes of the database in use; SQLite
	Log         int64         `json:"log"`      // bytes that the log has: beckon.db-wal, pg_wal
	Journal     int64         `json:"journal"`  // bytes; SQLite
	Written     int64         `json:"written"`  // bytes written to the log since the start; PostgreSQL
	Dead        int64         `json:"dead"`     // rows; PostgreSQL
	Vacuums     int64         `json:"vacuums"`  // autovacuums of tables; PostgreSQL
	CPU         time.Duration `json:"cpu"`      // of this process: methods, store, SQLite
	ServerCPU   time.Duration `json:"serverCPU"`
	Real        time.Duration `json:"real"`
}

// name is that of the files of the run.
func (s *series) name() string {
	if s.Age == 0 {
		return s.Engine + "-forever"
	}
	return s.Engine + "-retention"
}

// save writes the points so far, so that a run that is broken off has a plot.
func (s *series) save(dir string) error {
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, s.name()+".json"), append(b, '\n'), 0o644)
}

// header returns the head of the table.
func (s *series) header() string {
	columns := []string{"time", "flows", "records", "invitations", "database"}
	if s.Engine == "sqlite" {
		columns = append(columns, "in use", "log", "journal", "CPU per flow")
	} else {
		columns = append(columns, "dead rows", "`pg_wal`", "log written per flow", "autovacuums", "CPU per flow: Beckon",
			"PostgreSQL")
	}
	return "| " + strings.Join(columns, " | ") + " |\n" + strings.Repeat("|---", len(columns)) + "|"
}

// line returns the line of the last point. The cost of a flow is since the line before.
func (s *series) line() string {
	p, before := s.Points[len(s.Points)-1], s.base
	if len(s.Points) > 1 {
		before = s.Points[len(s.Points)-2]
	}
	flows := max(p.Flows-before.Flows, 1)
	each := func(d time.Duration) string { return fmt.Sprintf("%d µs", (d / time.Duration(flows)).Microseconds()) }
	mb := func(n int64) string { return fmt.Sprintf("%d MB", n/1e6) }
	at := fmt.Sprintf("%d:%02d", p.At/3600, p.At/60%60)
	cells := []any{at, p.Flows, p.Records, p.Invitations, mb(p.Database)}
	if s.Engine == "sqlite" {
		cells = append(cells, mb(p.Used), mb(p.Log), mb(p.Journal), each(p.CPU-before.CPU))
	} else {
		cells = append(cells, p.Dead, mb(p.Log), fmt.Sprintf("%d B", (p.Written-before.Written)/int64(flows)), p.Vacuums,
			each(p.CPU-before.CPU), each(p.ServerCPU-before.ServerCPU))
	}
	var b strings.Builder
	for _, c := range cells {
		fmt.Fprintf(&b, "| %v ", c)
	}
	return b.String() + "|"
}
