package invite_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/invite"
)

// twin is a deliberately simple model: it scans all invitees each time, and has no counts, due times and heads.
type twin struct {
	invitees map[string]*invitee
	limit    int
	minRing  int64
	deadline int64
}

type invitee struct {
	state    invite.State
	reason   string
	by       string // device that answered
	deadline int64
	rang     bool
}

func (m *twin) fold(now int64) {
	for _, p := range m.invitees {
		if p.state == invite.Open && p.deadline != 0 && now >= p.deadline {
			p.state = invite.TimedOut
		}
	}
}

func (m *twin) count(s invite.State) (n int) {
	for _, p := range m.invitees {
		if p.state == s {
			n++
		}
	}
	return n
}

// answer reports whether the act succeeds.
func (m *twin) answer(user, device string, to invite.State) bool {
	p := m.invitees[user]
	if p == nil {
		return false
	}
	if p.state == to && p.by == device {
		return true
	}
	if p.state != invite.Open {
		return false
	}
	p.state, p.by = to, device
	if to == invite.Accepted && m.count(invite.Accepted) == m.limit {
		for _, q := range m.invitees {
			if q.state == invite.Open {
				q.state, q.reason = invite.Cancelled, invite.ReasonAnswered
			}
		}
	}
	return true
}

func (m *twin) ring(user string, now int64) bool {
	p := m.invitees[user]
	if p == nil || p.state != invite.Open {
		return false
	}
	if !p.rang {
		p.rang = true
		if fair := now + m.minRing*1000; p.deadline != 0 && fair > p.deadline {
			p.deadline = fair
		}
	}
	return true
}

// cancel reports whether any invitee was cancelled.
func (m *twin) cancel(names []string) bool {
	some := false
	for user, p := range m.invitees {
		named := len(names) == 0
		for _, n := range names {
			named = named || n == user
		}
		if named && p.state == invite.Open {
			p.state, some = invite.Cancelled, true
		}
	}
	return some
}

// TestAgainstTheTwin drives the rules and the twin with the same actions, times and timers that fire late or never.
func TestAgainstTheTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		users := []string{"a", "b", "c", "d", "e"}[:rapid.IntRange(1, 5).Draw(t, "people")]
		terms := invite.Terms{ID: "i", Inviter: "x", GroupID: rapid.SampledFrom([]string{"", "g"}).Draw(t, "group"),
			Notify:  invite.NotifyMembers,
			Timeout: rapid.Int64Range(0, 20).Draw(t, "timeout"), MinRing: rapid.Int64Range(0, 10).Draw(t, "minRing"),
			AcceptLimit: rapid.IntRange(0, 3).Draw(t, "limit")}
		now := int64(1_000_000)
		v, list := invite.New(terms, users, invite.Actor{User: "x"}, "p", now)
		s := &stage{v: v, who: map[string]*invite.Invitee{}, created: true}
		m := &twin{invitees: map[string]*invitee{}, limit: terms.AcceptLimit, minRing: terms.MinRing, deadline: v.Deadline}
		for i := range list {
			s.who[list[i].UserID], s.order = &list[i], append(s.order, list[i].UserID)
			m.invitees[list[i].UserID] = &invitee{deadline: v.Deadline}
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now += rapid.Int64Range(0, 4000).Draw(t, "wait")
			m.fold(now)
			step(t, s, m, now)
			agree(t, s, m, now)
		}
	})
}

func step(t *rapid.T, s *stage, m *twin, now int64) {
	user := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "n"}).Draw(t, "user")
	device := rapid.SampledFrom([]string{"1", "2"}).Draw(t, "device")
	by := invite.Actor{User: user, Device: device}
	var got []string
	var want bool
	switch what := rapid.SampledFrom([]string{"accept", "reject", "ring", "cancel", "cancelSome", "expire", "stranger",
		"add"}).Draw(t, "what"); what {
	case "accept":
		got, want = s.step(invite.Answer{Act: invite.Accept, By: by}, now), m.answer(user, device, invite.Accepted)
	case "reject":
		got, want = s.step(invite.Answer{Act: invite.Reject, By: by}, now), m.answer(user, device, invite.Rejected)
	case "ring":
		got, want = s.step(invite.Answer{Act: invite.Ring, By: by}, now), m.ring(user, now)
	case "cancel":
		got, want = s.change(invite.Cancel(s.v, s.open(), nil, invite.Actor{User: "x"}, now)), m.cancel(nil)
	case "cancelSome":
		if m.invitees[user] == nil {
			return
		}
		got, want = s.change(invite.Cancel(s.v, s.named([]string{user}), []string{user}, invite.Actor{User: "x"},
			now)), m.cancel([]string{user})
	case "stranger":
		got = s.change(invite.Cancel(s.v, s.open(), nil, by, now))
	case "expire":
		got, want = s.change(invite.Expire(s.v, s.open(), now), nil), true
	case "add":
		fresh := fmt.Sprintf("f%d", len(m.invitees))
		timeout := rapid.Int64Range(0, 10).Draw(t, "own")
		deadline := m.deadline
		if timeout > 0 {
			deadline = now + timeout*1000
		}
		got = s.change(invite.Add(s.v, s.named([]string{fresh}), []string{fresh}, timeout, invite.Actor{User: "x"}, now))
		// The header cannot know whether the last one open is late by a longer ring; the twin follows it there.
		if want = !refusedBy(got); want {
			m.invitees[fresh] = &invitee{deadline: deadline}
			if m.count(invite.Open) == 0 {
				t.Fatalf("no invitee is open after an add")
			}
		} else if m.count(invite.Open) > 0 && (deadline == 0 || now < deadline) {
			t.Fatalf("add was refused with an open invitee: %v", got)
		}
	}
	if want == refusedBy(got) {
		t.Fatalf("the twin says success=%v, the rules say %v", want, got)
	}
}

func refusedBy(lines []string) bool {
	return len(lines) > 0 && len(lines[0]) > 7 && lines[0][:7] == "refused"
}

// agree compares all invitees, and the counts with the invitees.
func agree(t *rapid.T, s *stage, m *twin, now int64) {
	m.fold(now)
	counts := invite.Counts{}
	for user, p := range m.invitees {
		w := s.who[user]
		if w.StateAt(now) != p.state {
			t.Fatalf("%s is %s by the rules and %s by the twin", user, w.StateAt(now), p.state)
		}
		switch w.State {
		case invite.Open:
			counts.Open++
			if s.v.Due != 0 && w.Deadline != 0 && s.v.Due > w.Deadline || s.v.Due == 0 && w.Deadline != 0 {
				t.Fatalf("due %d is after the deadline %d of %s: a timeout would be late", s.v.Due, w.Deadline, user)
			}
		case invite.Accepted:
			counts.Accepted++
		case invite.Rejected:
			counts.Rejected++
		case invite.Cancelled:
			counts.Cancelled++
		case invite.TimedOut:
			counts.TimedOut++
		}
	}
	if counts != s.v.Counts {
		t.Fatalf("the counts are %+v, the invitees give %+v", s.v.Counts, counts)
	}
}

// FuzzRules feeds arbitrary actions: nothing panics, a final state never changes, and refusals have numbers.
func FuzzRules(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7}, int64(10), int64(3), 1)
	f.Add([]byte{8, 8, 1, 0, 250, 17}, int64(0), int64(0), 0)
	f.Fuzz(func(t *testing.T, script []byte, timeout, minRing int64, limit int) {
		terms := invite.Terms{ID: "i", Inviter: "x", Notify: invite.NotifyMembers, Timeout: timeout, MinRing: minRing,
			AcceptLimit: limit}
		users := []string{"a", "b", "c"}
		if terms.Check(users) != nil {
			return
		}
		now := int64(1_000_000)
		v, list := invite.New(terms, users, invite.Actor{User: "x"}, "p", now)
		s := &stage{v: v, who: map[string]*invite.Invitee{}, created: true}
		for i := range list {
			s.who[list[i].UserID], s.order = &list[i], append(s.order, list[i].UserID)
		}
		for _, b := range script {
			now += int64(b) * 20
			final := map[string]invite.State{}
			for u, w := range s.who {
				final[u] = w.StateAt(now)
			}
			fuzzStep(s, b, now)
			for u, was := range final {
				if got := s.who[u].StateAt(now); was != invite.Open && got != was {
					t.Fatalf("%s was %s and became %s", u, was, got)
				}
			}
		}
	})
}

func fuzzStep(s *stage, b byte, now int64) {
	by := invite.Actor{User: string('a' + rune(b%4)), Device: string('1' + rune(b>>2&1)),
		RequestID: string('r' + rune(b>>3&1))}
	inviter := invite.Actor{User: "x", RequestID: by.RequestID}
	switch b >> 4 % 9 {
	case 0, 1:
		s.step(invite.Answer{Act: invite.Accept, By: by}, now)
	case 2:
		s.step(invite.Answer{Act: invite.Reject, By: by}, now)
	case 3:
		s.step(invite.Answer{Act: invite.Ring, By: by}, now)
	case 4:
		s.change(invite.Cancel(s.v, s.open(), nil, inviter, now))
	case 5:
		s.change(invite.Modify(s.v, "d", inviter, now))
	case 6:
		s.change(invite.Add(s.v, s.named([]string{"f" + by.Device}), []string{"f" + by.Device}, int64(b), inviter, now))
	case 7:
		s.change(invite.Expire(s.v, s.open(), now), nil)
	default:
		if w := s.who[by.User]; w != nil {
			s.change(invite.Leave(s.v, s.named([]string{by.User}), now), nil)
		}
	}
}

// BenchmarkAccept: the rules never see more than one invitee for an answer, so its cost does not grow.
func BenchmarkAccept(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("%d-invitees", n), func(b *testing.B) {
			users := make([]string, n)
			for i := range users {
				users[i] = fmt.Sprintf("u%d", i)
			}
			v, list := invite.New(invite.Terms{ID: "i", Inviter: "x", GroupID: "g", Timeout: 30}, users, invite.Actor{User: "x"},
				"p", 1)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := invite.Apply(v, &list[n/2], invite.Answer{By: invite.Actor{User: users[n/2], Device: "d"}},
					2); err != nil {
					b.Fatal(err, im.CodeOf(err))
				}
			}
		})
	}
}
