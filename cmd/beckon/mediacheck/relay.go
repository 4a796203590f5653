package mediacheck

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"

	"github.com/pion/turn/v4"
	"github.com/pion/webrtc/v4"
)

// relay is a relay of a TURN server. pion/ice has no relays of UDP behind TCP, so that it gets this one as its socket.
type relay struct {
	net.PacketConn
	client *turn.Client
	conn   net.Conn
}

// openRelay connects to a TURN server over TLS and opens a relay.
func openRelay(ctx context.Context, config *tls.Config, s webrtc.ICEServer) (*relay, error) {
	addr, _, _ := strings.Cut(strings.TrimPrefix(s.URLs[0], "turns:"), "?")
	d := tls.Dialer{Config: config}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be reached: %w", addr, err)
	}
	if at, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(at)
	}
	password, _ := s.Credential.(string)
	server := conn.RemoteAddr().String()
	client, err := turn.NewClient(&turn.ClientConfig{STUNServerAddr: server, TURNServerAddr: server,
		Conn: turn.NewSTUNConn(conn), Username: s.Username, Password: password, LoggerFactory: silent()})
	if err == nil {
		err = client.Listen()
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	r := &relay{client: client, conn: conn}
	if r.PacketConn, err = client.Allocate(); err != nil {
		r.close()
		return nil, fmt.Errorf("%s refuses a relay: %w", addr, err)
	}
	return r, nil
}

// close closes the relay and its connection.
func (r *relay) close() {
	if r.PacketConn != nil {
		_ = r.PacketConn.Close()
	}
	r.client.Close()
	_ = r.conn.Close()
}
