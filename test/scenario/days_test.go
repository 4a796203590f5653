package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

var updateDays = flag.Bool("days.update", false,
	"write the transcripts of testdata/days anew; read the difference before you keep it")

// TestDays plays a day in the life of each type of group against a real server. A transcript is a list of commands,
// each with its answer and with everything that every device hears of it. Whatever is not in the transcript fails.
//
//	> alice createGroup {"groupID":"w","type":"Work"}     a device calls
//	> server dismissGroup {"groupID":"w"}                 an app server calls
//	> now 60                                              the clock goes on by so many seconds
//	< {"group":…}                                         the answer, without times
//	< 10007 groupID                                       or the refusal: its number and field
//	bob {"type":"group","tip":"groupJoined"…}             what bob's device hears
func TestDays(t *testing.T) {
	files, err := filepath.Glob("testdata/days/*.txt")
	if err != nil || len(files) < 6 {
		t.Fatalf("there are %d transcripts: %v", len(files), err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { playDay(t, f) })
	}
}

// day is one play.
type day struct {
	*beckontest.Cluster
	t       *testing.T
	clock   *clock
	devices map[string]*client.Client
	heard   map[string]*recorder
	order   []string
	expect  string
}

// recorder is what one device hears.
type recorder struct {
	mu      sync.Mutex
	entries []string
	moved   chan struct{}
}

func (h *recorder) add(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.entries = append(h.entries, line)
	close(h.moved)
	h.moved = make(chan struct{})
}

// next waits for the next line.
func (h *recorder) next(patience time.Duration) (string, bool) {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		h.mu.Lock()
		if len(h.entries) > 0 {
			line := h.entries[0]
			h.entries = h.entries[1:]
			h.mu.Unlock()
			return line, true
		}
		moved := h.moved
		h.mu.Unlock()
		select {
		case <-moved:
		case <-limit.C:
			return "", false
		}
	}
}

// clock is the store's clock of a play: it stands still but for what the transcript says.
type clock struct {
	mu  sync.Mutex
	now int64
}

func (c *clock) read() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now++ // so that no two batches are of the same moment
	return c.now
}

func (c *clock) move(seconds int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += seconds * 1000
}

func playDay(t *testing.T, file string) {
	script, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now: time.Date(2026, 1, 2, 8, 0, 0, 0, time.UTC).UnixMilli()}
	d := &day{t: t, clock: c, devices: map[string]*client.Client{}, heard: map[string]*recorder{}}
	d.Cluster = beckontest.StartWith(t, beckon.Config{Now: c.read})
	var out strings.Builder
	for n, line := range strings.Split(strings.TrimRight(string(script), "\n"), "\n") {
		where := fmt.Sprintf("%s:%d", file, n+1)
		switch {
		case line == "" || line[0] == '#':
			fmt.Fprintln(&out, line)
		case line[0] == '>':
			answer := d.command(where, line[2:])
			fmt.Fprintln(&out, line)
			if *updateDays {
				fmt.Fprintln(&out, answer)
				d.settle(&out)
				continue
			}
			d.expect = answer
		case line[0] == '<' && !*updateDays:
			if line != d.expect {
				t.Fatalf("%s: the answer is\n%s\nand should be\n%s", where, d.expect, line)
			}
		case !*updateDays:
			who, event, _ := strings.Cut(line, " ")
			d.waits(where, who, event)
		}
	}
	if *updateDays {
		if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	d.silence(file)
}

// kickedOffline is the last that a device hears.
const kickedOffline = "kicked offline"

func (d *day) waits(where, who, event string) {
	h := d.heard[who]
	if h == nil {
		d.t.Fatalf("%s: there is no device %s", where, who)
	}
	got, ok := h.next(beckontest.Patience)
	if !ok || got != event {
		d.t.Fatalf("%s: %s hears\n%s\nand should hear\n%s", where, who, got, event)
	}
	if event == kickedOffline {
		d.order = slices.DeleteFunc(d.order, func(w string) bool { return w == who })
	}
}

// silence checks that nothing more is heard by anybody: a message that goes to each of them comes next.
func (d *day) silence(file string) {
	for _, who := range d.order {
		user, _, _ := strings.Cut(who, "/")
		d.post("the-end", "sendMessage", fmt.Sprintf(`{"userID":%q,"text":"the end","onlineUserOnly":true}`, user))
		if got, _ := d.heard[who].next(beckontest.Patience); !strings.Contains(got, `"the end"`) {
			d.t.Errorf("%s: %s hears what is not in the transcript:\n%s", file, who, got)
		}
	}
}

// settle writes down what is heard until nothing comes for a while.
func (d *day) settle(out io.Writer) {
	for _, who := range d.order {
		for {
			line, ok := d.heard[who].next(50 * time.Millisecond)
			if !ok {
				break
			}
			fmt.Fprintln(out, who, line)
		}
	}
}

func (d *day) command(where, line string) string {
	who, rest, _ := strings.Cut(line, " ")
	verb, body, _ := strings.Cut(rest, " ")
	switch who {
	case "now":
		var seconds int64
		if _, err := fmt.Sscan(rest, &seconds); err != nil {
			d.t.Fatalf("%s: %v", where, err)
		}
		d.clock.move(seconds)
		return "< ok"
	case "leave":
		d.devices[rest].Close()
		d.order = slices.DeleteFunc(d.order, func(w string) bool { return w == rest })
		return "< ok"
	case "server":
		return d.post("", verb, body)
	}
	if verb == "connect" {
		d.connect(who)
		return "< ok"
	}
	me := d.devices[who]
	if me == nil {
		d.t.Fatalf("%s: %s is not connected", where, who)
	}
	var answer json.RawMessage
	err := me.Call(d.t.Context(), verb, json.RawMessage(body), &answer)
	var refused *protocol.Error
	if errors.As(err, &refused) {
		return strings.TrimSpace(fmt.Sprintf("< %d %s", refused.Code, refused.Field))
	}
	if err != nil {
		d.t.Fatalf("%s: %v", where, err)
	}
	return "< " + timeless(answer)
}

func (d *day) connect(who string) {
	user, device, _ := strings.Cut(who, "/")
	h := &recorder{moved: make(chan struct{})}
	d.heard[who] = h
	d.devices[who] = d.DeviceWith(client.Options{Token: d.Token(user), DeviceID: user + "-" + device,
		Listener: client.Listener{
			OnEvent: func(_ string, _ uint64, event any) {
				b, err := json.Marshal(event)
				if err != nil {
					d.t.Error(err)
				}
				h.add(timeless(b))
			},
			OnKickedOffline: func(string) { h.add(kickedOffline) },
		}})
	d.order = append(d.order, who)
}

// post calls as an app server, for a user or for nobody.
func (d *day) post(user, verb, body string) string {
	ctx, cancel := context.WithTimeout(d.t.Context(), beckontest.Patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL+"/v1/"+verb, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+d.Server.APIKey())
	if user != "" {
		req.Header.Set("Beckon-User", user)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	var e protocol.Error
	if json.Unmarshal(b, &e) == nil && e.Code != 0 {
		return strings.TrimSpace(fmt.Sprintf("< %d %s", e.Code, e.Field))
	}
	return "< " + timeless(b)
}

// timeless writes JSON without its times.
func timeless(b []byte) string {
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return string(b)
	}
	v = stripTimes(v)
	out, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(out)
}

func stripTimes(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			switch k {
			case "time", "serverTime", "createdAt", "joinedAt", "lastTime", "appliedAt", "handledAt", "expireAt", "connectedAt",
				"remaining", "deadline", "decidedAt":
				delete(x, k)
			case "mutedUntil":
				x[k] = "later"
			default:
				x[k] = stripTimes(x[k])
			}
		}
	case []any:
		for i := range x {
			x[i] = stripTimes(x[i])
		}
	}
	return v
}
