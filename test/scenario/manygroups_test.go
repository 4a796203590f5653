package scenario

import (
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/internal/store/storetest/pgtest"
	"github.com/beckon-im/beckon/protocol"
)

// importMany imports groups of two users.
func importMany(s *scene, owner, member string, n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprint(owner, "-g", i))
	}
	for at := 0; at < n; at += 100 {
		var page []protocol.ImportGroup
		for _, id := range names[at:min(n, at+100)] {
			page = append(page, protocol.ImportGroup{GroupID: id, Type: "Work", Owner: owner,
				Members: []protocol.ImportMember{{UserID: member}}})
		}
		s.act("", "importGroups", protocol.ImportGroupsRequest{Groups: page}, nil)
	}
	return names
}

// inbox counts the messages of a device by text.
type inbox struct {
	mu   sync.Mutex
	seen map[string]int
	more chan struct{} // signals a message
}

func newInbox() *inbox { return &inbox{seen: map[string]int{}, more: make(chan struct{}, 1)} }

func (b *inbox) listener() client.Listener {
	return client.Listener{OnReceiveMessage: func(_ string, _ uint64, m protocol.Message) {
		b.mu.Lock()
		b.seen[m.Text]++
		b.mu.Unlock()
		select {
		case b.more <- struct{}{}:
		default: // already signaled
		}
	}}
}

// await waits until a device has exactly the wanted messages.
func (b *inbox) await(t *testing.T, want map[string]int) {
	t.Helper()
	end := time.NewTimer(beckontest.Patience)
	defer end.Stop()
	for {
		b.mu.Lock()
		seen := maps.Clone(b.seen)
		b.mu.Unlock()
		if maps.Equal(seen, want) {
			return
		}
		select {
		case <-b.more:
		case <-end.C:
			t.Fatalf("%d messages, want %d: %v", len(seen), len(want), seen)
		}
	}
}

// TestManyGroups: a user in 150 groups receives each message once: those sent during the absence of the device, and the
// later ones, also in a new group, and not in the group of a removed member.
func TestManyGroups(t *testing.T) {
	s := &scene{t: t, Cluster: newHouse(t, beckon.Config{UserRate: 1e6, UserBurst: 1e6})}
	groups := importMany(s, "bob", "ann", 150)
	file := client.FileStore(filepath.Join(t.TempDir(), "ann.json"))
	box := newInbox()
	open := func() *client.Client {
		return s.DeviceWith(client.Options{Token: s.Token("ann"), DeviceID: "a1", Store: file, Listener: box.listener()})
	}
	want := map[string]int{}
	say := func(groups []string, text string, told bool) {
		t.Helper()
		for _, g := range groups {
			body := protocol.Body{Text: text + " " + g}
			s.act("bob", "sendMessage", protocol.SendMessageRequest{GroupID: g, Body: body}, nil)
			if told {
				want[body.Text]++
			}
		}
	}
	first := open()
	say(groups[:75], "live", true)
	box.await(t, want)
	first.Close()
	say(groups, "missed", true)
	left, joined := groups[:1], importMany(s, "carl", "bob", 1)
	s.act("bob", "kickGroupMember", protocol.GroupMembersRequest{GroupID: left[0], MemberList: []string{"ann"}}, nil)
	s.act("carl", "inviteUserToGroup", protocol.GroupMembersRequest{GroupID: joined[0], MemberList: []string{"ann"}}, nil)
	say(joined, "new", true)
	say(left, "secret", false)
	delete(want, "missed "+left[0]) // the timeline of a group that one has left is not read
	open()
	box.await(t, want)
	say(append(joined, groups[1:]...), "again", true)
	say(left, "secret", false)
	box.await(t, want)
}

// TestRoundTripsOfConnect: a connect costs PostgreSQL the same few round trips with any number of groups.
func TestRoundTripsOfConnect(t *testing.T) {
	pg, err := pgtest.Start(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pg.Close() })
	url, err := pg.Database(t.Context(), "beckon")
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, Cluster: beckontest.StartWith(t, beckon.Config{Postgres: url, Sweep: time.Hour})}
	const connects, limit = 20, 6
	for user, n := range map[string]int{"none": 0, "some": 20, "many": 100} {
		importMany(s, "owner-"+user, user, n)
		trips := func() float64 {
			n, err := strconv.ParseFloat(metric(t, s.Cluster, "beckon_store_round_trips_total"), 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		s.Device(user, "first", client.Listener{}).Close() // statements are prepared
		before := trips()
		for i := range connects {
			s.Device(user, fmt.Sprint("d", i), client.Listener{}).Close()
		}
		each := (trips() - before) / connects
		t.Logf("a connect with %d groups costs %.1f round trips", n, each)
		if each > limit {
			t.Errorf("a connect with %d groups costs %.1f round trips; the limit is %d", n, each, limit)
		}
	}
}
