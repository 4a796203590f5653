// Package bench implements "beckon bench": load generation and measurements of a running server, with the SDK.
//
// It uses the public API only.
package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// Bench configures a measurement of a running server. A flow is: invite, delivered to the invitee, accept, delivered to
// the inviter.
type Bench struct {
	Server   []string          `help:"Addresses of the server's nodes; users are distributed over them." default:"http://127.0.0.1:8787"`
	Data     string            `help:"Data directory of the server, for its secret." default:"beckon-data"`
	Secret   string            `help:"JWT secret of the server. Default: the one in the data directory." name:"jwt-secret" secret:""`
	Users    int               `help:"Connected users." default:"500"`
	Prefix   string            `help:"Prefix of user IDs." default:"bench-"`
	Flight   int               `help:"Closed loop: flows in flight." default:"64"`
	Rate     float64           `help:"Open loop: flows per second; latency counts from the intended start. 0 = closed loop." default:"0"`
	Duration time.Duration     `help:"Duration of the measurement." default:"10s"`
	Warmup   time.Duration     `help:"Duration of the warm-up." default:"2s"`
	Group    int               `help:"Invite groups of this many members instead of one user; all members accept." default:"0"`
	Payload  int               `help:"Bytes of data in each invite." default:"200"`
	Idle     bool              `help:"Only connect, and report connects per second and the server's memory per user."`
	Collect  []string          `help:"With --idle: profilers of the servers (--pprof). They collect garbage before memory is read, which is then that of live objects and stacks."`
	Member   int               `help:"Only import groups of 50, so that each user is a member of this many." default:"0" name:"memberships"`
	Deadline int               `help:"Only open this many invitations that time out, and report the delay of their timeouts." default:"0" name:"deadlines"`
	Crowd    int               `help:"Measure one group of this many members, with --users of them connected: messages, and an invitation that all members answer within 5 s." default:"0"`
	Open     int               `help:"Only open this many invitations with a deadline in an hour, without closing them." default:"0"`
	Spread   time.Duration     `help:"With --deadlines: period over which deadlines are spread, in whole seconds." default:"30s"`
	PID      []int             `help:"Processes of the server, for CPU and memory. Default: found by the addresses." name:"pid"`
	Also     map[string]string `help:"Other processes to report CPU of; a plus includes their children: postgres=123+;nats=456." placeholder:"NAME=PID"`
	JSON     bool              `help:"Print JSON instead of a table."`
}

// benchResult is the result of a run.
type benchResult struct {
	Mode           string  `json:"mode"`
	Users          int     `json:"users"`
	Flows          int64   `json:"flows"`
	Seconds        float64 `json:"seconds"`
	FlowsPerSecond float64 `json:"flowsPerSecond"`
	P50            float64 `json:"p50ms"`
	P90            float64 `json:"p90ms"`
	P99            float64 `json:"p99ms"`
	Max            float64 `json:"maxMs"`
	CPUPerFlow     float64 `json:"serverCPUPerFlowMicros,omitempty"`

	AlsoPerFlow    map[string]float64 `json:"otherCPUPerFlowMicros,omitempty"`
	TripsPerFlow   float64            `json:"databaseRoundTripsPerFlow,omitempty"`
	BytesPerFlow   float64            `json:"databaseBytesPerFlow,omitempty"`
	UnitsPerBatch  float64            `json:"unitsPerBatch,omitempty"`
	RSS            int64              `json:"serverRSSBytes,omitempty"`
	BytesPerUser   float64            `json:"serverBytesPerUser,omitempty"`
	LivePerUser    float64            `json:"serverLiveBytesPerUser,omitempty"`
	ConnectsPerSec float64            `json:"connectsPerSecond,omitempty"`
	CPUPerConnect  float64            `json:"serverCPUPerConnectMicros,omitempty"`
	TripsPerUser   float64            `json:"databaseRoundTripsPerConnect,omitempty"`
	Failures       int64              `json:"failures"`
	Disk           *Disk              `json:"fsync,omitempty"`
	Note           string             `json:"note,omitempty"`
}

// generatorGC is the GOGC of the generator: it shares the machine with the server, and should collect garbage rarely.
const generatorGC = 400

// Run measures and prints the result.
func (c *Bench) Run(ctx context.Context) error {
	debug.SetGCPercent(generatorGC)
	if len(c.PID) == 0 {
		for _, s := range c.Server {
			c.PID = append(c.PID, listener(s))
		}
	}
	b := &bench{cmd: c, flows: map[string]*flow{}, latency: hdrhistogram.New(1, 60_000_000, 3),
		web: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
	if c.Member > 0 {
		return b.importMemberships(ctx)
	}
	before, from := residentBytes(c.PID...), b.collected(ctx)
	started := from.at
	if err := b.connect(ctx); err != nil {
		return err
	}
	defer b.close()
	defer b.web.CloseIdleConnections()
	res := benchResult{Users: c.Users, ConnectsPerSec: float64(c.Users) / time.Since(started).Seconds()}
	var err error
	switch {
	case c.Idle:
		err = b.idle(ctx, &res, before, from)
	case c.Deadline > 0:
		err = b.deadlines(ctx, &res)
	case c.Crowd > 0:
		err = b.crowd(ctx, &res)
	case c.Open > 0:
		err = b.leaveOpen(ctx, &res)
	default:
		err = b.load(ctx, &res)
	}
	if err != nil {
		return err
	}
	return c.print(&res)
}

func (c *Bench) print(r *benchResult) error {
	if c.JSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "mode\t%s\n", r.Mode)
	fmt.Fprintf(w, "users connected\t%d (%.0f connects/s)\n", r.Users, r.ConnectsPerSec)
	if r.Flows > 0 {
		fmt.Fprintf(w, "flows\t%d in %.1f s = %.0f per second, %d failed\n", r.Flows, r.Seconds, r.FlowsPerSecond, r.Failures)
	}
	if r.Max > 0 {
		fmt.Fprintf(w, "latency p50 / p90 / p99 / max\t%.1f / %.1f / %.1f / %.1f ms\n", r.P50, r.P90, r.P99, r.Max)
	}
	if r.Disk != nil {
		fmt.Fprintf(w, "fsync of 4 KiB p50 / p99, before the load\t%.1f / %.1f ms\n", r.Disk.P50, r.Disk.P99)
	}
	if r.CPUPerFlow > 0 {
		fmt.Fprintf(w, "server CPU per flow\t%.0f µs\n", r.CPUPerFlow)
	}
	for name, cpu := range r.AlsoPerFlow {
		fmt.Fprintf(w, "%s CPU per flow\t%.0f µs\n", name, cpu)
	}
	if r.UnitsPerBatch > 0 {
		fmt.Fprintf(w, "actions per commit\t%.1f\n", r.UnitsPerBatch)
	}
	if r.TripsPerFlow > 0 {
		fmt.Fprintf(w, "database per flow\t%.2f round trips, %.0f bytes\n", r.TripsPerFlow, r.BytesPerFlow)
	}
	if r.CPUPerConnect > 0 {
		fmt.Fprintf(w, "per connect\t%.0f µs of server CPU, %.2f round trips to the database\n", r.CPUPerConnect,
			r.TripsPerUser)
	}
	if r.RSS > 0 {
		fmt.Fprintf(w, "server resident memory\t%.1f MiB\n", float64(r.RSS)/(1<<20))
	}
	if r.BytesPerUser > 0 {
		fmt.Fprintf(w, "resident memory per user\t%.1f KiB\n", r.BytesPerUser/1024)
	}
	if r.LivePerUser > 0 {
		fmt.Fprintf(w, "live objects and stacks per user\t%.1f KiB\n", r.LivePerUser/1024)
	}
	if r.Note != "" {
		fmt.Fprintf(w, "note\t%s\n", r.Note)
	}
	return w.Flush()
}

// bench is a running measurement. mu guards flows, latency and onMessage.
type bench struct {
	cmd     *Bench
	users   []*client.Client
	groups  []string
	mu      sync.Mutex
	flows   map[string]*flow
	latency *hdrhistogram.Histogram
	count   atomic.Int64
	failed  atomic.Int64
	counts  atomic.Bool // measuring: the warm-up is over
	onEnd   func(protocol.Signaling)

	onMessage func(protocol.Message)
	web       *http.Client
}

// flow is one invitation in flight.
type flow struct {
	start   time.Time
	waiting int
	done    chan struct{}
}

func (b *bench) name(i int) string { return fmt.Sprintf("%s%d", b.cmd.Prefix, i) }

// connect connects all users, at most 64 concurrently.
func (b *bench) connect(ctx context.Context) error {
	b.users = make([]*client.Client, b.cmd.Users)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(64)
	for i := range b.users {
		g.Go(func() error {
			token, err := beckon.MintToken(b.cmd.Data, b.cmd.Secret, b.name(i), "", 0)
			if err != nil {
				return err
			}
			u, err := client.New(client.Options{Server: b.cmd.Server[i%len(b.cmd.Server)], Token: token, DeviceID: "bench",
				NoRepeat: true, // a refused call is counted
				Listener: client.Listener{
					OnSignaling:      func(m protocol.Signaling) { b.received(i, m) },
					OnReceiveMessage: func(_ string, _ uint64, m protocol.Message) { b.message(m) },
				}})
			if err != nil {
				return err
			}
			b.users[i] = u
			ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
			defer cancel()
			return u.Connect(ctx)
		})
	}
	return g.Wait()
}

func (b *bench) close() {
	var g errgroup.Group
	g.SetLimit(64)
	for _, u := range b.users {
		if u != nil {
			g.Go(func() error { u.Close(); return nil })
		}
	}
	_ = g.Wait()
}

// received handles a signaling event of user i.
func (b *bench) received(i int, m protocol.Signaling) {
	switch {
	case m.ActionType == protocol.ActionInvite && m.Inviter != b.name(i) && b.cmd.Deadline+b.cmd.Open+b.cmd.Crowd == 0:
		go func() { // Accept waits for its response, which a callback must not do
			if _, err := b.users[i].Accept(context.Background(), m.InviteID, ""); err != nil {
				b.failed.Add(1)
			}
		}()
	case len(m.Answers) > 0 && m.Inviter == b.name(i):
		b.answered(m.InviteID, len(m.Answers))
	case m.ActionType == protocol.ActionTimeout && m.Inviter == b.name(i) && b.onEnd != nil:
		b.onEnd(m)
	}
}

func (b *bench) answered(id string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.flows[id]
	if f == nil {
		return
	}
	if f.waiting -= n; f.waiting > 0 {
		return
	}
	delete(b.flows, id)
	if b.counts.Load() {
		_ = b.latency.RecordValue(time.Since(f.start).Microseconds())
		b.count.Add(1)
	}
	close(f.done)
}

// begin starts a flow of pair or group n, with start as the start of its latency, and waits for its end.
func (b *bench) begin(ctx context.Context, n int, start time.Time) {
	f := &flow{start: start, waiting: 1, done: make(chan struct{})}
	id := client.NewID()
	data := string(make7bit(b.cmd.Payload))
	opt := protocol.InviteOptions{InviteID: id, Data: data, Timeout: 60}
	caller, callee := b.users[(2*n)%len(b.users)], b.name((2*n+1)%len(b.users))
	if len(b.groups) > 0 {
		f.waiting = b.cmd.Group - 1
		caller = b.users[(n%len(b.groups))*b.cmd.Group]
	}
	b.mu.Lock()
	b.flows[id] = f
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var err error
	if len(b.groups) > 0 {
		_, err = caller.InviteInGroup(ctx, protocol.InviteInGroupRequest{GroupID: b.groups[n%len(b.groups)], Everyone: true,
			InviteOptions: opt})
	} else {
		_, err = caller.Invite(ctx, protocol.InviteRequest{Invitee: callee, InviteOptions: opt})
	}
	if err == nil {
		select {
		case <-f.done:
			return
		case <-ctx.Done():
		}
	}
	b.mu.Lock()
	delete(b.flows, id)
	b.mu.Unlock()
	b.failed.Add(1)
}

func make7bit(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return b
}
