//go:build linux

package main

import (
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// queueLength limits the packets of a path that wait, those of a delay included.
const queueLength = 8192

// Conditions are the properties of a user's network, in each direction. The zero value passes everything at once.
type Conditions struct {
	DelayMS  int      `json:"delay"` // one way
	Loss     float64  `json:"loss"`  // percent
	RateKbit int      `json:"rate"`  // 0 = unlimited
	QueueMS  int      `json:"queue"` // of a limited rate; packets beyond it are dropped. 0 = 500
	Drop     []string `json:"drop"`  // all, udp, tcp, udp:PORT or tcp:PORT, by the port of the server
}

// blocks reports whether a packet is dropped that has this port at the server.
func (c Conditions) blocks(p packet, port uint16) bool {
	proto := "udp"
	if p.tcp {
		proto = "tcp"
	}
	for _, d := range c.Drop {
		if d == "all" || d == proto || d == proto+":"+strconv.Itoa(int(port)) {
			return true
		}
	}
	return false
}

// path is one direction between a user and the server.
type path struct {
	to    io.Writer
	queue chan delayed

	mu         sync.Mutex // guards the fields below
	conditions Conditions
	random     *rand.Rand
	free       time.Time // the end of the transmission of the last packet at the limited rate
	counts     Counts
}

// delayed is a packet with the time of its arrival.
type delayed struct {
	data []byte
	at   time.Time
}

// Counts are the packets of one direction.
type Counts struct {
	UDP     int `json:"udp"`
	TCP     int `json:"tcp"`
	Dropped int `json:"dropped"`
}

func newPath(to io.Writer, seed uint64) *path {
	return &path{to: to, queue: make(chan delayed, queueLength), random: rand.New(rand.NewPCG(seed, seed))}
}

func (p *path) set(c Conditions) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conditions, p.free = c, time.Time{}
}

func (p *path) count() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts
}

// send drops a packet or delivers it later. port is that of the server.
func (p *path) send(pk packet, port uint16, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.conditions
	if c.blocks(pk, port) || c.Loss > 0 && p.random.Float64()*100 < c.Loss {
		p.counts.Dropped++
		return
	}
	at := now
	if c.RateKbit > 0 {
		most := time.Duration(c.QueueMS) * time.Millisecond
		if most == 0 {
			most = 500 * time.Millisecond
		}
		if p.free.Before(now) {
			p.free = now
		}
		if p.free.Sub(now) > most {
			p.counts.Dropped++
			return
		}
		p.free = p.free.Add(time.Duration(len(pk.data)) * 8 * time.Millisecond / time.Duration(c.RateKbit))
		at = p.free
	}
	select {
	case p.queue <- delayed{append([]byte(nil), pk.data...), at.Add(time.Duration(c.DelayMS) * time.Millisecond)}:
		if pk.tcp {
			p.counts.TCP++
		} else {
			p.counts.UDP++
		}
	default:
		p.counts.Dropped++
	}
}

// run delivers packets, in order.
func (p *path) run() {
	for d := range p.queue {
		time.Sleep(time.Until(d.at))
		_, _ = p.to.Write(d.data) // an interface that is down drops packets
	}
}
