package link

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/beckon-im/beckon/internal/address"
)

// Streams serves links over HTTP streaming or SSE. The request carries the first commands, its response all replies and
// pushes. Further commands arrive through Feed.
func Streams(opt Options, sse bool, accept func(*Link) Device) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		release, ok := opt.admit(w, r)
		if !ok {
			return
		}
		defer release()
		first, ok := firstCommands(w, r, opt.MaxFrame, sse)
		if !ok {
			return
		}
		f := JSON
		if !sse && r.Header.Get("Content-Type") == "application/octet-stream" {
			f = Protobuf
		}
		out := &stream{w: w, flush: http.NewResponseController(w), framing: f, sse: sse, time: opt.WriteTime,
			done: make(chan struct{})}
		if err := out.begin(); err != nil {
			return
		}
		l := &Link{Framing: f, Stream: true, From: address.From(r.Context()), Release: release, max: opt.MaxQueue, out: out}
		l.device = accept(l)
		_ = l.Feed(first) // a new link is never closed
		select {
		case <-r.Context().Done():
		case <-out.done:
		}
		out.abort()
		l.markClosed(WriteFailed)
		out.mu.Lock()
		defer out.mu.Unlock()
		l.device.Gone()
	})
}

// firstCommands reads the commands of the request that opens a stream.
func firstCommands(w http.ResponseWriter, r *http.Request, limit int, sse bool) ([]byte, bool) {
	switch {
	case r.Method == http.MethodOptions && !sse:
		w.Header().Set("Access-Control-Max-Age", "300")
		w.Header().Set("Access-Control-Allow-Methods", "POST, OPTIONS")
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet && sse:
		if c := r.URL.Query().Get("cf_connect"); c != "" {
			return []byte(c), true
		}
		http.Error(w, "the query parameter cf_connect must contain the connect command", http.StatusBadRequest)
	case r.Method == http.MethodPost:
		b, err := ReadBody(w, r, limit)
		return b, err == nil
	default:
		http.Error(w, "method not allowed: use POST", http.StatusMethodNotAllowed)
	}
	return nil, false
}

// bodyTime is the timeout for reading a request body.
const bodyTime = 15 * time.Second

// ReadBody reads the body of a request. On failure it also writes the error response.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int) ([]byte, error) {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(bodyTime)) // if deadlines are unsupported, the server's limits apply
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	var long *http.MaxBytesError
	switch {
	case err == nil:
		// as above. After an error the deadline stays, because the server drains the rest of the body.
		_ = rc.SetReadDeadline(time.Time{})
	case errors.As(err, &long):
		address.Wrong(r.Context())
		http.Error(w, "body too large", http.StatusRequestEntityTooLarge)
	default:
		http.Error(w, "reading the body failed", http.StatusBadRequest)
	}
	return b, err
}

// ErrGone means that a link is closing or closed.
var ErrGone = errors.New("link is closed")

// Feed passes the commands of a request to the device of a stream.
func (l *Link) Feed(frame []byte) error {
	out, ok := l.out.(*stream)
	if !ok {
		return ErrGone
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	if l.Ending() {
		return ErrGone
	}
	l.receive(frame)
	return nil
}

// stream is the sink that writes to an HTTP response.
type stream struct {
	framing Framing
	sse     bool
	time    time.Duration
	flush   *http.ResponseController
	once    sync.Once
	done    chan struct{} // closed when the response is complete

	mu sync.Mutex // serializes commands

	wmu sync.Mutex          // guards w
	w   http.ResponseWriter // nil after the response is complete
}

func (s *stream) begin() error {
	h := s.w.Header()
	h.Set("X-Accel-Buffering", "no")
	h.Set("Cache-Control", "private, no-cache, no-store, must-revalidate, max-age=0")
	if s.sse {
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
	}
	s.w.WriteHeader(http.StatusOK)
	if s.sse {
		if _, err := io.WriteString(s.w, "\r\n"); err != nil {
			return err
		}
	}
	return s.flush.Flush()
}

func (s *stream) write(frames [][]byte) error {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if s.w == nil {
		return context.Canceled
	}
	_ = s.flush.SetWriteDeadline(time.Now().Add(s.time)) // if deadlines are unsupported, the request's limits apply
	for _, f := range frames {
		if _, err := s.w.Write(s.encode(f)); err != nil {
			return err
		}
	}
	err := s.flush.Flush()
	_ = s.flush.SetWriteDeadline(time.Time{}) // on HTTP/2 the deadline would end an idle stream
	return err
}

// encode adds the delimiters of the transport to a frame.
func (s *stream) encode(frame []byte) []byte {
	switch {
	case s.sse:
		return append(append([]byte("data: "), frame...), "\n\n"...)
	case s.framing == JSON:
		return append(append(make([]byte, 0, len(frame)+1), frame...), '\n')
	}
	return frame
}

// end sends the close message as a frame, since a response has no close codes.
func (s *stream) end(g closeMessage) {
	_ = s.write([][]byte{s.framing.Encode(g.reply())}) // the stream ends either way
	s.abort()
}

func (s *stream) abort() {
	s.wmu.Lock()
	s.w = nil
	s.wmu.Unlock()
	s.once.Do(func() { close(s.done) })
}
