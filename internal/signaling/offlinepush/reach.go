package offlinepush

import (
	"context"
	"sync"

	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// Presence knows the connected devices of users, on all nodes. It may have to query the other nodes.
type Presence interface {
	Devices(userIDs ...string) []int
	Connected(userID string) []protocol.Device
	// Known returns the connected devices of a user that are known without a query.
	Known(userID string) []protocol.Device
	// Probe pings the connected devices of a user; one that does not answer is no longer connected. It must not block.
	Probe(userID string)
}

// maxQueried limits the users that are queried one by one.
const maxQueried = 8

// Devices are the connected devices of the invitees of one call.
type Devices struct {
	of       map[string]outbox.Connected // by user, before the transaction
	unproven []unproven                  // set by Ring
}

// ConnectedOf returns the connected devices of users. Those of many users are counted, and named as far as this node
// knows them.
func ConnectedOf(p Presence, users []string) *Devices { return &Devices{of: connectedOf(p, users)} }

func connectedOf(p Presence, users []string) map[string]outbox.Connected {
	all := make(map[string]outbox.Connected, len(users))
	if len(users) > maxQueried {
		for i, n := range p.Devices(users...) {
			c := outbox.Connected{Count: n}
			if n > 0 {
				c.IDs = outbox.ConnectedOf(p.Known(users[i])).IDs
			}
			all[users[i]] = c
		}
		return all
	}
	list := make([]outbox.Connected, len(users))
	var asking sync.WaitGroup
	for i, u := range users {
		asking.Go(func() { list[i] = outbox.ConnectedOf(p.Connected(u)) })
	}
	asking.Wait()
	for i, u := range users {
		all[u] = list[i]
	}
	return all
}

// Members returns the members of a group, of which an invitation may name all: a larger one is cut.
func Members(ctx context.Context, s *store.Store, group string) (users []string, err error) {
	for after := ""; ; {
		list, err := s.Members(ctx, group, after, rpc.MaxPage)
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			users, after = append(users, m.UserID), m.UserID
		}
		if len(list) < rpc.MaxPage || len(users) > invite.MaxGroupInvitees {
			return users, nil
		}
	}
}

// Complete completes the status of each invitee from the number of connected devices.
func Complete(list []protocol.Reach, connected *Devices) {
	for i := range list {
		r := &list[i]
		r.Devices = connected.of[r.UserID].Count
		switch {
		case r.Status != "":
		case r.Devices == 0:
			r.Status = protocol.ReachUnreachable
		default:
			r.Status = protocol.ReachConnected
		}
	}
}
