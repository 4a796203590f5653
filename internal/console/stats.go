package console

import (
	"context"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/stats"
	"github.com/beckon-im/beckon/internal/store/admin"
	"github.com/beckon-im/beckon/protocol/operator"
)

// maxPoints limits the points in one response.
const maxPoints = 1000

// GetStats returns statistics over time.
func (c *Console) GetStats(ctx context.Context, _ rpc.Caller,
	req operator.GetStatsRequest) (res operator.GetStatsResponse, err error) {
	finest := int64(stats.Step / time.Second)
	now := c.store.Now()
	if req.Until == 0 {
		req.Until = now
	}
	if req.From == 0 {
		req.From = req.Until - (24 * time.Hour).Milliseconds()
	}
	switch {
	case req.Until > now+stats.Kept.Milliseconds():
		return res, im.Bad("until", "must be at most 400 days in the future")
	case req.Step > int64(stats.Kept/time.Second):
		return res, im.Bad("step", "must be at most 400 days")
	case req.From < 0 || req.Until <= req.From:
		return res, im.Bad("until", "must be after from")
	case req.Step%finest != 0 || req.Step < 0:
		return res, im.Bad("step", "must be a multiple of 300 seconds")
	case req.Step == 0:
		req.Step = finest * ((req.Until-req.From)/(finest*1000*(maxPoints-1)) + 1)
	case (req.Until-req.From)/(req.Step*1000) >= maxPoints:
		return res, im.Bad("step", "must be larger: at most 1000 points are returned")
	}
	step := req.Step * 1000
	begin := req.From - req.From%step
	figures, err := admin.Stats(ctx, c.store, begin, req.Until, step, stats.Calls)
	if err != nil {
		return res, im.Internal(err)
	}
	res.Step, res.ServerTime = req.Step, now
	for at := begin; at < req.Until; at += step {
		res.Points = append(res.Points, operator.StatPoint{At: at})
	}
	times := make([]map[string]int64, len(res.Points))
	for _, f := range figures {
		if i := int((f.At - begin) / step); i < len(res.Points) {
			put(&res.Points[i], &times[i], &f)
		}
	}
	for i := range res.Points {
		res.Points[i].AnswerMs = percentiles(times[i], stats.AcceptedWithin)
		res.Points[i].RingMs = percentiles(times[i], stats.RangWithin)
	}
	return res, nil
}

func put(p *operator.StatPoint, times *map[string]int64, f *admin.Figure) {
	switch f.Name {
	case stats.Invited:
		p.Invited = f.Sum
	case stats.Accepted:
		p.Accepted = f.Sum
	case stats.Calls:
		p.Calls = f.Max
	case stats.Connections:
		p.Connections = f.Max
	case stats.Declined, stats.Busy, stats.Cancelled, stats.Elsewhere, stats.Left, stats.TimedOut:
		if p.Failures == nil {
			p.Failures = map[string]int64{}
		}
		p.Failures[f.Name] = f.Sum
	default:
		if *times == nil {
			*times = map[string]int64{}
		}
		(*times)[f.Name] = f.Sum
	}
}

// percentiles estimates percentiles by linear interpolation within the buckets with some names.
func percentiles(times map[string]int64, name func(seconds int64) string) *operator.Percentiles {
	total := times[name(stats.Later)]
	for _, b := range stats.Within() {
		total += times[name(b)]
	}
	if total == 0 {
		return nil
	}
	at := func(share int64) int64 {
		var below, from int64
		for _, b := range stats.Within() {
			n := times[name(b)]
			if n > 0 && (below+n)*100 >= total*share {
				return from + (b*1000-from)*(total*share/100-below)/n
			}
			below, from = below+n, b*1000
		}
		return from
	}
	return &operator.Percentiles{P50: at(50), P90: at(90)}
}
