package beckon

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon/internal/delivery"
	"github.com/beckon-im/beckon/internal/store"
)

// nodes returns the number of nodes, with this one.
func (s *Server) nodes() int {
	if s.presence == nil {
		return 1
	}
	return s.presence.Nodes()
}

// connectBus connects the bus to the other nodes; without NATS it is a local bus.
func (s *Server) connectBus() (delivery.Bus, error) {
	if s.cfg.NATS == "" {
		return delivery.NewLocal(), nil
	}
	if s.cfg.FilesURL == "" {
		s.cfg.Log.Warn("uploaded files stay on one node: set a shared files URL")
	}
	var err error
	if s.bus, err = delivery.NewNATS(s.cfg.NATS, s.store.ClusterID(), s.node, s.cfg.Log); err != nil {
		return nil, err
	}
	s.members = delivery.NewMembers(s.node, s.store.Register(), s.bus, s.cfg.Log)
	s.registerBus()
	return s.bus, nil
}

// joinCluster starts the bus and the membership of a cluster. leave ends them: it sends the last records to the other
// nodes first.
func (s *Server) joinCluster(ctx context.Context) (leave func() error) {
	if s.bus == nil {
		return func() error { return nil }
	}
	base := ctx
	ctx, stop := context.WithCancel(base)
	var running errgroup.Group
	running.Go(func() error { return s.bus.Run(ctx) })
	running.Go(func() error { return s.members.Run(ctx) })
	return func() error {
		stop()
		err := running.Wait()
		if s.bus.Finished() {
			s.members.Leave(base)
		}
		return err
	}
}

// busComplete reports whether this node would notice the loss of any record from another node.
func (s *Server) busComplete() bool {
	if s.members == nil {
		return !s.store.Shared()
	}
	return s.members.Complete()
}

// share returns this node's share of the work that any node can do.
func (s *Server) share() store.Share {
	if s.members == nil {
		return store.Share{Count: 1}
	}
	index, count := s.members.Share()
	return store.Share{Index: index, Count: count}
}

// presenceChanged publishes a change of a user's devices on this node; edge is set for the first connect and the last
// disconnect.
func (s *Server) presenceChanged(user string, edge bool) {
	switch {
	case s.presence != nil:
		s.presence.Changed(user, edge)
	case edge:
		s.users.PresenceChanged(user, false)
	}
}
