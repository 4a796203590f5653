package api

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/beckon-im/beckon/internal/address"
)

// bodyTime is how long the body of a request may take; that of an upload may take so long between two of its parts.
const bodyTime = 15 * time.Second

// body is one that is to come in time, also where nobody reads it: the server reads the rest of it away before it
// answers.
type body struct {
	io.ReadCloser
	request *http.Request
	conn    *http.ResponseController
	parts   bool // each part has the time
}

// timed gives the body of a request its time.
func timed(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 || r.Header.Get("Upgrade") != "" {
		return
	}
	b := &body{ReadCloser: r.Body, request: r, conn: http.NewResponseController(w), parts: r.URL.Path == pathFiles}
	b.wait(bodyTime)
	r.Body = b
}

// wait sets the deadline; 0 = none. Where a connection has none the server's own limits hold.
func (b *body) wait(d time.Duration) {
	var until time.Time
	if d > 0 {
		until = time.Now().Add(d)
	}
	_ = b.conn.SetReadDeadline(until)
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		b.wait(0)
	case errors.Is(err, os.ErrDeadlineExceeded):
		address.Wrong(b.request.Context())
	case b.parts && n > 0:
		b.wait(bodyTime)
	}
	return n, err
}
