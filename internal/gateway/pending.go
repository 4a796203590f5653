package gateway

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"
)

// pending tracks the outstanding calls of a client about invitations. It holds back events about the same invitations,
// so that on one connection the response to a call precedes the event, even if the event was decided on another node.
type pending struct {
	calls atomic.Int32

	mu      sync.Mutex
	ids     [][]byte             // invitation IDs of the calls, encoded as in records
	waiting map[*reader]struct{} // readers that hold records back
}

// calledID returns the inviteID parameter of a call, encoded as in records, or nil.
func calledID(method string, data []byte) []byte {
	switch method {
	case "invite", "inviteInGroup", "accept", "reject", "cancel", "modifyInvitation", "addInvitees", "ring":
	default:
		return nil
	}
	const field = `"inviteID"`
	i := bytes.Index(data, []byte(field))
	if i < 0 {
		return nil
	}
	rest := bytes.TrimLeft(data[i+len(field):], ": \t\r\n")
	if len(rest) == 0 || rest[0] != '"' {
		return nil
	}
	end := bytes.IndexByte(rest[1:], '"')
	if end < 0 {
		return nil
	}
	if gap := len(data) - i - len(field) - len(rest); gap == 1 { // only a colon
		return data[i : i+len(field)+1+end+2]
	}
	return append([]byte(field+":"), rest[:end+2]...)
}

func (p *pending) begin(id []byte) {
	p.mu.Lock()
	p.ids = append(p.ids, id)
	p.mu.Unlock()
	p.calls.Add(1)
}

// end is called after the response is queued. It releases held records.
func (p *pending) end(id []byte) {
	p.calls.Add(-1)
	p.mu.Lock()
	if i := slices.IndexFunc(p.ids, func(o []byte) bool { return bytes.Equal(o, id) }); i >= 0 {
		p.ids = slices.Delete(p.ids, i, i+1)
	}
	list := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	for r := range list {
		r.resume()
	}
}

// holds reports whether a record must wait for a response. If so, it registers the reader for release.
func (p *pending) holds(r *reader, body []byte) bool {
	if p.calls.Load() == 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range p.ids {
		if bytes.Contains(body, id) {
			if p.waiting == nil {
				p.waiting = map[*reader]struct{}{}
			}
			p.waiting[r] = struct{}{}
			return true
		}
	}
	return false
}
