package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// certificates serves a certificate from files, and reloads them after a change, so that a renewal needs no restart. mu
// guards the fields below it.
type certificates struct {
	cert, key string

	mu      sync.Mutex
	checked time.Time
	changed time.Time // modification time of the loaded files
	pair    *tls.Certificate
}

// checkInterval is the minimum interval of checking the files.
const checkInterval = time.Second

// get returns the current certificate. If the files cannot be read, the previous one stays in use.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pair != nil && time.Since(c.checked) < checkInterval {
		return c.pair, nil
	}
	c.checked = time.Now()
	at, err := newest(c.cert, c.key)
	if err == nil && (c.pair == nil || !at.Equal(c.changed)) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.cert, c.key); err == nil {
			c.pair, c.changed = &pair, at
		}
	}
	if c.pair == nil {
		return nil, err
	}
	return c.pair, nil
}

// newest returns the latest modification time of files.
func newest(files ...string) (at time.Time, err error) {
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return at, err
		}
		if info.ModTime().After(at) {
			at = info.ModTime()
		}
	}
	return at, nil
}

// secure returns a wrapper that adds TLS to a listener, if a certificate is configured, and the URL scheme.
func (f *serverFlags) secure() (func(net.Listener) net.Listener, string, error) {
	switch {
	case f.TLSCert == "" && f.TLSKey == "":
		return func(ln net.Listener) net.Listener { return ln }, "http://", nil
	case f.TLSCert == "" || f.TLSKey == "":
		return nil, "", errors.New("--tls-cert and --tls-key must be set together")
	case f.Media == "embedded":
		return nil, "", errors.New(
			"--media embedded does not work with --tls-cert: use --media external, or a TLS proxy")
	}
	c := &certificates{cert: f.TLSCert, key: f.TLSKey}
	if _, err := c.get(nil); err != nil {
		return nil, "", fmt.Errorf("load TLS certificate: %w", err)
	}
	// No HTTP/2: a WebSocket over it is another protocol (RFC 8441), which clients would have to support.
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"http/1.1"}}
	return func(ln net.Listener) net.Listener { return tls.NewListener(ln, config) }, "https://", nil
}
