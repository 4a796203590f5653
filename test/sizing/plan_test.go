package main

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

// TestConstants: the file has every constant, measured on this program.
func TestConstants(t *testing.T) {
	var c Constants
	if err := json.Unmarshal(measured, &c); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]float64{
		"a node": c.NodeBytes, "a user": c.UserBytes, "a group": c.GroupBytes, "a connect": c.Connect,
		"a user's CPU": c.User.Node, "a flow": c.Flow.Few.Cost.Postgres, "many flows": c.Flow.Many.Cost.Postgres,
		"a flow to ten": c.GroupFlow.Few.Cost.Postgres, "webhooks": c.Webhook.Few.Cost.Node, "removal": c.Removal.Postgres,
		"disk": c.Disk.Disk, "log": c.Disk.Log, "link": c.Disk.Link,
	} {
		if n <= 0 {
			t.Errorf("%s costs %v", name, n)
		}
	}
	if c.Check == nil {
		t.Fatal("no plan was compared with a measurement")
	}
	for name, pair := range map[string][2]float64{
		"nodes":      {c.Check.Planned.Node, c.Check.Measured.Node},
		"PostgreSQL": {c.Check.Planned.Postgres, c.Check.Measured.Postgres},
	} {
		if ratio := pair[0] / pair[1]; ratio < 0.67 || ratio > 1.5 {
			t.Errorf("the plan of %s is %.2f times the measurement", name, ratio)
		}
	}
}

// TestPlan computes a plan by hand.
func TestPlan(t *testing.T) {
	c := Constants{
		NodeBytes: 1 << 30, UserBytes: 10 << 10, GroupBytes: 1 << 10,
		User: Cost{Node: 10}, Connect: 1000,
		Flow: Line{Few: Point{1, Cost{1000, 2000, 100}}, Many: Point{10, Cost{100, 200, 10}}},
		Disk: Size{Disk: 1000, Log: 2000, Link: 3000},
	}
	l := Load{Users: 1_000_000, Groups: 10, Flows: 1000, Days: 1, Commit: time.Millisecond, NodeGiB: 8, NodeCores: 4}
	p := c.Plan(l)
	// memory: 1,000,000 × 20 KiB = 19.1 GiB over nodes of 4.6 GiB; processors: 10 for users, 1 for flows, over 2 each
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 0.01*want {
			t.Errorf("%s: %v instead of %v", name, got, want)
		}
	}
	near("nodes", float64(p.Nodes), 7) // 5.5 of them, and one more
	near("actions per commit", p.Actions, 1)
	near("cores of a node", p.NodeCores, 11.0/7)
	near("memory of a node", p.NodeGiB, 1+19.07/7)
	near("cores of PostgreSQL", p.PostgresCores, 2)
	near("cores of NATS", p.NATSCores, 0.1)
	near("disk", p.DiskGiB, 1000*86400*1000/float64(1<<30))
	near("log", p.LogMB, 2)
	near("connections", float64(p.Connections), 84)
	near("reconnecting", p.Reconnect, 1e6/7*1000/1e6/12)
	if at := c.Flow.at(2).Postgres; math.Abs(at-1000) > 1 { // half of the commits
		t.Errorf("with two actions a flow costs %v", at)
	}
	l.Users, l.Flows = 2*l.Users, 2*l.Flows
	more := c.Plan(l)
	if more.Nodes <= p.Nodes || more.PostgresCores < 2*p.PostgresCores-0.01 || more.DiskGiB <= p.DiskGiB {
		t.Errorf("twice the load needs %+v", more)
	}
}
