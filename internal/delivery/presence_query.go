package delivery

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/beckon-im/beckon/protocol"
)

// messageList asks for connections. Users holds the ID prefix, the user and the device after which to start; Device
// holds the limit.
const messageList = "list"

// listing is the response to messageList.
type listing struct {
	Connections []protocol.Connection `json:"connections"`
	Total       int                   `json:"total"`
}

// List returns connections on all nodes of users with an ID prefix, sorted by user and device, starting after a given
// device, and the total number of connections. Nodes that do not respond in time are left out.
func (p *Presence) List(prefix, afterUser, afterDevice string, limit int) ([]protocol.Connection, int) {
	list, total := p.local.List(prefix, afterUser, afterDevice, limit)
	if others := p.Nodes() - 1; others > 0 {
		req := message{Kind: messageList, Users: []string{prefix, afterUser, afterDevice}, Device: strconv.Itoa(limit)}
		for _, answer := range p.request(nodesTopic, req, 2*requestTimeout, others) {
			var response listing
			if json.Unmarshal(answer, &response) == nil {
				list, total = append(list, response.Connections...), total+response.Total
			}
		}
	}
	slices.SortFunc(list, func(a, b protocol.Connection) int {
		return cmp.Or(cmp.Compare(a.UserID, b.UserID), cmp.Compare(a.DeviceID, b.DeviceID))
	})
	return list[:min(len(list), limit)], total
}

// listed responds to messageList.
func (p *Presence) listed(req message, reply func([]byte)) {
	limit, err := strconv.Atoi(req.Device)
	if err != nil || len(req.Users) != 3 {
		return
	}
	list, total := p.local.List(req.Users[0], req.Users[1], req.Users[2], limit)
	reply(encodeMessage(listing{list, total}))
}
