package mediacheck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/livekit/protocol/livekit"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"
	"google.golang.org/protobuf/proto"
)

// signaling is a connection to the signaling of LiveKit.
type signaling struct {
	conn  *websocket.Conn
	early []webrtc.ICECandidateInit // candidates before the answer
	done  chan struct{}
	reads sync.WaitGroup
}

// dial opens the signaling of a room.
func dial(ctx context.Context, o Options) (*signaling, error) {
	base := strings.TrimSuffix(o.URL, "/")
	if rest, ok := strings.CutPrefix(base, "http"); ok {
		base = "ws" + rest
	}
	d := websocket.Dialer{TLSClientConfig: o.TLS}
	query := url.Values{"access_token": {o.Token}, "protocol": {"15"}, "sdk": {"go"}, "auto_subscribe": {"0"}}
	conn, res, err := d.DialContext(ctx, base+"/rtc?"+query.Encode(), nil)
	if res != nil {
		_ = res.Body.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("the signaling of LiveKit at %s/rtc cannot be reached: %w", base, err)
	}
	if at, ok := ctx.Deadline(); ok {
		_ = conn.SetReadDeadline(at.Add(time.Second))  // the attempt ends first
		_ = conn.SetWriteDeadline(at.Add(time.Second)) // for the leave
	}
	return &signaling{conn: conn, done: make(chan struct{})}, nil
}

// join returns the first message of LiveKit.
func (s *signaling) join() (*livekit.JoinResponse, error) {
	for {
		m, err := s.next()
		if err != nil {
			return nil, err
		}
		if join := m.GetJoin(); join != nil {
			return join, nil
		}
		if m.GetLeave() != nil {
			return nil, errors.New("LiveKit did not admit this client")
		}
	}
}

func (s *signaling) next() (*livekit.SignalResponse, error) {
	_, b, err := s.conn.ReadMessage()
	if err != nil {
		return nil, err
	}
	m := &livekit.SignalResponse{}
	return m, proto.Unmarshal(b, m)
}

// read passes messages on until the connection ends.
func (s *signaling) read(to chan<- *livekit.SignalResponse, failed chan<- error) {
	for {
		m, err := s.next()
		if err != nil {
			failed <- err
			return
		}
		select {
		case to <- m:
		case <-s.done:
			return
		}
	}
}

func (s *signaling) send(m *livekit.SignalRequest) error {
	b, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	return s.conn.WriteMessage(websocket.BinaryMessage, b)
}

// close leaves the room.
func (s *signaling) close() {
	close(s.done)
	_ = s.send(&livekit.SignalRequest{Message: &livekit.SignalRequest_Leave{Leave: &livekit.LeaveRequest{
		Reason: livekit.DisconnectReason_CLIENT_INITIATED}}})
	_ = s.conn.Close()
	s.reads.Wait()
}

// candidate parses a candidate of the media server.
func candidate(text string) (c webrtc.ICECandidateInit, err error) {
	return c, json.Unmarshal([]byte(text), &c)
}

// silent returns a logger that writes nothing.
func silent() logging.LoggerFactory {
	return &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled}
}
