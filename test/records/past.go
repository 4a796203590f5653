package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"time"
)

const (
	users  = 10_000
	groups = 200
	step   = 5 * time.Minute
)

// past generates a history: more activity by day than by night, less on Sundays, and slowly increasing.
type past struct {
	out   *bufio.Writer
	put   func(line) error
	rnd   *rand.Rand
	calls int
	begin time.Time
	end   time.Time
	rows  int64
	err   error
}

func newPast(w io.Writer, calls, days int) *past {
	out := bufio.NewWriterSize(w, 1<<20)
	end := time.Now().Truncate(step)
	return &past{out: out, put: encoder(out), rnd: rand.New(rand.NewPCG(1, 2)), calls: calls,
		begin: end.AddDate(0, 0, -days), end: end}
}

func (p *past) row(values ...any) {
	if p.err == nil {
		p.rows++
		p.err = p.put(line{Row: values})
	}
}

func (p *past) table(name string) {
	if p.err == nil {
		p.err = p.put(line{Table: name})
	}
}

func user(n int) string { return fmt.Sprintf("user-%05d", n) }

// busy returns the relative activity, from 0 to about 1.
func busy(t time.Time) float64 {
	hour := float64(t.Hour()) + float64(t.Minute())/60
	day := math.Exp(-math.Pow((hour-11)/3.5, 2)) + 0.8*math.Exp(-math.Pow((hour-19)/2.5, 2)) + 0.05
	if t.Weekday() == time.Sunday {
		day *= 0.55
	}
	return day
}

// write writes the history as an export.
func (p *past) write() error {
	p.err = p.put(line{Version: 3, Epoch: "records"})
	p.accounts()
	steps := int(p.end.Sub(p.begin) / step)
	weights, total := make([]float64, steps), 0.0
	for i := range weights {
		weights[i] = busy(p.begin.Add(time.Duration(i)*step)) * (0.7 + 0.3*float64(i)/float64(steps)) * (0.85 +
			0.3*p.rnd.Float64())
		total += weights[i]
	}
	p.table("media_call")
	counts := make([]int, steps)
	left := 0.0
	n := 0
	for i, w := range weights {
		left += w / total * float64(p.calls)
		for ; left >= 1; left-- {
			p.call(n, p.begin.Add(time.Duration(i)*step+rand.N(step)))
			counts[i]++
			n++
		}
	}
	p.table("stat")
	for i, c := range counts {
		p.figures(p.begin.Add(time.Duration(i)*step).UnixMilli(), float64(c))
	}
	p.table("participant")
	for i := 0; i < n; i += 1000 { // enough to find the calls of one user
		at := p.begin.UnixMilli() + int64(i)
		p.row(fmt.Sprintf("call-%07d", i), "user-00042", "", "", at, at, at+60_000, 60_000, "hangup", "")
	}
	if p.err != nil {
		return p.err
	}
	if err := p.put(line{Rows: p.rows + 1}); err != nil {
		return err
	}
	return p.out.Flush()
}

func (p *past) accounts() {
	p.table("topic")
	for i := range users {
		p.row("user:"+user(i), 10, 10, 0, -1)
	}
	p.table("grp")
	for i := range groups {
		p.row(fmt.Sprintf("team-%03d", i), "Work", fmt.Sprintf("Team %d", i), user(i), "FreeAccess", 12, p.begin.UnixMilli(),
			0, "", "", "", "", "", 0, 0, "")
	}
	p.table("person")
	for i := range users / 2 {
		p.row(user(i), fmt.Sprintf(`{"userID":"%s","nick":"Person %d"}`, user(i), i), "", "", 0, 1_700_000_000_000*(i%3/2))
	}
}

// call writes one call record: mostly one-to-one, some in a team; from a few seconds to an hour.
func (p *past) call(n int, at time.Time) {
	began := at.Add(time.Duration(2+p.rnd.IntN(18)) * time.Second)
	lasted := time.Duration(math.Exp(p.rnd.NormFloat64()*1.1+5)) * time.Second
	ended := began.Add(lasted)
	group, peer, owner, total := "", user(p.rnd.IntN(users)), user(p.rnd.IntN(users)), 2
	if p.rnd.IntN(8) == 0 {
		group, peer, total = fmt.Sprintf("team-%03d", p.rnd.IntN(groups)), "", 3+p.rnd.IntN(9)
	}
	reason, by := "hangup", owner
	if p.rnd.IntN(30) == 0 {
		reason, by = "mediaLost", ""
	}
	id := fmt.Sprintf("call-%07d", n)
	p.row(id, "room-"+id, "", group, owner, peer, at.UnixMilli(), began.UnixMilli(), ended.UnixMilli(),
		lasted.Milliseconds(), reason, by, 0, total, 0, 0, ended.UnixMilli(), 1)
}

// figures writes the statistics of five minutes with a number of calls.
func (p *past) figures(at int64, calls float64) {
	put := func(name string, n float64) {
		if whole := int64(math.Round(n * (0.9 + 0.2*p.rnd.Float64()))); whole > 0 {
			p.row(at, "records", name, whole)
		}
	}
	invited := calls * 1.6
	put("invited", invited)
	put("accepted", calls)
	for name, share := range map[string]float64{"declined": 0.11, "busy": 0.05, "timedOut": 0.16, "cancelled": 0.07} {
		put(name, invited*share)
	}
	for name, share := range map[string]float64{"accepted:2s": 0.08, "accepted:3s": 0.14, "accepted:5s": 0.27,
		"accepted:8s": 0.25, "accepted:13s": 0.15, "accepted:20s": 0.07, "accepted:30s": 0.04} {
		put(name, calls*share)
	}
	put("calls", calls*1.1)
	put("connections", 900+calls*55)
}
