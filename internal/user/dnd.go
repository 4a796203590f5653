package user

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// SetDoNotDisturb sets the caller's do-not-disturb times.
func (p *Users) SetDoNotDisturb(_ context.Context, by rpc.Caller,
	req protocol.DoNotDisturb) (rpc.Txn[protocol.DoNotDisturbResponse], error) {
	q, err := quietOf(req)
	if err != nil {
		return rpc.Txn[protocol.DoNotDisturbResponse]{}, err
	}
	return change(p, by, func(tx *txn.Tx, me *txn.User) (protocol.DoNotDisturbResponse, *protocol.PersonEvent, error) {
		if me.DND = ""; q != (im.Quiet{}) {
			me.DND = string(rpc.Encode(q))
		}
		return protocol.DoNotDisturbResponse{DoNotDisturb: req, Active: q.Active(tx.Now), ServerTime: tx.Now},
			&protocol.PersonEvent{Disturb: &req}, nil
	})
}

func quietOf(d protocol.DoNotDisturb) (im.Quiet, error) {
	q := im.Quiet{Until: d.Until, Zone: d.ZoneOffset, Show: d.Show, Daily: d.DailyFrom != "" || d.DailyUntil != ""}
	switch {
	case d.Until < 0:
		return q, im.Bad("until", "is negative")
	case d.ZoneOffset < -720 || d.ZoneOffset > 840:
		return q, im.Bad("zoneOffset", "must be from -720 to 840 minutes")
	case !q.Daily:
		return q, nil
	}
	var err error
	if q.From, err = minutes("dailyFrom", d.DailyFrom); err != nil {
		return q, err
	}
	q.To, err = minutes("dailyUntil", d.DailyUntil)
	return q, err
}

// clock is the format of a time of day.
const clock = "15:04"

func minutes(field, text string) (int, error) {
	t, err := time.Parse(clock, text)
	if err != nil {
		return 0, im.Bad(field, "must have the form 22:00")
	}
	return t.Hour()*60 + t.Minute(), nil
}

// GetDoNotDisturb returns the caller's do-not-disturb setting.
func (p *Users) GetDoNotDisturb(ctx context.Context, by rpc.Caller, _ protocol.Empty) (protocol.DoNotDisturbResponse,
	error) {
	res := protocol.DoNotDisturbResponse{ServerTime: p.store.Now()}
	me, err := p.store.User(ctx, by.UserID)
	if err != nil {
		return res, im.Internal(err)
	}
	if me == nil || me.DND == "" {
		return res, nil
	}
	var q im.Quiet
	if err := json.Unmarshal([]byte(me.DND), &q); err != nil {
		return res, im.Internal(err)
	}
	res.Active = q.Active(res.ServerTime)
	res.DoNotDisturb = protocol.DoNotDisturb{Until: q.Until, ZoneOffset: q.Zone, Show: q.Show}
	if q.Daily {
		res.DoNotDisturb.DailyFrom = fmt.Sprintf("%02d:%02d", q.From/60, q.From%60)
		res.DoNotDisturb.DailyUntil = fmt.Sprintf("%02d:%02d", q.To/60, q.To%60)
	}
	return res, nil
}
