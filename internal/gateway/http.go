package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	wire "github.com/centrifugal/protocol"
	"github.com/centrifugal/protocol/cfjson"

	"github.com/beckon-im/beckon/internal/gateway/link"
	"github.com/beckon-im/beckon/protocol"
)

// Paths of the connection endpoints.
const (
	PathWebSocket  = "/connection/websocket"
	PathHTTPStream = "/connection/http_stream"
	PathSSE        = "/connection/sse"
	PathEmulation  = "/emulation"
)

// Handler serves device connections: WebSocket, and HTTP streaming and SSE for networks that block WebSocket.
func (g *Gateway) Handler() http.Handler {
	opt := link.Options{CheckOrigin: g.opt.CheckOrigin, MaxFrame: protocol.MaxRequest + 4096, MaxQueue: g.opt.MaxQueue,
		WriteTime: 5 * time.Second, Log: g.opt.Log}
	mux := http.NewServeMux()
	mux.Handle(PathWebSocket, link.WebSocket(opt, g.accept))
	opt.MaxFrame = protocol.MaxRequest
	mux.Handle(PathHTTPStream, link.Streams(opt, false, g.accept))
	mux.Handle(PathSSE, link.Streams(opt, true, g.accept))
	mux.HandleFunc(PathEmulation, g.emulation)
	return mux
}

// errNoSession means that the stream of a session does not exist.
var errNoSession = errors.New("session not found: its stream has ended")

// emulation accepts the commands of a stream session. The stream may be on another node.
func (g *Gateway) emulation(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
	case http.MethodOptions:
		w.Header().Set("Access-Control-Max-Age", "300")
		w.Header().Set("Access-Control-Allow-Methods", "POST, OPTIONS")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		http.Error(w, "method not allowed: use POST", http.StatusMethodNotAllowed)
		return
	}
	body, err := link.ReadBody(w, r, protocol.MaxRequest)
	if err != nil {
		return
	}
	var req wire.EmulationRequest
	if r.Header.Get("Content-Type") == "application/octet-stream" {
		err = req.UnmarshalCF(body)
	} else {
		err = cfjson.Unmarshal(body, &req, 0)
	}
	if err != nil || req.Node == "" || len(req.Node) > len(g.id) {
		http.Error(w, "body must be a request with session, node and data", http.StatusBadRequest)
		return
	}
	if req.Node != g.id && g.opt.Nodes != nil {
		command, err := req.MarshalCF()
		if err == nil {
			err = g.opt.Nodes.PublishCommand(req.Node, command)
		}
		if err != nil {
			http.Error(w, "the node of this session is unreachable", http.StatusServiceUnavailable)
			return
		}
	} else if err := g.feed(&req); errors.Is(err, errNoSession) {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	} else if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// receiveCommand runs a command that another node forwarded.
func (g *Gateway) receiveCommand(data []byte) {
	var req wire.EmulationRequest
	if err := req.UnmarshalCF(data); err != nil {
		return // sent by another version
	}
	go func() {
		if err := g.feed(&req); err != nil {
			g.opt.Log.Debug("forwarded commands have no stream", "error", err)
		}
	}()
}

// feed passes commands to the stream of their session.
func (g *Gateway) feed(req *wire.EmulationRequest) error {
	found, ok := g.streams.Load(req.Session)
	if !ok {
		return errNoSession
	}
	l := found.(*link.Link)
	commands := []byte(req.Data)
	if l.Framing == link.JSON {
		var text string
		if err := json.Unmarshal(req.Data, &text); err != nil {
			return errors.New("data must be a string that contains the commands")
		}
		commands = []byte(text)
	}
	if err := l.Feed(commands); err != nil {
		return errNoSession
	}
	return nil
}
