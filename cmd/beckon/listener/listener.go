package listener

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// TURN are the settings of TURN over TLS, as flags of the program.
type TURN struct {
	Domain, Listen string
	Port           int
	Embedded       bool   // the media server is in this process
	Cert, Key      string // files; "" = a proxy ends TLS
}

// turnPort is the port of TURN over TLS where a proxy ends TLS.
const turnPort = 443

// Secure returns the configuration of TLS with a certificate and its key from files, and the URL scheme; nil without
// a certificate.
func Secure(cert, key string) (*tls.Config, string, error) {
	switch {
	case cert == "" && key == "":
		return nil, "http://", nil
	case cert == "" || key == "":
		return nil, "", errors.New("--tls-cert and --tls-key must be set together")
	}
	config, err := newTLS(cert, key)
	return config, "https://", err
}

// Over returns a listener of the HTTP server: over TLS if it is configured, and without the connections to the domain
// of TURN, which are passed to turn.
func Over(ln net.Listener, config *tls.Config, domain string, turn *Accepted) net.Listener {
	switch {
	case config == nil:
		return ln
	case turn == nil:
		return tls.NewListener(ln, config)
	}
	return split(ln, config, domain, turn)
}

// Open returns the listener of the TURN server, and the port at which clients reach it; nil without one. With a
// certificate its connections come from the listener of the server at listen; else from an address of its own, without
// TLS.
func (o TURN) Open(ctx context.Context, listen net.Addr) (ln *Accepted, port int, err error) {
	switch own := o.Cert != ""; {
	case o.Domain == "" && o.Listen == "" && o.Port == 0:
		return nil, 0, nil
	case o.Domain == "":
		return nil, 0, errors.New("--media-turn-listen and --media-turn-port need --media-turn-domain")
	case !o.Embedded:
		return nil, 0, errors.New("--media-turn-domain needs --media embedded: an external LiveKit has TURN of its own")
	case own && o.Listen != "":
		return nil, 0, errors.New("--media-turn-listen is for a proxy that ends TLS: omit it with --tls-cert")
	case !own && o.Listen == "":
		return nil, 0, errors.New("--media-turn-domain needs --tls-cert and --tls-key, or --media-turn-listen behind a " +
			"proxy that ends TLS for this domain")
	case own:
		if port = o.Port; port == 0 {
			port = listen.(*net.TCPAddr).Port
		}
		return NewAccepted(listen), port, o.covered()
	}
	if port = o.Port; port == 0 {
		port = turnPort
	}
	raw, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot listen on %s: %w; choose another address with --media-turn-listen",
			o.Listen, err)
	}
	return plain(raw), port, nil
}

// covered checks that the certificate is valid for the domain.
func (o TURN) covered() error {
	pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
	if err != nil {
		return fmt.Errorf("load TLS certificate: %w", err)
	}
	if err := pair.Leaf.VerifyHostname(o.Domain); err != nil {
		return fmt.Errorf("the certificate in %s is not valid for --media-turn-domain %s: %w; get one for both names",
			o.Cert, o.Domain, err)
	}
	return nil
}

// Serve serves one path at a listener until ctx ends; nil = no listener.
func Serve(ctx context.Context, ln net.Listener, path string, h http.Handler) error {
	if ln == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle(path, h)
	web := &http.Server{Handler: mux, ReadHeaderTimeout: handshakeTime}
	stop := context.AfterFunc(ctx, func() { _ = web.Close() })
	defer stop()
	if err := web.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// headerTime is the timeout of request headers, idleTime that of idle connections, stopTime that of the requests at the
// end, and maxHeader the limit of header bytes: a token has at most 8 KiB.
const (
	headerTime = 10 * time.Second
	idleTime   = 2 * time.Minute
	stopTime   = 5 * time.Second
	maxHeader  = 32 << 10
)

// Run serves a handler until ctx ends, and drained is closed: devices of the node are sent to others meanwhile.
func Run(ctx context.Context, g *errgroup.Group, drained <-chan struct{}, h http.Handler, ln net.Listener) {
	web := &http.Server{Handler: h, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader}
	g.Go(func() error {
		if err := web.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		<-drained
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		if err := web.Shutdown(end); !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		return web.Close() // a request that takes longer, or a connection without one, does not make the stop an error
	})
}
