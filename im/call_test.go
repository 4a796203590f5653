package im_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/beckon-im/beckon/im"
)

// TestAnyCall plays joins and leaves in any order, with duplicates and late reports, and checks the invariants of every
// record.
func TestAnyCall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := im.Call{ID: "c", OpenedAt: 1_000_000}
		people := map[string]*im.Participant{}
		now := int64(1_000_000)
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			now += rapid.Int64Range(0, 20_000).Draw(t, "passes")
			u := rapid.SampledFrom([]string{"ann", "bob", "cid"}).Draw(t, "who")
			if people[u] == nil {
				people[u] = &im.Participant{CallID: "c", UserID: u}
			}
			p := people[u]
			late := rapid.Int64Range(0, 30_000).Draw(t, "told late") // LiveKit's reports may be late, and by another clock
			if c.CheckAt != 0 && c.CheckAt <= now-30_000 {
				continue // it has ended by now
			}
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				c.Join(p, string(rune('a'+i)), now-late, now)
			case 2:
				c.Leave(p, p.SID, im.LeftWent, now-late, now)
			default:
				if c.Leave(p, "an older coming in", im.LeftWent, now-late, now) {
					t.Fatal("the leave of a replaced entry removed a participant")
				}
			}
			check(t, &c, people)
		}
		now += rapid.Int64Range(0, 20_000).Draw(t, "at last")
		var all []*im.Participant
		for _, p := range people {
			all = append(all, p)
		}
		talked := c.End(all, im.LeftHangup, "ann", now)
		check(t, &c, people)
		if c.EndedAt < c.BeganAt || c.EndedAt > now || c.MS < 0 || c.MS > c.EndedAt-c.BeganAt || talked != (c.MS > 0) ||
			talked != (c.BeganAt != 0) {
			t.Fatalf("the record is wrong: %+v", c)
		}
		if c.Join(&im.Participant{UserID: "late"}, "late", now, now) {
			t.Fatal("a join of an ended call was accepted")
		}
	})
}

func check(t *rapid.T, c *im.Call, people map[string]*im.Participant) {
	in, total := 0, 0
	for _, p := range people {
		if p.JoinedAt != 0 {
			in++
		}
		if p.FirstAt != 0 {
			total++
		}
		if p.MS < 0 || p.LeftAt != 0 && p.LeftAt < p.FirstAt {
			t.Fatalf("%s was in for a negative time: %+v", p.UserID, *p)
		}
	}
	if c.EndedAt == 0 && (c.Present != in || c.Total != total) || c.EndedAt != 0 && in != 0 {
		t.Fatalf("%d are in and %d were; the call says %d and %d", in, total, c.Present, c.Total)
	}
	if c.EndedAt == 0 && in < 2 && total > 0 && c.CheckAt == 0 {
		t.Fatal("this call has no pending check")
	}
	if in >= 2 && (c.CheckAt != 0 || c.Dropped != 0 || c.BeganAt == 0) {
		t.Fatalf("the call does not have two participants: %+v", *c)
	}
}
