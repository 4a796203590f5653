package presence

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

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
		for _, answer := range p.request("", req, 2*requestTimeout, others) {
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

// Connected returns the devices of a user that are connected to any node.
func (p *Presence) Connected(userID string) []protocol.Device {
	if len(p.localDevices(userID)) > 0 || p.complete(userID) {
		return p.view(userID)
	}
	nodes, _ := p.who(userID)
	list := p.local.Allowed(p.noteAll(userID, nodes))
	slices.SortFunc(list, func(a, b protocol.Device) int { return cmp.Compare(a.DeviceID, b.DeviceID) })
	return list
}

// complete reports whether this node knows the devices of a user on all nodes.
func (p *Presence) complete(userID string) bool {
	others, all := p.keepers.Others()
	p.mu.Lock()
	defer p.mu.Unlock()
	return all && p.remote.complete(shardOf(userID), others)
}

// who returns the devices of a user on other nodes, from the keeper of the shard, or from all nodes while the keeper
// does not know all.
func (p *Presence) who(userID string) (nodes map[string]devices, complete bool) {
	keeper := p.keepers.Keeper(shardOf(userID))
	switch {
	case keeper == p.node && p.complete(userID):
		return p.byNode(userID), true
	case keeper != "" && keeper != p.node:
		for _, data := range p.request(keeper, message{Kind: messageWho, User: userID}, requestTimeout, 1) {
			var response answer
			if json.Unmarshal(data, &response) == nil && response.Complete {
				return response.Nodes, true
			}
		}
	}
	nodes = map[string]devices{}
	others := p.Nodes() - 1
	answers := p.request("", message{Kind: messageAsk, User: userID}, requestTimeout, others)
	if len(answers) < others {
		p.unsure(userID)
	}
	for _, data := range answers {
		var response answer
		if json.Unmarshal(data, &response) == nil {
			maps.Copy(nodes, response.Nodes)
		}
	}
	return nodes, false
}

// Devices returns the number of devices of each user that are connected to any node. It may query other nodes, so it
// must not be called within a transaction.
func (p *Presence) Devices(userIDs ...string) []int {
	counts := make([]int, len(userIDs))
	var unknown []int
	for i, u := range userIDs {
		if counts[i] = len(p.view(u)); counts[i] == 0 && !p.complete(u) {
			unknown = append(unknown, i)
		}
	}
	if len(unknown) > maxSingleRequests {
		p.requestAll(userIDs, unknown, counts)
		return counts
	}
	var g errgroup.Group
	for _, i := range unknown {
		g.Go(func() error {
			counts[i] = len(p.Connected(userIDs[i]))
			return nil
		})
	}
	_ = g.Wait() // never fails
	return counts
}

// requestAll queries all nodes for the users at the given indexes and adds to their counts.
func (p *Presence) requestAll(userIDs []string, indexes, counts []int) {
	others := p.Nodes() - 1
	for part := range slices.Chunk(indexes, maxCounted) {
		users := make([]string, len(part))
		for i, k := range part {
			users[i] = userIDs[k]
		}
		answers := p.request("", message{Kind: messageCount, Users: users}, 2*requestTimeout, others)
		if len(answers) < others {
			p.unsure(users...)
		}
		for _, answer := range answers {
			var response []int
			if json.Unmarshal(answer, &response) != nil || len(response) != len(part) {
				continue
			}
			for i, k := range part {
				counts[k] += response[i]
			}
		}
	}
}

// askLater is the time after which an unanswered query is repeated: the node may never answer.
const askLater = 5 * time.Second

// unsure notes that a node did not answer a query of the presence of users: their statuses are queried again.
func (p *Presence) unsure(users ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, user := range users {
		if shard := shardOf(user); p.unanswered[shard].IsZero() {
			p.unanswered[shard] = time.Now()
		}
	}
}
