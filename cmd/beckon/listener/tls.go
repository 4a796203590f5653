// Package listener makes the listeners of the server: TLS with a certificate that may be renewed, and the separation of
// connections for HTTP from those for TURN.
package listener

import (
	"crypto/tls"
	"fmt"
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

// newTLS returns the configuration of TLS with a certificate and its key from files.
func newTLS(cert, key string) (*tls.Config, error) {
	c := &certificates{cert: cert, key: key}
	if _, err := c.get(nil); err != nil {
		return nil, fmt.Errorf("load TLS certificate: %w", err)
	}
	// No HTTP/2: a WebSocket over it is another protocol (RFC 8441), which clients would have to support.
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"http/1.1"}}, nil
}
