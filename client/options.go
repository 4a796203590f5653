package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/beckon-im/beckon/client/internal/transport"
)

// Options configures a Client. Server and one of Token and GetToken are required; the zero value of every other field
// is its default.
type Options struct {
	// Server is the address of the server: http://host:port; the schemes https, ws and wss are accepted too. A path is
	// kept, for a server below one.
	Server string
	// Token authenticates the user: a JWT or a UserSig. Without GetToken, call Renew on Listener.OnTokenWillExpire: the
	// connection ends 20 s after the expiry, or half of a shorter life. Default: GetToken is called.
	Token string
	// GetToken returns a token. Set it where an app server mints tokens with a short life: it is called on connecting if
	// Token is empty, and when a token expires. It must return when ctx ends, which Close does. Default: none.
	GetToken func(ctx context.Context) (string, error)
	// DeviceID identifies this device among the user's; keep it over restarts. At most 64 bytes. Default: minted by the
	// server for each connection.
	DeviceID string
	// Platform is reported to the server: ios, android, web, cli… Default: "go".
	Platform string

	// Epoch and Positions are the result of Client.Positions before a restart of the program; events since then are
	// delivered. Set them where Store does not fit. Default: start with the open invitations.
	Epoch     string
	Positions map[string]uint64
	// Store keeps positions and open invitations between runs of the program, as FileStore, so that events since the last
	// run are delivered; Epoch and Positions take precedence. Use one per device, with a DeviceID. Default: none.
	Store Store
	// Inbox maintains the user's conversations for Client.Conversations. Set it in programs that show a list of them.
	// Default: false.
	Inbox bool
	// Listener receives events. Default: none.
	Listener Listener

	// CallTimeout is the timeout of calls with a context without deadline, retries included. Default: 20 s.
	CallTimeout time.Duration
	// NoRepeat returns refusals with 9506 (too often, or overload) and 10002 (the server failed) at once. By default, a
	// call that only reads or has a request or message ID is repeated after the retryAfter of the refusal, at most 20
	// times and until its context ends. Online-only messages are never repeated.
	NoRepeat bool
	// Log receives the messages of the client: lost and failed connections and failures without a callback at the level
	// Warn, connects and repeated calls at Debug. Set it to diagnose a device. Default: no log.
	Log *slog.Logger

	// TLS is the TLS configuration of all connections. Set it for a server with a certificate of your own CA (RootCAs), or
	// for client certificates. Default: that of crypto/tls.
	TLS *tls.Config
	// Proxy returns the proxy of a connection, nil for none, as the Proxy of an http.Transport. Set it where the
	// environment does not name the proxy. The WebSocket is tunneled with CONNECT. Default: http.ProxyFromEnvironment.
	Proxy func(*http.Request) (*url.URL, error)
	// Dial opens the TCP connections to the server, or to its proxy. Set it to bind an interface, or to connect by other
	// means than DNS. It must return when ctx ends. Default: that of net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// HTTP uploads and downloads files. Set it to share a connection pool, or to add a RoundTripper of yours; TLS, Proxy
	// and Dial then apply to the WebSocket only. Default: a client with TLS, Proxy and Dial and without a timeout.
	HTTP *http.Client
	// JSON selects JSON framing instead of Protobuf, to read it on the wire. Default: false.
	JSON bool
}

// defaults fills in the defaults.
func (o *Options) defaults() {
	o.Platform = cmp.Or(o.Platform, "go")
	o.CallTimeout = cmp.Or(o.CallTimeout, 20*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// transport returns the options of the transport.
func (c *Client) transport(hello []byte) transport.Options {
	return transport.Options{Server: c.opt.Server, JSON: c.opt.JSON, Token: c.opt.Token, Hello: hello,
		GetToken: c.nextToken, TLS: c.opt.TLS, Proxy: c.opt.Proxy, Dial: c.opt.Dial}
}
