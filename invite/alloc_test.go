//go:build !race

package invite_test

import (
	"testing"

	"github.com/beckon-im/beckon/invite"
)

// TestAllocations: the rules decide an answer without allocating.
func TestAllocations(t *testing.T) {
	v, list := invite.New(invite.Terms{ID: "i", Inviter: "x", Timeout: 30}, []string{"u"}, invite.Actor{User: "x"}, "p", 1)
	n := testing.AllocsPerRun(100, func() {
		if _, err := invite.Apply(v, &list[0], invite.Answer{By: invite.Actor{User: "u", Device: "d"}}, 2); err != nil {
			t.Fatal(err)
		}
	})
	if n > 0 {
		t.Errorf("an accept takes %v allocations", n)
	}
}
