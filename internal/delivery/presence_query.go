package delivery

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/beckon-im/beckon/protocol"
)

// wordList asks: which devices do you have? Users are the beginning of the ids, and the person and device after which
// to begin; Device is how many.
const wordList = "list"

// listing is the answer.
type listing struct {
	Connections []protocol.Connection `json:"connections"`
	Total       int                   `json:"total"`
}

// List lists the connected devices of people whose id begins with a text, on all nodes, by person and device, after one
// of them; and how many there are. A node that does not answer in time is left out.
func (p *Presence) List(prefix, afterUser, afterDevice string, limit int) ([]protocol.Connection, int) {
	list, total := p.here.List(prefix, afterUser, afterDevice, limit)
	if others := p.Nodes() - 1; others > 0 {
		w := message{Kind: wordList, Users: []string{prefix, afterUser, afterDevice}, Device: strconv.Itoa(limit)}
		for _, answer := range p.request(nodesTopic, w, 2*requestTimeout, others) {
			var theirs listing
			if json.Unmarshal(answer, &theirs) == nil {
				list, total = append(list, theirs.Connections...), total+theirs.Total
			}
		}
	}
	slices.SortFunc(list, func(a, b protocol.Connection) int {
		return cmp.Or(cmp.Compare(a.UserID, b.UserID), cmp.Compare(a.DeviceID, b.DeviceID))
	})
	return list[:min(len(list), limit)], total
}

// listed answers another node.
func (p *Presence) listed(w message, reply func([]byte)) {
	limit, err := strconv.Atoi(w.Device)
	if err != nil || len(w.Users) != 3 {
		return
	}
	list, total := p.here.List(w.Users[0], w.Users[1], w.Users[2], limit)
	reply(encodeMessage(listing{list, total}))
}
