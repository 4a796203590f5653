package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/cmd/beckon/listener"
)

// certify writes a new certificate for 127.0.0.1 and localhost, and returns a client that trusts it.
func certify(t *testing.T, dir string, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames: []string{"localhost"}, IsCA: true,
		BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"key.pem": {Type: "PRIVATE KEY", Bytes: secret},
		"cert.pem": {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Unix(1_700_000_000+serial, 0)
	for _, name := range []string{"key.pem", "cert.pem"} {
		if err := os.Chtimes(filepath.Join(dir, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool
}

// TestTLS: with a certificate the server serves TLS, including WebSocket, and loads a renewed one without a restart.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	pool := certify(t, dir, 1)
	f := serverFlags{listenFlags: listenFlags{Listen: "127.0.0.1:0", TLSCert: filepath.Join(dir, "cert.pem"),
		TLSKey: filepath.Join(dir, "key.pem")},
		storageFlags: storageFlags{Data: filepath.Join(dir, "data")}, mediaFlags: mediaFlags{Media: "off"}}
	ctx, stop := context.WithCancel(t.Context())
	url, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- f.run(ctx, f.config(slog.New(slog.DiscardHandler)), (*beckon.Server).Handler,
			func(_ *beckon.Server, u string) { url <- u })
	}()
	server := <-url
	serial := func(pool *x509.CertPool) int64 {
		t.Helper()
		conn, err := tls.Dial("tcp", strings.TrimPrefix(server, "https://"), &tls.Config{RootCAs: pool})
		if err != nil {
			return 0
		}
		defer func() { _ = conn.Close() }()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if n := serial(pool); n != 1 {
		t.Errorf("the certificate is %d", n)
	}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	res, err := web.Get(server + "/readyz")
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res, err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	d := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: pool}}
	conn, _, err := d.Dial("wss"+strings.TrimPrefix(server, "https")+"/connection/websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.WriteMessage(websocket.TextMessage, []byte(`{"id":1,"connect":{"token":"nonsense"}}`))
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, 4500) {
		t.Errorf("a bad token over TLS: %v", err)
	}
	_ = conn.Close()
	renewed := certify(t, dir, 2)
	for limit := time.Now().Add(20 * time.Second); serial(renewed) != 2; {
		if time.Now().After(limit) {
			t.Fatal("the renewed certificate is not served")
		}
		<-time.After(20 * time.Millisecond)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, bad := range []serverFlags{
		{listenFlags: listenFlags{TLSCert: "x"}},
		{listenFlags: listenFlags{TLSCert: "none", TLSKey: "none"}},
	} {
		if _, _, err := listener.Secure(bad.TLSCert, bad.TLSKey); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}
