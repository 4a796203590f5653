package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// Load is the load of a cluster.
type Load struct {
	Users      int
	Groups     int     // of each user
	Flows      float64 // per second
	GroupShare float64 // of the flows, to ten members of a group
	Webhooks   bool
	Days       int           // of retention
	Commit     time.Duration // duration of a commit
	NodeGiB    float64
	NodeCores  float64
}

// Cost is the processor time of each part, in microseconds.
type Cost struct {
	Node     float64 `json:"node"`
	Postgres float64 `json:"postgres"`
	NATS     float64 `json:"nats"`
}

func (c Cost) times(n float64) Cost { return Cost{c.Node * n, c.Postgres * n, c.NATS * n} }

func (c Cost) least(n float64) Cost { return Cost{max(c.Node, n), max(c.Postgres, n), max(c.NATS, n)} }

func (c Cost) plus(d Cost) Cost {
	return Cost{c.Node + d.Node, c.Postgres + d.Postgres, c.NATS + d.NATS}
}

// Point is the cost of a flow in commits of some actions.
type Point struct {
	Actions float64 `json:"actionsPerCommit"`
	Cost    Cost    `json:"cpuMicros"`
}

// Line is the cost of a flow by the size of commits: a part for each commit, and the rest.
type Line struct {
	Few  Point `json:"few"`
	Many Point `json:"many"`
}

// at returns the cost of a flow in commits of some actions.
func (l Line) at(actions float64) Cost {
	few, many := 1/l.Few.Actions, 1/l.Many.Actions
	share := 0.0
	if few != many {
		share = (1/actions - many) / (few - many)
	}
	return l.Many.Cost.times(1 - share).plus(l.Few.Cost.times(share))
}

// Constants are the measured costs.
type Constants struct {
	Date    string `json:"date"`
	Machine string `json:"machine"`

	NodeBytes  float64 `json:"bytesOfANode"`
	UserBytes  float64 `json:"bytesOfAUser"`              // connected, of a node
	GroupBytes float64 `json:"bytesOfAGroupOfUser"`       // of a node, for each group of a user
	Node       Cost    `json:"cpuMicrosOfANodePerSecond"` // without users
	User       Cost    `json:"cpuMicrosOfAUserPerSecond"`
	Group      Cost    `json:"cpuMicrosOfAGroupOfUserPerSecond"`
	Connect    float64 `json:"cpuMicrosOfAConnect"` // of a node

	Flow      Line `json:"flow"`            // one-to-one, over three nodes
	Unread    Cost `json:"flowUnread"`      // of each node that receives the records of a flow and does not read them
	GroupFlow Line `json:"flowOfTen"`       // to ten users of a group; all accept
	Webhook   Line `json:"webhooksOfAFlow"` // more, with webhooks
	Removal   Cost `json:"removalOfAFlow"`  // more, with retention
	Disk      Size `json:"bytesOfAFlow"`    // of PostgreSQL
	Removed   Size `json:"bytesOfARemoval"` // more, with retention
	Hooked    Size `json:"bytesOfWebhooks"` // more, with webhooks
	GroupSize Size `json:"bytesOfAFlowOfTen"`

	Check *Check `json:"check"` // of the arithmetic
}

// Size is the number of bytes for a flow.
type Size struct {
	Disk float64 `json:"disk"` // in tables and indexes
	Log  float64 `json:"log"`  // sent to standbys and archives
	Link float64 `json:"link"` // between nodes and PostgreSQL
}

// Check compares a plan with a measurement of the same load, which was not used for the constants.
type Check struct {
	Load     string `json:"load"`
	Planned  Cost   `json:"plannedCPUMicrosPerSecond"`
	Measured Cost   `json:"measuredCPUMicrosPerSecond"`
}

// Of the plan. Processors and memory are used up to a share, so that a node can fail and its users connect to others.
const (
	cpuShare    = 0.5
	memoryShare = 0.7
	writers     = 2      // of a node
	readers     = 8      // connections of a node
	interest    = 1024.0 // bytes of NATS for a subscription, in each server
	shards      = 1024   // each is a subscription of each node

	measuredNodes = 3 // of the costs of a flow
	perDay        = 86_400.0
	onceIn        = 1800 // seconds between two calls of a user
)

// Plan is the size of a cluster for a load.
type Plan struct {
	Load          Load
	Actions       float64 // per commit
	Nodes         int     // one of which may fail
	NodeGiB       float64 // used by each
	NodeCores     float64 // used by each
	PostgresCores float64 // used
	NATSCores     float64
	NATSMiB       float64 // in each server, for subscriptions
	DiskGiB       float64 // of PostgreSQL
	LogMB         float64 // per second
	LogGiB        float64 // per day
	LinkMB        float64 // per second, between nodes and PostgreSQL
	Connections   int     // to PostgreSQL
	Reconnect     float64 // seconds until the users of a lost node are connected to the others
}

// Plan computes the size of a cluster for a load.
func (c Constants) Plan(l Load) Plan {
	if l.Flows == 0 {
		l.Flows = float64(l.Users) / onceIn
	}
	p := Plan{Load: l, Nodes: 1}
	for range 20 { // more nodes make smaller commits, which cost more
		before := p.Nodes
		c.plan(&p)
		if p.Nodes <= before {
			break
		}
	}
	return p
}

func (c Constants) plan(p *Plan) {
	l := p.Load
	users, flows := float64(l.Users), l.Flows
	p.Actions = max(1, 2*flows*l.Commit.Seconds()/float64(p.Nodes*writers))
	flow := c.Flow.at(p.Actions).times(1 - l.GroupShare).plus(c.GroupFlow.at(p.Actions).times(l.GroupShare))
	size := c.Disk.times(1 - l.GroupShare).plus(c.GroupSize.times(l.GroupShare)).plus(c.Removed)
	flow = flow.plus(c.Removal)
	if l.Webhooks {
		flow, size = flow.plus(c.Webhook.at(p.Actions)), size.plus(c.Hooked)
	}
	flow = flow.plus(c.Unread.times(max(0, float64(p.Nodes)-measuredNodes)))
	micros := c.Node.times(float64(p.Nodes)).plus(flow.times(flows)).
		plus(c.User.plus(c.Group.times(float64(l.Groups))).times(users))
	memory := users * (c.UserBytes + float64(l.Groups)*c.GroupBytes)
	need := math.Ceil(max(micros.Node/1e6/(l.NodeCores*cpuShare),
		memory/(l.NodeGiB*memoryShare*(1<<30)-c.NodeBytes)))
	p.Nodes = max(p.Nodes, int(need)+1) // one may fail
	n := float64(p.Nodes)
	p.NodeCores, p.NodeGiB = micros.Node/1e6/n, (memory/n+c.NodeBytes)/(1<<30)
	p.PostgresCores, p.NATSCores = micros.Postgres/1e6, micros.NATS/1e6
	p.NATSMiB = n * shards * interest / (1 << 20)
	p.DiskGiB = flows * perDay * float64(l.Days) * size.Disk / (1 << 30)
	p.LogMB, p.LinkMB = flows*size.Log/1e6, flows*size.Link/1e6
	p.LogGiB = p.LogMB * 1e6 * perDay / (1 << 30)
	p.Connections = p.Nodes * (readers + writers + 2) // two for the clock and the list of nodes
	free := (n - 1) * l.NodeCores * (1 - cpuShare)
	p.Reconnect = users / n * c.Connect / 1e6 / free
}

func (s Size) times(n float64) Size { return Size{s.Disk * n, s.Log * n, s.Link * n} }

func (s Size) plus(t Size) Size { return Size{s.Disk + t.Disk, s.Log + t.Log, s.Link + t.Link} }

// write writes plans as a table, with the constants.
func write(w io.Writer, c Constants, plans []Plan) error {
	l := plans[0].Load
	hooks := "no webhooks"
	if l.Webhooks {
		hooks = "webhooks"
	}
	fmt.Fprintf(w, "%d groups of each user, %.0f %% of the flows to ten users of a group, %s, %d days of retention, "+
		"commits of %v. Nodes with %.0f cores and %.0f GiB, of which they use %.0f and %.0f %%, and one more.\n\n",
		l.Groups, 100*l.GroupShare, hooks, l.Days, l.Commit, l.NodeCores, l.NodeGiB, 100*cpuShare, 100*memoryShare)
	rows := []struct {
		name string
		of   func(Plan) string
	}{
		{"connected users", func(p Plan) string { return thousands(float64(p.Load.Users)) }},
		{"flows per second", func(p Plan) string { return number(p.Load.Flows) }},
		{"actions per commit", func(p Plan) string { return fmt.Sprintf("%.1f", p.Actions) }},
		{"nodes", func(p Plan) string { return fmt.Sprint(p.Nodes) }},
		{"cores used of each node", func(p Plan) string { return fmt.Sprintf("%.2f", p.NodeCores) }},
		{"memory used of each node", func(p Plan) string { return fmt.Sprintf("%.1f GiB", p.NodeGiB) }},
		{"reconnecting after the loss of a node", func(p Plan) string {
			return fmt.Sprintf("%.0f s", math.Ceil(p.Reconnect))
		}},
		{"cores used of PostgreSQL", func(p Plan) string { return fmt.Sprintf("%.2f", p.PostgresCores) }},
		{"disk of PostgreSQL", func(p Plan) string { return bytes(p.DiskGiB) }},
		{"log of PostgreSQL, to standbys and archives", func(p Plan) string {
			return fmt.Sprintf("%.1f MB/s, %s a day", p.LogMB, bytes(p.LogGiB))
		}},
		{"between nodes and PostgreSQL", func(p Plan) string { return fmt.Sprintf("%.1f MB/s", p.LinkMB) }},
		{"connections to PostgreSQL", func(p Plan) string { return fmt.Sprint(p.Connections) }},
		{"cores used of NATS", func(p Plan) string { return fmt.Sprintf("%.2f", p.NATSCores) }},
		{"memory of each NATS server for subscriptions", func(p Plan) string { return fmt.Sprintf("%.0f MiB", p.NATSMiB) }},
	}
	for i, r := range rows {
		var cells []string
		for _, p := range plans {
			cells = append(cells, r.of(p))
		}
		fmt.Fprintf(w, "| %s | %s |\n", r.name, strings.Join(cells, " | "))
		if i == 0 {
			fmt.Fprintf(w, "|---|%s\n", strings.Repeat("---|", len(plans)))
		}
	}
	return printConstants(w, c)
}

// printConstants writes the constants of a plan.
func printConstants(w io.Writer, c Constants) error {
	cost := func(name string, d Cost) {
		fmt.Fprintf(w, "| %s | %.1f | %.1f | %.1f |\n", name, d.Node, d.Postgres, d.NATS)
	}
	fmt.Fprintf(w, "\nMeasured on %s, %s:\n\n| processor time in µs | nodes | PostgreSQL | NATS |\n|---|---|---|---|\n",
		c.Date, c.Machine)
	cost("a node without users, each second", c.Node)
	cost("a connected user, each second", c.User)
	cost("each group of a connected user, each second", c.Group)
	for _, f := range []struct {
		name string
		line Line
	}{{"a flow", c.Flow}, {"a flow to ten", c.GroupFlow}, {"webhooks of a flow, more", c.Webhook}} {
		for _, p := range []Point{f.line.Few, f.line.Many} {
			cost(fmt.Sprintf("%s, commits of %.1f actions", f.name, p.Actions), p.Cost)
		}
	}
	cost("a flow, on each node that does not read it", c.Unread)
	cost("removal of a flow, more", c.Removal)
	fmt.Fprintf(w, "| a connect with 100 groups | %.0f | | |\n\n| bytes | |\n|---|---|\n", c.Connect)
	for _, b := range []struct {
		name string
		n    float64
	}{{"memory of a node without users", c.NodeBytes}, {"memory of a connected user", c.UserBytes},
		{"memory of each group of a user", c.GroupBytes}} {
		fmt.Fprintf(w, "| %s | %s |\n", b.name, thousands(b.n))
	}
	fmt.Fprintf(w, "\n| bytes of PostgreSQL | disk | log | link to nodes |\n|---|---|---|---|\n")
	for _, s := range []struct {
		name string
		size Size
	}{{"a flow", c.Disk}, {"a flow to ten", c.GroupSize}, {"webhooks of a flow, more", c.Hooked},
		{"removal of a flow, more", c.Removed}} {
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", s.name, thousands(s.size.Disk), thousands(s.size.Log),
			thousands(s.size.Link))
	}
	if k := c.Check; k != nil {
		fmt.Fprintf(w, "\nA plan beside a measurement that the constants do not come from: %s\n\n"+
			"| cores used | nodes | PostgreSQL |\n|---|---|---|\n", k.Load)
		for _, row := range []struct {
			name string
			c    Cost
		}{{"planned", k.Planned}, {"measured", k.Measured}} {
			fmt.Fprintf(w, "| %s | %.3f | %.3f |\n", row.name, row.c.Node/1e6, row.c.Postgres/1e6)
		}
	}
	return nil
}

func number(n float64) string {
	if n < 10 {
		return fmt.Sprintf("%.1f", n)
	}
	return thousands(n)
}

// thousands separates thousands by commas.
func thousands(n float64) string {
	digits := fmt.Sprintf("%.0f", n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func bytes(gib float64) string {
	if gib >= 1024 {
		return fmt.Sprintf("%.1f TiB", gib/1024)
	}
	return fmt.Sprintf("%.1f GiB", gib)
}
