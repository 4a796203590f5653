package main

import (
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/beckon-im/beckon/test/cluster"
)

// The removal of a flow by retention, from docs/operating.md (make retention): it takes simulated hours.
const (
	removalNode     = 0.13 // of the cost of a flow
	removalPostgres = 0.27
	removalLog      = 3_600.0 // bytes
	removalDisk     = 1_000.0 // dead rows between two runs of autovacuum
)

// The memory of a connected user, and of each group of a user, from docs/performance.md (make bench-connects): in this
// measurement it is lost in that of three nodes.
const (
	userBytes  = 11_366 // 11.1 KiB
	groupBytes = 186    // 18.2 KiB for a hundred
)

const (
	nodes   = 3
	little  = 150 // users of a cluster that is almost empty
	idlers  = 3000
	callers = 600
	slow    = 40  // flows per second at which each commit holds one action
	groups  = 100 // of each user
)

// result is the output of "beckon bench --json".
type result struct {
	Flows         float64            `json:"flows"`
	Seconds       float64            `json:"seconds"`
	Users         float64            `json:"users"`
	Failures      int                `json:"failures"`
	CPUPerFlow    float64            `json:"serverCPUPerFlowMicros"`
	AlsoPerFlow   map[string]float64 `json:"otherCPUPerFlowMicros"`
	BytesPerFlow  float64            `json:"databaseBytesPerFlow"`
	UnitsPerBatch float64            `json:"unitsPerBatch"`
	RSS           float64            `json:"serverRSSBytes"`
	BytesPerUser  float64            `json:"serverBytesPerUser"`
	CPUPerConnect float64            `json:"serverCPUPerConnectMicros"`

	size Size
}

func (r result) cost() Cost {
	return Cost{r.CPUPerFlow, r.AlsoPerFlow["postgres"], r.AlsoPerFlow["nats"]}
}

func (r result) point() Point { return Point{Actions: r.UnitsPerBatch, Cost: r.cost()} }

// site is a cluster under measurement. NATS runs in this process, which does nothing else meanwhile.
type site struct {
	*cluster.Cluster
	program string
	dir     string
	db      *pgx.Conn
	stop    func() // ends the receiver of webhooks; nil = there is none
}

func open(ctx context.Context, program string, args ...string) (*site, error) {
	dir, err := os.MkdirTemp("", "beckon-sizing-")
	if err != nil {
		return nil, err
	}
	s := &site{program: program, dir: dir}
	s.Cluster, err = cluster.Start(ctx, cluster.Options{Program: program, Dir: dir, Nodes: nodes, Plain: true,
		Log: io.Discard,
		Args: append([]string{"--user-rate", "1e6", "--user-burst", "1000000", "--address-rate", "1e6", "--address-burst",
			"1000000", "--members-per-day=-1", "--groups-per-day=-1"}, args...)})
	if err == nil {
		s.db, err = pgx.Connect(ctx, s.Primary.URL("beckon"))
	}
	if err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

// openWithWebhooks returns a cluster that sends its events to a receiver in this process.
func openWithWebhooks(ctx context.Context, program string) (*site, error) {
	r := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	secret := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32))
	s, err := open(ctx, program, "--webhook", r.URL, "--webhook-secret", secret)
	if err != nil {
		r.Close()
		return nil, err
	}
	s.stop = r.Close
	return s, nil
}

func (s *site) close(ctx context.Context) error {
	var err error
	if s.stop != nil {
		defer s.stop()
	}
	if s.db != nil {
		err = s.db.Close(ctx)
	}
	if s.Cluster != nil {
		err = errors.Join(err, s.Close())
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// bench runs the load generator, and measures the growth of PostgreSQL by its flows.
func (s *site) bench(ctx context.Context, args ...string) (r result, err error) {
	var servers []string
	for _, n := range s.Nodes {
		servers = append(servers, "http://"+n.Addr)
	}
	return s.benchOn(ctx, servers, args...)
}

// benchOn does so on some nodes, and measures the others too, by "node1" and so on.
func (s *site) benchOn(ctx context.Context, servers []string, args ...string) (r result, err error) {
	also := "postgres=" + strconv.Itoa(s.Primary.PID()) + "+;nats=" + strconv.Itoa(os.Getpid())
	for i, n := range s.Nodes[len(servers):] {
		also += fmt.Sprintf(";node%d=%d", len(servers)+i, n.PID())
	}
	before, err := s.stored(ctx)
	if err != nil {
		return r, err
	}
	fmt.Fprintln(os.Stderr, "beckon bench", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, s.program, append([]string{"bench", "--json", "--server", strings.Join(servers, ","),
		"--data", s.Nodes[0].Data, "--also", also}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("beckon bench %s: %w", strings.Join(args, " "), err)
	}
	if len(out) == 0 { // an import
		return r, nil
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return r, fmt.Errorf("beckon bench %s: %w: %s", strings.Join(args, " "), err, out)
	}
	if r.Failures > 0 {
		return r, fmt.Errorf("beckon bench %s: %d of %.0f flows failed", strings.Join(args, " "), r.Failures, r.Flows)
	}
	after, err := s.stored(ctx)
	if r.Flows > 0 {
		r.size = after.plus(before.times(-1)).times(1 / r.Flows)
		r.size.Link = r.BytesPerFlow
	}
	return r, err
}

//go:embed stored.sql
var storedQuery string

// stored returns the size of the database, and the position in its log.
func (s *site) stored(ctx context.Context) (z Size, err error) {
	return z, s.db.QueryRow(ctx, storedQuery).Scan(&z.Disk, &z.Log)
}

// measureAll measures constants, in steps separated by commas, and writes them. The others stay.
func measureAll(ctx context.Context, c Constants, program, steps, file string) error {
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	c.Date, c.Machine = time.Now().UTC().Format(time.DateOnly), fmt.Sprintf("%d cores shared by %d nodes, "+
		"PostgreSQL with an fsync at each commit, NATS and the generator", runtime.NumCPU(), nodes)
	all := map[string]func(context.Context, string, *Constants) error{"flows": flows, "webhooks": hooked, "idle": idle,
		"check": check}
	for name := range strings.SplitSeq(steps, ",") {
		step := all[name]
		if step == nil {
			return fmt.Errorf("there is no step %q", name)
		}
		if err := step(ctx, program, &c); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

var (
	few    = []string{"--users", strconv.Itoa(callers), "--rate", strconv.Itoa(slow), "--duration", "20s"}
	many   = []string{"--users", strconv.Itoa(callers), "--duration", "15s", "--warmup", "0s"}
	warmUp = []string{"--users", strconv.Itoa(callers), "--duration", "5s"}
)

// flows measures flows one-to-one and to ten users of a group, in small and large commits.
func flows(ctx context.Context, program string, c *Constants) (err error) {
	s, err := open(ctx, program)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if _, err := s.bench(ctx, warmUp...); err != nil {
		return err
	}
	for _, kind := range []struct {
		line *Line
		size *Size
		args []string
	}{{&c.Flow, &c.Disk, nil}, {&c.GroupFlow, &c.GroupSize, []string{"--group", "11"}}} {
		at, full, args := few, many, kind.args
		if args != nil {
			at = []string{"--users", strconv.Itoa(callers), "--rate", strconv.Itoa(slow / 8), "--duration", "20s"}
			full = []string{"--users", strconv.Itoa(callers), "--flight", "16", "--duration", "15s", "--warmup", "0s"}
		}
		slowly, err := s.bench(ctx, append(at, args...)...)
		if err != nil {
			return err
		}
		fast, err := s.bench(ctx, append(full, args...)...)
		if err != nil {
			return err
		}
		kind.line.Few, kind.line.Many, *kind.size = slowly.point(), fast.point(), fast.size
	}
	if err := s.unread(ctx, c); err != nil {
		return err
	}
	c.Removal = Cost{c.Flow.Many.Cost.Node * removalNode, c.Flow.Many.Cost.Postgres * removalPostgres, 0}
	c.Removed = Size{Disk: removalDisk, Log: removalLog}
	return nil
}

// unread measures flows on one node, of which the other nodes receive the records of the shards that they keep: as many
// shards each as there are nodes.
func (s *site) unread(ctx context.Context, c *Constants) error {
	r, err := s.benchOn(ctx, []string{"http://" + s.Nodes[0].Addr}, many...)
	if err != nil {
		return err
	}
	still, err := s.benchOn(ctx, []string{"http://" + s.Nodes[0].Addr}, "--users", "2", "--rate", "1", "--duration", "10s")
	if err != nil {
		return err
	}
	perSecond := func(r result, name string) float64 { return r.AlsoPerFlow[name] * r.Flows / r.Seconds }
	for i := 1; i < nodes; i++ {
		name := fmt.Sprint("node", i)
		c.Unread.Node += (perSecond(r, name) - perSecond(still, name)) * r.Seconds / r.Flows * nodes / (nodes - 1)
	}
	c.Unread.NATS = r.AlsoPerFlow["nats"] * nodes / (nodes - 1)
	return nil
}

// hooked measures the additional cost of a flow with webhooks.
func hooked(ctx context.Context, program string, c *Constants) (err error) {
	s, err := openWithWebhooks(ctx, program)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if _, err := s.bench(ctx, warmUp...); err != nil {
		return err
	}
	slowly, err := s.bench(ctx, few...)
	if err != nil {
		return err
	}
	fast, err := s.bench(ctx, many...)
	if err != nil {
		return err
	}
	more := func(r result) Point {
		p := r.point()
		p.Cost = p.Cost.plus(c.Flow.at(r.UnitsPerBatch).times(-1))
		p.Cost.NATS = 0 // this process is the receiver, too
		return p
	}
	c.Webhook = Line{Few: more(slowly), Many: more(fast)}
	c.Hooked = fast.size.plus(c.Disk.times(-1))
	return nil
}

// idle measures a cluster with few users, and the additional cost of connected users, with and without groups.
func idle(ctx context.Context, program string, c *Constants) error {
	type figures struct {
		connect, node float64
		fixed, user   Cost
	}
	measure := func(memberships int) (f figures, err error) {
		s, err := open(ctx, program)
		if err != nil {
			return f, err
		}
		defer func() { err = errors.Join(err, s.close(ctx)) }()
		perSecond := func(users int) (Cost, result, error) {
			number := strconv.Itoa(users)
			if memberships > 0 {
				if _, err := s.bench(ctx, "--users", number, "--memberships", strconv.Itoa(memberships)); err != nil {
					return Cost{}, result{}, err
				}
			}
			r, err := s.bench(ctx, "--users", number, "--rate", "1", "--duration", "30s")
			return r.cost().times(r.Flows / r.Seconds), r, err
		}
		fixed, r, err := perSecond(little)
		if err != nil {
			return f, err
		}
		f.fixed, f.node = fixed, r.RSS/nodes
		loaded, _, err := perSecond(idlers)
		if err != nil {
			return f, err
		}
		f.user = loaded.plus(fixed.times(-1)).times(1.0 / (idlers - little))
		r, err = s.bench(ctx, "--users", strconv.Itoa(idlers), "--idle")
		f.connect = r.CPUPerConnect
		return f, err
	}
	alone, err := measure(0)
	if err != nil {
		return err
	}
	member, err := measure(groups)
	if err != nil {
		return err
	}
	// One flow a second is in both measurements.
	c.Node = alone.fixed.plus(c.Flow.at(1).times(-1)).least(0).times(1.0 / nodes)
	c.User, c.Group = alone.user.least(0), member.user.plus(alone.user.times(-1)).times(1.0/groups).least(0)
	c.NodeBytes, c.UserBytes, c.GroupBytes, c.Connect = alone.node, userBytes, groupBytes, member.connect
	return nil
}

// check measures another load, and computes its plan.
func check(ctx context.Context, program string, c *Constants) (err error) {
	s, err := openWithWebhooks(ctx, program)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	const users, memberships, rate = 2000, 10, 100
	if _, err := s.bench(ctx, "--users", strconv.Itoa(users), "--memberships", strconv.Itoa(memberships)); err != nil {
		return err
	}
	if _, err := s.bench(ctx, warmUp...); err != nil {
		return err
	}
	r, err := s.bench(ctx, "--users", strconv.Itoa(users), "--rate", strconv.Itoa(rate), "--duration", "30s")
	if err != nil {
		return err
	}
	flow := c.Flow.at(r.UnitsPerBatch).plus(c.Webhook.at(r.UnitsPerBatch))
	c.Check = &Check{
		Load: fmt.Sprintf("%d users with %d groups each, %d flows per second with webhooks, %.1f actions per commit",
			users, memberships, rate, r.UnitsPerBatch),
		Planned: flow.times(r.Flows / r.Seconds).plus(c.User.plus(c.Group.times(memberships)).times(users)).
			plus(c.Node.times(nodes)),
	}
	c.Check.Measured = r.cost().times(r.Flows / r.Seconds)
	c.Check.Measured.NATS, c.Check.Planned.NATS = 0, 0 // this process is the receiver, too
	return nil
}
