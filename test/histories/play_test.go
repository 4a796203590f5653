package histories

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// play is one invitation with all that is done to it, drawn from the seed.
type play struct {
	id      string
	inviter string
	group   string
	list    []string // invitees; empty with everyone
	fields  map[string]any
	acts    []act
	added   []string
	online  bool
	notice  bool
	partic  bool
}

// act is what somebody does some time after the invite.
type act struct {
	after  time.Duration
	user   string
	device int
	method string
	fields map[string]any
}

// cast is who takes part.
type cast struct {
	users  []string
	groups map[string][]string
}

// draw makes an invitation of the n-th number.
func (c *cast) draw(r *rand.Rand, seed uint64, n int) *play {
	p := &play{id: fmt.Sprintf("h%x-%d", seed, n), fields: map[string]any{"data": fmt.Sprintf("data %d", n)}}
	kind := r.IntN(10)
	others := slices.Clone(c.users)
	if kind >= 5 {
		p.group = fmt.Sprintf("g%d", r.IntN(len(c.groups)))
		others = slices.Clone(c.groups[p.group])
	}
	r.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	p.inviter, others = others[0], others[1:]
	count := 1
	if kind >= 3 {
		count = 2 + r.IntN(3)
	}
	p.list = others[:count]
	p.fields["inviteID"] = p.id
	if r.IntN(20) > 0 || kind < 3 {
		p.fields["timeout"] = 1 + r.IntN(3)
	} else {
		// else it never ends
		p.acts = append(p.acts, act{2 * time.Second, p.inviter, 0, "cancel", map[string]any{"inviteID": p.id}})
	}
	p.online = r.IntN(8) == 0
	if p.online {
		p.fields["onlineUserOnly"] = true
	}
	p.notice = r.IntN(25) == 0
	switch {
	case kind < 3:
		p.fields["invitee"] = p.list[0]
		p.fields["mergeGlare"] = r.IntN(2) == 0
	case kind >= 5 && r.IntN(4) == 0:
		p.inviter = c.groups[p.group][0] // the owner: not everybody may invite everyone
		p.fields["groupID"], p.fields["everyone"] = p.group, true
		p.list = slices.DeleteFunc(slices.Clone(c.groups[p.group]), func(u string) bool { return u == p.inviter })
	default:
		p.fields["inviteeList"] = p.list
		if kind >= 5 {
			p.fields["groupID"] = p.group
		}
	}
	for i := range p.acts {
		p.acts[i].user = p.inviter
	}
	if kind >= 5 && r.IntN(3) == 0 {
		p.fields["notify"], p.partic = "participants", true
	}
	if p.notice {
		delete(p.fields, "timeout")
		delete(p.fields, "mergeGlare")
		p.fields["notice"], p.acts, p.online = true, nil, false
		delete(p.fields, "onlineUserOnly")
		return p
	}
	c.options(r, p, others[min(count, len(others)):])
	return p
}

// options draws the rest of an invitation that can be answered.
func (c *cast) options(r *rand.Rand, p *play, rest []string) {
	soon := func(ms int) time.Duration { return time.Duration(r.IntN(ms)) * time.Millisecond }
	if _, ends := p.fields["timeout"]; ends && r.IntN(5) == 0 {
		p.fields["minRing"] = 1 + r.IntN(2)
	}
	if len(p.list) > 1 && r.IntN(3) == 0 {
		p.fields["acceptLimit"] = 1 + r.IntN(2)
	}
	answering := slices.Clone(p.list)
	if len(p.list) > 1 && r.IntN(4) == 0 && len(rest) > 0 && p.fields["everyone"] == nil {
		p.added = rest[:1]
		answering = append(answering, rest[0])
		p.acts = append(p.acts, act{soon(800), p.inviter, r.IntN(3), "addInvitees",
			map[string]any{"inviteID": p.id, "inviteeList": p.added}})
	}
	for _, u := range answering {
		for range 1 + r.IntN(5)/4 { // sometimes two devices race
			do := act{soon(1500), u, r.IntN(3), []string{"accept", "accept", "reject", "ring", ""}[r.IntN(5)],
				map[string]any{"inviteID": p.id, "data": "by " + u}}
			if do.method == "reject" && r.IntN(2) == 0 {
				do.fields["reason"] = "busy"
			}
			if do.method == "ring" {
				delete(do.fields, "data")
			}
			if do.method != "" {
				p.acts = append(p.acts, do)
			}
		}
	}
	own := func(method string, fields map[string]any) {
		fields["inviteID"] = p.id
		p.acts = append(p.acts, act{soon(1500), p.inviter, r.IntN(3), method, fields})
	}
	if r.IntN(5) == 0 {
		own("cancel", map[string]any{"data": "enough"})
	}
	if len(p.list) > 1 && r.IntN(5) == 0 {
		own("cancel", map[string]any{"inviteeList": []string{p.list[r.IntN(len(p.list))]}})
	}
	if r.IntN(6) == 0 {
		own("modifyInvitation", map[string]any{"data": "modified"})
	}
}

// stage is where invitations are played.
type stage struct {
	cast
	devices map[string][]*device
	mu      sync.Mutex
	played  []*play
	refused map[int]int // by number, what the server refused
	merged  int
	killed  []int64 // when a node was killed, in milliseconds
}

func (s *stage) device(user string, n int) *device {
	list := s.devices[user]
	return list[n%len(list)]
}

// run plays one invitation to its last act.
func (s *stage) run(ctx context.Context, p *play, device int) error {
	method := "invite"
	if p.group != "" {
		method = "inviteInGroup"
	}
	a, err := s.device(p.inviter, device).do(ctx, method, p.fields)
	if err != nil {
		return err
	}
	s.mu.Lock()
	switch {
	case a.Code != 0:
		s.refused[a.Code]++
	case a.Merged:
		s.merged++
	default:
		s.played = append(s.played, p)
	}
	s.mu.Unlock()
	if a.Code == 6017 || a.Code == 10002 {
		return fmt.Errorf("%s %v was refused: %s", method, p.fields, a.Message)
	}
	if a.Code != 0 || a.Merged {
		return nil
	}
	slices.SortStableFunc(p.acts, func(x, y act) int { return int(x.after - y.after) })
	begun := time.Now()
	var acts sync.WaitGroup
	var first error
	for _, x := range p.acts {
		wait := time.NewTimer(time.Until(begun.Add(x.after))) // the act's time, drawn from the seed
		<-wait.C
		acts.Go(func() {
			a, err := s.device(x.user, x.device).do(ctx, x.method, x.fields)
			s.mu.Lock()
			defer s.mu.Unlock()
			if a.Code != 0 {
				s.refused[a.Code]++
			}
			if err != nil && first == nil {
				first = err
			}
		})
	}
	acts.Wait()
	return first
}
