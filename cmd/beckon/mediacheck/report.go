package mediacheck

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Enter opens a media room: it returns the address of its signaling, a token, and a function that ends it.
type Enter func(ctx context.Context) (url, token string, leave func(), err error)

// Report joins a room by each transport, writes the results, and returns the number of failures. Each transport has a
// room of its own: one without a user ends soon.
func Report(ctx context.Context, w io.Writer, config *tls.Config, enter Enter) (bad int) {
	for _, by := range []Transport{UDP, TCP, TURN} {
		r := inRoom(ctx, config, enter, by)
		at := ""
		if len(r.Addresses) > 0 {
			at = " at " + strings.Join(r.Addresses, ", ")
		}
		switch {
		case r.Err == nil:
			_, _ = fmt.Fprintf(w, "✓ media by %s%s in %d ms\n", by, at, r.Time.Milliseconds())
		case errors.Is(r.Err, ErrNotOffered) && by != UDP:
			_, _ = fmt.Fprintf(w, "– media by %s: %v; %s\n", by, r.Err, offer(by))
		default:
			bad++
			_, _ = fmt.Fprintf(w, "✗ media by %s%s: %v; %s\n", by, at, r.Err, remedy(by))
		}
	}
	return bad
}

func inRoom(ctx context.Context, config *tls.Config, enter Enter, by Transport) Result {
	url, token, leave, err := enter(ctx)
	if err != nil {
		return Result{Err: err}
	}
	defer leave()
	return Join(ctx, Options{URL: url, Token: token, TLS: config}, by)
}

// offer returns the advice for a transport that the media server does not have.
func offer(by Transport) string {
	if by == TCP {
		return "clients whose network blocks UDP need it: --media-tcp-port, and a --media-ip that is no " +
			"loopback address"
	}
	return "clients whose network passes only port 443 need it: --media-turn-domain, or the turn settings of an " +
		"external LiveKit"
}

// remedy returns the advice for a transport that is blocked.
func remedy(by Transport) string {
	switch by {
	case UDP:
		return "open this port for UDP in the firewalls of the server (--media-udp-port), and check that the address is " +
			"the server's (--media-ip) and that the network of this machine passes UDP; most calls need it"
	case TCP:
		return "open this port for TCP in the firewalls of the server (--media-tcp-port); clients whose network blocks " +
			"UDP need it"
	case TURN:
	}
	return "check that the domain resolves to the server, and that the certificate and a proxy serve it " +
		"(--media-turn-domain)"
}
