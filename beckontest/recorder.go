package beckontest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// Recorder records the events of a device, one line each, so that a test waits for a line instead of sleeping. mu
// guards lines, raw and moved; moved is closed by each new line.
type Recorder struct {
	t     testing.TB
	name  string
	mu    sync.Mutex
	lines []string
	raw   []protocol.Signaling
	moved chan struct{}
}

// NewRecorder returns an empty recorder; name identifies the device in failure messages.
func NewRecorder(t testing.TB, name string) *Recorder {
	return &Recorder{t: t, name: name, moved: make(chan struct{})}
}

func (p *Recorder) add(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, fmt.Sprintf(format, args...))
	close(p.moved)
	p.moved = make(chan struct{})
}

// Listener returns a listener that records every callback.
func (p *Recorder) Listener() client.Listener {
	return client.Listener{
		OnReceiveNewInvitation: func(e client.InvitationEvent) {
			word := "new"
			if e.Notice {
				word = "notice"
			}
			p.add("%s %s from %s group %q to %s data %q", word, e.InviteID, e.Inviter, e.GroupID,
				strings.Join(e.InviteeList, ","), e.Data)
		},
		OnInviteeAccepted: func(e client.InvitationEvent) {
			p.add("accepted %s by %s data %q", e.InviteID, e.Invitee,
				e.Data)
		},
		OnInviteeRejected: func(e client.InvitationEvent) {
			p.add("rejected %s by %s data %q", e.InviteID, e.Invitee,
				e.Data)
		},
		OnInvitationCancelled: func(e client.InvitationEvent) {
			p.add("cancelled %s by %s data %q of %s over %v", e.InviteID, e.Inviter, e.Data, strings.Join(e.InviteeList, ","),
				e.Over)
		},
		OnInvitationTimeout: func(e client.InvitationEvent) {
			p.add("timeout %s of %s", e.InviteID, strings.Join(e.InviteeList, ","))
		},
		OnInvitationModified:             func(e client.InvitationEvent) { p.add("modified %s data %q", e.InviteID, e.Data) },
		OnInviteeRinging:                 func(e client.InvitationEvent) { p.add("ringing %s at %s", e.InviteID, e.Invitee) },
		OnInvitationHandledByOtherDevice: func(e client.InvitationEvent) { p.add("elsewhere %s %s", e.InviteID, e.Action) },
		OnGroup: func(e protocol.GroupEvent) {
			p.add("group %s %s %s", e.GroupID, e.Tip,
				strings.Join(e.Members, ","))
		},
		OnCallRecord: func(where string, r protocol.CallElem) {
			p.add("call in %s of %s for %d ms: %s by %s", where, strings.Join(r.People, ","), r.Duration, r.Reason, r.EndedBy)
		},
		OnMessageReactions: func(where string, changes []protocol.ReactionChange) {
			for _, c := range changes {
				p.add("reaction in %s to %s by %s: %s removed %v count %d", where, c.MessageID, c.UserID, c.Reaction, c.Removed,
					c.Count)
			}
		},
		OnTyping: func(e client.TypingEvent) {
			p.add("typing in %s by %s: %v", e.ConversationID, e.UserID, e.Typing)
		},
		OnRoomRoleChanged: func(e protocol.RoomEvent) { p.add("role %s of %s: %s by %s", e.RoomID, e.UserID, e.Role, e.By) },
		OnReload:          func(list []string) { p.add("reload %s", strings.Join(list, ",")) },
		OnDisconnected:    func(code int, reason string) { p.add("disconnected %d %s", code, reason) },
		OnSignaling: func(m protocol.Signaling) {
			p.mu.Lock()
			p.raw = append(p.raw, m)
			p.mu.Unlock()
		},
	}
}

// Wait returns the first line with a prefix. It fails the test after Patience.
func (p *Recorder) Wait(prefix string) string {
	p.t.Helper()
	limit := time.NewTimer(Patience)
	defer limit.Stop()
	for {
		p.mu.Lock()
		moved := p.moved
		for _, l := range p.lines {
			if strings.HasPrefix(l, prefix) {
				p.mu.Unlock()
				return l
			}
		}
		p.mu.Unlock()
		select {
		case <-moved:
		case <-limit.C:
			p.t.Fatalf("%s never received %q; it received:\n  %s", p.name, prefix, strings.Join(p.Lines(), "\n  "))
		}
	}
}

// Lines returns the recorded lines.
func (p *Recorder) Lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines...)
}

// Raw returns every signaling event.
func (p *Recorder) Raw() []protocol.Signaling {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]protocol.Signaling(nil), p.raw...)
}

// Count returns the number of lines with a prefix.
func (p *Recorder) Count(prefix string) (n int) {
	for _, l := range p.Lines() {
		if strings.HasPrefix(l, prefix) {
			n++
		}
	}
	return n
}

// Forget removes the lines that contain a word and the events of an inviter of that name, such as those of a probe that
// a test sent only in order to wait.
func (p *Recorder) Forget(word string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var keep []string
	for _, l := range p.lines {
		if !strings.Contains(l, word) {
			keep = append(keep, l)
		}
	}
	p.lines = keep
	var raw []protocol.Signaling
	for _, m := range p.raw {
		if m.Inviter != word {
			raw = append(raw, m)
		}
	}
	p.raw = raw
}
