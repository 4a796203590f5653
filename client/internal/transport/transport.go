// Package transport makes the connections of a client: WebSocket for calls and events, HTTP for files.
package transport

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/centrifugal/centrifuge-go"

	"github.com/beckon-im/beckon/client/internal/connection"
	"github.com/beckon-im/beckon/client/internal/failure"
	"github.com/beckon-im/beckon/protocol"
)

// Options configures a Transport. TLS, Proxy and Dial may be nil.
type Options struct {
	Server   string
	JSON     bool
	Token    string
	Hello    []byte
	GetToken func(ctx context.Context) (string, error)
	TLS      *tls.Config
	Proxy    func(*http.Request) (*url.URL, error)
	Dial     func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Transport is the transport of a client. mu guards the fields below it.
type Transport struct {
	*centrifuge.Client
	opt   Options
	state *connection.State
	life  context.Context // ends with Close
	end   context.CancelFunc

	turn     chan struct{} // held while Connect makes its first attempt
	starting sync.Mutex    // held until that attempt has begun, and by Close

	mu       sync.Mutex
	begun    chan struct{}   // closed when an attempt of Connect has begun
	attempts context.Context // of the attempts to connect, and of their connections
	stop     context.CancelFunc
}

// New returns a disconnected transport.
func New(opt Options) (*Transport, error) {
	endpoint, err := Endpoint(opt.Server)
	if err != nil {
		return nil, err
	}
	t := &Transport{opt: opt, turn: make(chan struct{}, 1)}
	t.life, t.end = context.WithCancel(context.Background())
	t.attempts, t.stop = context.WithCancel(context.WithoutCancel(t.life))
	t.state = connection.New(t.life)
	cfg := centrifuge.Config{
		Token: opt.Token, Data: opt.Hello, Name: "beckon-go", Version: protocol.Version,
		ReadTimeout: 10 * time.Second, WriteTimeout: 5 * time.Second, HandshakeTimeout: 10 * time.Second,
		MinReconnectDelay: 100 * time.Millisecond, MaxReconnectDelay: 5 * time.Second,
		MaxServerPingDelay: 5 * time.Second, // a dead connection is noticed within 15 s
		TLSConfig:          opt.TLS, Proxy: opt.Proxy, NetDialContext: t.dial,
		GetToken: func(centrifuge.ConnectionTokenEvent) (string, error) { return opt.GetToken(t.current()) },
	}
	if opt.JSON {
		t.Client = centrifuge.NewJsonClient(endpoint, cfg)
	} else {
		t.Client = centrifuge.NewProtobufClient(endpoint, cfg)
	}
	return t, nil
}

// Endpoint returns the WebSocket address of a server.
func Endpoint(server string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return "", failure.Bad("Server", "the address must have the form http://host:port: "+server)
	}
	switch u.Scheme {
	case "http", "ws":
		u.Scheme = "ws"
	case "https", "wss":
		u.Scheme = "wss"
	default:
		return "", failure.Bad("Server", "the scheme must be one of http, https, ws, wss: "+server)
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "/connection/websocket"
	return u.String(), nil
}
