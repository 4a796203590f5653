package chaos

import (
	"encoding/json"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// attempt is one call of a client, or a fault, with its times and outcome.
type attempt struct {
	User   string  `json:"user"`
	Action string  `json:"action"`
	ID     string  `json:"id"`
	Begin  float64 `json:"begin"` // seconds since the beginning
	End    float64 `json:"end"`
	Error  string  `json:"error"` // "" = success
}

// delivery is one event as a client received it.
type delivery struct {
	User     string  `json:"user"`
	At       float64 `json:"at"`
	Timeline string  `json:"timeline"`
	Seq      uint64  `json:"seq"`
	Action   string  `json:"action"` // invite, accept, reject, cancel, timeout, message
	ID       string  `json:"id"`
	Invitee  string  `json:"invitee,omitempty"`
	Sent     int64   `json:"sent"` // server time
}

// recorder records the calls of clients, the events that they received, and the faults of the cluster.
type recorder struct {
	began time.Time

	mu         sync.Mutex
	Attempts   []attempt  `json:"attempts"`
	Deliveries []delivery `json:"deliveries"`
	Faults     []attempt  `json:"faults"`
}

func newRecorder() *recorder { return &recorder{began: time.Now()} }

func (h *recorder) now() float64 { return time.Since(h.began).Seconds() }

func (h *recorder) add(a attempt) {
	a.End = h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Attempts = append(h.Attempts, a)
}

// fault records a fault of the cluster, from now until the returned function is called.
func (h *recorder) fault(name string) func() {
	a := attempt{User: "cluster", Action: name, Begin: h.now()}
	return func() {
		a.End = h.now()
		h.mu.Lock()
		defer h.mu.Unlock()
		h.Faults = append(h.Faults, a)
	}
}

// record returns a listener that records every event as it comes from a timeline.
func (h *recorder) record(user string) client.Listener {
	return client.Listener{OnEvent: func(timeline string, seq uint64, event any) {
		n := delivery{User: user, At: h.now(), Timeline: timeline, Seq: seq}
		h.mu.Lock()
		defer h.mu.Unlock()
		switch e := event.(type) {
		case *protocol.Signaling:
			n.ID, n.Sent = e.InviteID, e.Time
			for _, a := range e.Answers {
				n.Action, n.Invitee = action(a.ActionType), a.Invitee
				h.Deliveries = append(h.Deliveries, n)
			}
			if len(e.Answers) > 0 {
				return
			}
			n.Action, n.Invitee = action(e.ActionType), strings.Join(e.InviteeList, " ")
		case *protocol.Message:
			n.Action, n.ID, n.Sent = "message", e.MessageID, e.Time
		default:
			return
		}
		h.Deliveries = append(h.Deliveries, n)
	}}
}

func action(a protocol.ActionType) string {
	switch a {
	case protocol.ActionInvite:
		return "invite"
	case protocol.ActionCancel:
		return "cancel"
	case protocol.ActionAccept:
		return "accept"
	case protocol.ActionReject:
		return "reject"
	case protocol.ActionTimeout:
		return "timeout"
	}
	return fmt.Sprint("action ", int(a))
}

// keep writes the history, and a picture of it, when the test has failed.
func (h *recorder) keep(t *testing.T, name string) {
	if !t.Failed() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	dir := filepath.Join("failed", strings.ReplaceAll(name, " ", "-"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Error(err)
		return
	}
	b, err := json.MarshalIndent(h, "", " ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "history.json"), b, 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "history.html"), []byte(h.picture(name)), 0o644)
	}
	if err != nil {
		t.Error(err)
	}
	t.Logf("the history and a picture of it are in test/chaos/%s", dir)
}

// picture draws a lane for each client, with bars for its calls and dots for its events, and bands for the faults of
// the cluster.
func (h *recorder) picture(name string) string {
	const scale, lane, left = 60.0, 16, 110 // pixels for a second, for a client, for its name
	lanes, end := map[string]int{}, 1.0
	place := func(user string) int {
		if _, ok := lanes[user]; !ok {
			lanes[user] = len(lanes)
		}
		return 30 + lane*lanes[user]
	}
	var marks strings.Builder
	colour := map[string]string{"invite": "#357", "accept": "#2a2", "reject": "#c70", "cancel": "#b22", "timeout": "#777",
		"message": "#84c"}
	for _, a := range h.Attempts {
		end = max(end, a.End)
		stroke := ""
		if a.Error != "" {
			stroke = ` stroke="#f00"`
		}
		fmt.Fprintf(&marks, `<rect x="%.1f" y="%d" width="%.1f" height="7" fill="%s"%s><title>%s %s %s: %s</title></rect>`,
			left+a.Begin*scale, place(a.User),
			max(1, (a.End-a.Begin)*scale), colour[a.Action], stroke, html.EscapeString(a.User), a.Action,
			html.EscapeString(a.ID), html.EscapeString(a.Error))
	}
	for _, n := range h.Deliveries {
		end = max(end, n.At)
		fmt.Fprintf(&marks, `<circle cx="%.1f" cy="%d" r="2" fill="%s"><title>%s receives %s of %s (%s, %d)</title></circle>`,
			left+n.At*scale, place(n.User)+10,
			colour[n.Action], html.EscapeString(n.User), n.Action, html.EscapeString(n.ID), html.EscapeString(n.Timeline), n.Seq)
	}
	high := 30 + lane*len(lanes)
	var b strings.Builder
	fmt.Fprintf(&b, `<!doctype html><meta charset="utf-8"><title>%s</title><body style="font:12px sans-serif">`+
		`<h1>%s</h1><p>Bars: calls, red-edged when refused. Dots: events. Bands: faults.</p>`+
		`<svg width="%.0f" height="%d">`,
		html.EscapeString(name), html.EscapeString(name), left+end*scale+20, high+10)
	for _, f := range h.Faults {
		fmt.Fprintf(&b, `<rect x="%.1f" y="0" width="%.1f" height="%d" fill="#fdd"/><text x="%.1f" y="12">%s</text>`, left+
			f.Begin*scale, max(2, (f.End-f.Begin)*scale), high,
			left+f.Begin*scale+2, html.EscapeString(f.Action))
	}
	for user := range lanes {
		fmt.Fprintf(&b, `<text x="2" y="%d">%s</text>`, place(user)+9, html.EscapeString(user))
	}
	b.WriteString(marks.String() + "</svg>")
	return b.String()
}
