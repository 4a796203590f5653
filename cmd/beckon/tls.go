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

// certificates serves a certificate from files, and reads them anew when they have changed, so that a renewal needs no
// restart.
type certificates struct {
	cert, key string

	mu      sync.Mutex
	looked  time.Time
	changed time.Time // of the files that were read
	pair    *tls.Certificate
}

// lookEach is how often the files are looked at.
const lookEach = time.Second

// get is the certificate as it is now. Files that cannot be read leave the one before.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pair != nil && time.Since(c.looked) < lookEach {
		return c.pair, nil
	}
	c.looked = time.Now()
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

// newest is when the last of some files was changed.
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

// secure returns what lets a listener speak TLS, when there is a certificate, and says how addresses begin.
func (f *serverFlags) secure() (func(net.Listener) net.Listener, string, error) {
	switch {
	case f.TLSCert == "" && f.TLSKey == "":
		return func(ln net.Listener) net.Listener { return ln }, "http://", nil
	case f.TLSCert == "" || f.TLSKey == "":
		return nil, "", errors.New("--tls-cert and --tls-key belong together")
	case f.Media == "embedded":
		return nil, "", errors.New(
			"the embedded media server reports to this one without TLS: use --media external, or a proxy with TLS in front")
	}
	c := &certificates{cert: f.TLSCert, key: f.TLSKey}
	if _, err := c.get(nil); err != nil {
		return nil, "", fmt.Errorf("the certificate cannot be used: %w", err)
	}
	// HTTP/2 is left out: a WebSocket over it is another protocol, which clients would have to be told of.
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"http/1.1"}}
	return func(ln net.Listener) net.Listener { return tls.NewListener(ln, config) }, "https://", nil
}
