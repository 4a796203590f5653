package api

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/beckon-im/beckon/internal/address"
)

// bodyTime is the timeout for reading a request body; for uploads, between two reads.
const bodyTime = 15 * time.Second

// body is a request body with a read deadline. The deadline also applies when no handler reads it, because the server
// drains the rest before it responds.
type body struct {
	io.ReadCloser
	request *http.Request
	conn    *http.ResponseController
	extend  bool // uploads: the deadline is extended after each read
}

// setBodyTimeout sets the deadline of a request body.
func setBodyTimeout(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 || r.Header.Get("Upgrade") != "" {
		return
	}
	b := &body{ReadCloser: r.Body, request: r, conn: http.NewResponseController(w), extend: r.URL.Path == pathFiles}
	b.setDeadline(bodyTime)
	r.Body = b
}

// setDeadline sets the read deadline; 0 removes it. If deadlines are unsupported, the server's limits apply.
func (b *body) setDeadline(d time.Duration) {
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
		b.setDeadline(0)
	case errors.Is(err, os.ErrDeadlineExceeded):
		address.Wrong(b.request.Context())
	case b.extend && n > 0:
		b.setDeadline(bodyTime)
	}
	return n, err
}
