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

// Streams serves links over HTTP streaming, or SSE: the request carries the first commands and its response everything
// that the device is told. Further commands come through Feed.
func Streams(opt Options, sse bool, accept func(*Link) Device) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		known, ok := opt.mayConnect(w, r)
		if !ok {
			return
		}
		defer known()
		first, ok := firstCommands(w, r, opt.MaxFrame, sse)
		if !ok {
			return
		}
		f := JSON
		if !sse && r.Header.Get("Content-Type") == "application/octet-stream" {
			f = Protobuf
		}
		out := &stream{w: w, flush: http.NewResponseController(w), framing: f, sse: sse, time: opt.WriteTime,
			over: make(chan struct{})}
		if err := out.begin(); err != nil {
			return
		}
		l := &Link{Framing: f, Stream: true, From: address.From(r.Context()), Known: known, max: opt.MaxQueue, out: out}
		l.device = accept(l)
		_ = l.Feed(first) // the link is new
		select {
		case <-r.Context().Done():
		case <-out.over:
		}
		out.cut()
		l.give(WriteFailed)
		out.mu.Lock()
		defer out.mu.Unlock()
		l.device.Gone()
	})
}

// firstCommands reads what a stream begins with.
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
		http.Error(w, "the parameter cf_connect is to hold the connect command", http.StatusBadRequest)
	case r.Method == http.MethodPost:
		b, err := ReadBody(w, r, limit)
		return b, err == nil
	default:
		http.Error(w, "this address takes POST", http.StatusMethodNotAllowed)
	}
	return nil, false
}

// bodyTime is how long the body of a request may take.
const bodyTime = 15 * time.Second

// ReadBody reads the body of a request, or answers why not.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int) ([]byte, error) {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(bodyTime)) // where there are none, the server's own limits hold
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	var long *http.MaxBytesError
	switch {
	case err == nil:
		// as above; what was not read to its end keeps its time, because the server reads the rest away
		_ = rc.SetReadDeadline(time.Time{})
	case errors.As(err, &long):
		address.Wrong(r.Context())
		http.Error(w, "the body is too long", http.StatusRequestEntityTooLarge)
	default:
		http.Error(w, "the body could not be read", http.StatusBadRequest)
	}
	return b, err
}

// ErrGone says that a link has ended.
var ErrGone = errors.New("this link has ended")

// Feed hands a stream's device the commands of a request.
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

// stream is the way out over a response.
type stream struct {
	framing Framing
	sse     bool
	time    time.Duration
	flush   *http.ResponseController
	once    sync.Once
	over    chan struct{} // nothing more is written

	mu sync.Mutex // commands come one after the other

	wmu sync.Mutex          // guards w
	w   http.ResponseWriter // nil once the request is answered
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
	_ = s.flush.SetWriteDeadline(time.Now().Add(s.time)) // where there are none, the request's own limits hold
	for _, f := range frames {
		if _, err := s.w.Write(s.dress(f)); err != nil {
			return err
		}
	}
	err := s.flush.Flush()
	_ = s.flush.SetWriteDeadline(time.Time{}) // over HTTP/2 it would end a stream that is silent
	return err
}

// dress makes a frame what it is on this stream.
func (s *stream) dress(frame []byte) []byte {
	switch {
	case s.sse:
		return append(append([]byte("data: "), frame...), "\n\n"...)
	case s.framing == JSON:
		return append(append(make([]byte, 0, len(frame)+1), frame...), '\n')
	}
	return frame
}

// end says goodbye in a frame: a response has no close codes.
func (s *stream) end(g goodbye) {
	_ = s.write([][]byte{s.framing.Encode(g.reply())}) // it ends either way
	s.cut()
}

func (s *stream) cut() {
	s.wmu.Lock()
	s.w = nil
	s.wmu.Unlock()
	s.once.Do(func() { close(s.over) })
}
