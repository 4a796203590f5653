package scenario

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/client/upload"
	"github.com/beckon-im/beckon/im"
)

// secure is a server with a certificate of its own CA.
type secure struct {
	*testing.T
	*beckontest.Cluster
	web *httptest.Server
	tls *tls.Config // trusts it
}

func newSecure(t *testing.T) *secure {
	t.Helper()
	s := &secure{T: t, Cluster: newHouse(t, beckon.Config{})}
	s.web = httptest.NewUnstartedServer(s.Server.Handler())
	s.web.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of refused handshakes
	s.web.StartTLS()
	t.Cleanup(s.web.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.web.Certificate())
	s.tls = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
	return s
}

// use connects, uploads a file and downloads it again.
func (s *secure) use(opt client.Options) {
	s.Helper()
	if opt.Server == "" {
		opt.Server = s.web.URL
	}
	opt.Token = s.Token("ann")
	c := s.DeviceWith(opt)
	defer c.Close()
	ctx := s.T.Context()
	up, err := c.UploadFile(ctx, upload.File{Kind: "file", Name: "a.txt", Body: strings.NewReader("the content")})
	if err != nil {
		s.Fatal(err)
	}
	body, err := c.DownloadFile(ctx, up.FileID)
	if err != nil {
		s.Fatal(err)
	}
	defer body.Close()
	if text, err := io.ReadAll(body); string(text) != "the content" || err != nil {
		s.Errorf("the file is %q, %v", text, err)
	}
}

// TestOwnCA: the WebSocket and the files trust the CA of Options.TLS, and no other.
func TestOwnCA(t *testing.T) {
	s := newSecure(t)
	s.use(client.Options{TLS: s.tls})
	var log logLines
	stranger, err := client.New(client.Options{Server: s.web.URL, Token: s.Token("ann"), Log: log.logger(slog.LevelWarn)})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	_, err = stranger.UploadFile(t.Context(), upload.File{Kind: "file", Body: strings.NewReader("x")})
	if unknown := (x509.UnknownAuthorityError{}); !errors.As(err, &unknown) || im.CodeOf(err) != client.CodeDisconnected {
		t.Errorf("an upload without the CA: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	connected := make(chan error, 1)
	go func() { connected <- stranger.Connect(ctx) }()
	eventually(t, "the failure is logged", func() bool { return log.has("connection failed", "unknown authority") })
	cancel()
	if err := <-connected; !errors.Is(err, context.Canceled) || !errors.Is(err, client.ErrNotConnected) ||
		!strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a connect without the CA: %v", err)
	}
}

// connectProxy is an HTTP proxy of CONNECT. mu guards hosts.
type connectProxy struct {
	mu    sync.Mutex
	hosts []string
}

func (p *connectProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
		return
	}
	p.mu.Lock()
	p.hosts = append(p.hosts, r.Host)
	p.mu.Unlock()
	server, err := net.Dial("tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer server.Close()
	device, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer device.Close()
	if _, err := io.WriteString(device, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(server, device)
		_ = server.Close()
	})
	_, _ = io.Copy(device, server)
	_ = device.Close()
	both.Wait()
}

// TestProxy: the WebSocket and the files go through the proxy.
func TestProxy(t *testing.T) {
	s := newSecure(t)
	proxy := &connectProxy{}
	web := httptest.NewServer(proxy)
	t.Cleanup(web.Close)
	address, err := url.Parse(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.use(client.Options{TLS: s.tls, Proxy: http.ProxyURL(address)})
	proxy.mu.Lock()
	defer proxy.mu.Unlock()
	host := strings.TrimPrefix(s.web.URL, "https://")
	if !slices.Equal(proxy.hosts, []string{host, host}) { // the WebSocket, and one connection for both files
		t.Errorf("the proxy connected to %v", proxy.hosts)
	}
}

// TestDial: Dial finds the server under a name without DNS.
func TestDial(t *testing.T) {
	s := newSecure(t)
	s.use(client.Options{Server: "https://example.com", TLS: s.tls, // a name of the certificate
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr != "example.com:443" {
				t.Errorf("dials %s", addr)
			}
			return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(s.web.URL, "https://"))
		}})
}

// roundTrips records the requests of an HTTP client. mu guards paths.
type roundTrips struct {
	http.RoundTripper
	mu    sync.Mutex
	paths []string
}

func (r *roundTrips) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paths = append(r.paths, req.Method+" "+strings.SplitAfter(req.URL.Path, "/files")[0])
	return r.RoundTripper.RoundTrip(req)
}

// TestHTTPClient: files use the HTTP client of the caller.
func TestHTTPClient(t *testing.T) {
	s := newSecure(t)
	trips := &roundTrips{RoundTripper: s.web.Client().Transport}
	s.use(client.Options{TLS: s.tls, HTTP: &http.Client{Transport: trips}})
	if len(trips.paths) != 2 || trips.paths[0] != "POST /v1/files" || !strings.HasPrefix(trips.paths[1], "GET ") {
		t.Errorf("%v", trips.paths)
	}
}

// logLines is a log in memory. mu guards text.
type logLines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logLines) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: level}))
}

// has reports whether a line has all words.
func (l *logLines) has(words ...string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return true
		}
	}
	return false
}

// TestLog: connects at Debug; the end of a connection, and failures without a callback, at Warn.
func TestLog(t *testing.T) {
	house := newHouse(t, beckon.Config{})
	var log logLines
	c := house.DeviceWith(client.Options{Token: house.Token("ann"), DeviceID: "a", Log: log.logger(slog.LevelDebug)})
	eventually(t, "the connect is logged", func() bool { return log.has("DEBUG", "connected", "user=ann", "device=a") })
	house.Device("ann", "a", client.Listener{}) // replaces it
	eventually(t, "the end is logged",
		func() bool { return log.has("WARN", "disconnected permanently", "code=4502") })
	c.Close()
	if log.has("WARN", "connection failed") {
		t.Errorf("a close is logged as a failure: %s", log.text.String())
	}
}

// TestUploadToken: an upload uses the newest token.
func TestUploadToken(t *testing.T) {
	house := newHouse(t, beckon.Config{})
	c, err := client.New(client.Options{Server: house.URL, Token: "no token"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send := func() error {
		_, err := c.UploadFile(t.Context(), upload.File{Kind: "file", Body: strings.NewReader("x")})
		return err
	}
	if err := send(); im.CodeOf(err) != im.CodeTokenMalformed && im.CodeOf(err) != im.CodeTokenRefused {
		t.Errorf("with a malformed token: %v", err)
	}
	if err := c.Renew(t.Context(), house.Token("ann")); err != nil {
		t.Fatal(err)
	}
	if err := send(); err != nil {
		t.Errorf("with the new token: %v", err)
	}
}
