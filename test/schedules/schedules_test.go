// Package schedules plays random schedules of devices with the Go SDK: they send, invite, answer and cancel while
// connections are cut, networks are away, tokens expire, storage fails, programs are killed, and the server restarts.
// Within 2 s of the last reconnect each device agrees with the server. sdk/js/test/schedules.test.ts does the same with
// the TypeScript SDK.
package schedules

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/test/program"
)

var (
	count = flag.Int("schedules.n", 40, "schedules")
	seed  = flag.Uint64("schedules.seed", 0, "seed of the random numbers; 0 = a new one")
)

const (
	together  = 20              // schedules that run at the same time
	length    = 5 * time.Second // of a schedule
	agreement = 2 * time.Second // limit after the last reconnect
)

func TestMain(m *testing.M) { beckontest.VerifyNoLeaks(m) }

// server is a process that can be killed and started again.
type server struct {
	path, addr, data string
	cmd              *exec.Cmd
}

func (s *server) start() error {
	s.cmd = exec.Command(s.path, "serve", "--listen", s.addr, "--data", s.data)
	return s.cmd.Start()
}

func (s *server) stop() error {
	err := s.cmd.Process.Kill()
	_ = s.cmd.Wait() // "signal: killed"
	return err
}

// token mints a token; the server makes its keys at its start.
func (s *server) token(user string, ttl time.Duration) (token string, err error) {
	for range 100 {
		if token, err = beckon.MintToken(s.data, "", user, "", ttl); err == nil {
			return token, nil
		}
		<-time.After(50 * time.Millisecond)
	}
	return "", err
}

func TestSchedules(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64() >> 32
	}
	t.Logf("%d schedules, seed %d", *count, *seed)
	srv := &server{path: program.Build(t, program.Beckon), addr: program.FreeAddress(t), data: t.TempDir()}
	if err := srv.start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := srv.stop(); err != nil {
			t.Error(err)
		}
	}()
	for from := 0; from < *count; from += together {
		var batch errgroup.Group
		for n := from; n < min(from+together, *count); n++ {
			batch.Go(func() error {
				s := newSchedule(t, srv, n)
				defer s.stop()
				if err := s.play(); err != nil {
					return err
				}
				if faults := s.judge(); len(faults) > 0 {
					t.Errorf("schedule %d:\n%s\n%s", n, strings.Join(s.story(), "\n"), strings.Join(faults, "\n"))
				}
				return nil
			})
		}
		if from/together%2 == 1 {
			<-time.After(length / 2)
			if err := srv.stop(); err != nil {
				t.Error(err)
			}
			if err := srv.start(); err != nil {
				t.Error(err)
			}
		}
		if err := batch.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

// schedule is three users with four devices. Messages are sent between the first two users.
type schedule struct {
	random  *rand.Rand
	devices []*device
}

func newSchedule(t *testing.T, srv *server, n int) *schedule {
	s := &schedule{random: rand.New(rand.NewPCG(*seed, uint64(n)))}
	var users []string
	for _, name := range []string{"ann", "bob", "cat"} {
		users = append(users, fmt.Sprintf("%s%d-%d", name, *seed, n))
	}
	for i, user := range []string{users[0], users[1], users[1], users[2]} {
		ttl := []time.Duration{3 * time.Second, time.Hour}[s.random.IntN(2)]
		token := func() (string, error) { return srv.token(user, ttl) }
		others := slices.DeleteFunc(slices.Clone(users), func(u string) bool { return u == user })
		s.devices = append(s.devices, newDevice(t, srv.addr, user, fmt.Sprint("d", i), others, s.random.IntN(2) == 0, token))
	}
	return s
}

// calls and faults are the actions of a schedule; those that are repeated come more often.
var (
	calls = []string{"send", "send", "send", "invite", "invite", "invite both", "accept", "accept", "accept", "reject",
		"cancel"}
	faults = []string{"cut", "cut", "away", "silent", "storage", "kill"}
)

// play plays the schedule, and restores all networks.
func (s *schedule) play() error {
	for _, d := range s.devices {
		if err := d.start(); err != nil {
			return err
		}
		if err := d.current().Connect(context.Background()); err != nil { // a first program starts at the present
			return err
		}
	}
	var troubles errgroup.Group
	for begun := time.Now(); time.Since(begun) < length; {
		<-time.After(time.Duration(s.random.IntN(250)) * time.Millisecond)
		d := s.devices[s.random.IntN(len(s.devices))]
		action := append(calls, faults...)[s.random.IntN(len(calls)+len(faults))]
		away, fails := time.Duration(s.random.IntN(1200))*time.Millisecond, s.random.IntN(2) == 0
		switch {
		case action == "send" && d == s.devices[3]:
		case slices.Contains(calls, action):
			d.act(action)
		case action == "storage":
			d.store.fail(fails)
			d.mu.Lock()
			d.lossless = d.lossless && !fails
			d.mu.Unlock()
		case d.busy.CompareAndSwap(false, true):
			d.note("%s %v", action, away)
			troubles.Go(func() error {
				defer d.busy.Store(false)
				switch action {
				case "kill":
					return d.kill(away)
				case "cut":
					away = 0
				}
				d.away(away, action == "silent")
				return nil
			})
		}
	}
	return troubles.Wait()
}

// judge waits until all devices are connected, and returns the faults that last.
func (s *schedule) judge() (faults []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, d := range s.devices {
		// A session whose token has expired is connected again by OnTokenExpired.
		for err := d.current().Connect(ctx); err != nil; err = d.current().Connect(ctx) {
			if ctx.Err() != nil {
				return []string{fmt.Sprintf("%s is not connected 30 s after the network is back: %v", d, err)}
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	for end := time.Now().Add(agreement); ; {
		if faults = s.compare(ctx); len(faults) == 0 || time.Now().After(end) {
			return faults
		}
		<-time.After(50 * time.Millisecond)
	}
}

// compare compares the devices with the server.
func (s *schedule) compare(ctx context.Context) (faults []string) {
	ann := s.devices[0].current()
	history, err := ann.GetHistoryMessageList(ctx, protocol.HistoryRequest{ConversationID: "c2c_" + s.devices[0].others[0],
		Limit: 1000, Direction: "newer"})
	if err != nil {
		return []string{err.Error()}
	}
	var stored []string
	for _, e := range history.Messages {
		var m protocol.Message
		if json.Unmarshal(e.Event, &m) == nil && m.Type == protocol.TypeMessage {
			stored = append(stored, m.MessageID)
		}
	}
	for i, d := range s.devices {
		if i == 3 {
			stored = nil
		}
		for _, text := range append(d.compareMessages(stored), d.compareInvitations(ctx)...) {
			faults = append(faults, d.String()+": "+text)
		}
	}
	return faults
}

// compareMessages compares the messages that the device sent and received with those that the server has stored.
func (d *device) compareMessages(stored []string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	faults := slices.Clone(d.faults)
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for _, id := range d.stored {
		if !slices.Contains(stored, id) {
			fault("acknowledged, but not stored: %s", id)
		}
	}
	for id, text := range d.refused {
		if slices.Contains(stored, id) {
			fault("refused, but stored: %s: %s", id, text)
		}
	}
	expected := slices.DeleteFunc(slices.Clone(stored), func(id string) bool { return d.sent[id] })
	raised := map[string]bool{}
	for _, list := range d.raised {
		last := -1
		for _, id := range list {
			at := slices.Index(expected, id)
			if at <= last {
				fault("raised %v, stored %v", list, expected)
			}
			last, raised[id] = at, true
		}
	}
	for _, id := range expected {
		if !raised[id] && (d.lossless || len(d.raised) == 1) {
			fault("stored, but not raised: %s", id)
		}
	}
	return faults
}

// compareInvitations compares the outcomes that the device knows with the server's.
func (d *device) compareInvitations(ctx context.Context) (faults []string) {
	d.mu.Lock()
	c, known, all := d.client, maps.Clone(d.known), map[string]map[string]string{}
	for id := range known {
		all[id] = nil
	}
	for id, outcomes := range d.outcomes {
		all[id] = maps.Clone(outcomes)
	}
	d.mu.Unlock()
	for id, outcomes := range all {
		res, err := c.GetInvitation(ctx, protocol.GetInvitationRequest{InviteID: id})
		if err != nil {
			faults = append(faults, fmt.Sprintf("%s: %v", id, err))
			continue
		}
		for _, p := range res.Invitation.Invitees {
			recorded, believed := stateOf(p), outcomes[p.UserID]
			if believed == "" && known[id] {
				believed = "open"
			}
			if believed != "" && recorded != believed {
				faults = append(faults, fmt.Sprintf("%s is %s in %s, recorded as %s", p.UserID, believed, id, recorded))
			}
		}
	}
	return faults
}

// story returns the notes of the devices, in the order of time.
func (s *schedule) story() (lines []string) {
	for _, d := range s.devices {
		d.mu.Lock()
		lines = append(lines, d.log...)
		d.mu.Unlock()
	}
	slices.Sort(lines)
	return lines
}

func (s *schedule) stop() {
	for _, d := range s.devices {
		d.stop()
	}
}
