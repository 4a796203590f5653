package gateway

import (
	"context"
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

// errUnreachable means that a command cannot have reached the node of its stream: the client sends it again.
var errUnreachable = errors.New("the node of this session is unreachable; send the command again")

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
	switch err := g.forward(r.Context(), &req); {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, errNoSession):
		http.Error(w, err.Error(), http.StatusNotFound)
	case errors.Is(err, errUnreachable):
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// forward passes commands to the stream of their session, on this node or another one.
func (g *Gateway) forward(ctx context.Context, req *wire.EmulationRequest) error {
	if req.Node == g.id || g.opt.Nodes == nil {
		return g.feed(req)
	}
	command, err := req.MarshalCF()
	if err != nil {
		return err
	}
	known, err := g.opt.Nodes.SendCommand(ctx, req.Node, command)
	if err != nil {
		g.opt.Log.Debug("a command did not reach the node of its stream", "node", req.Node, "error", err)
		return errUnreachable
	}
	if !known {
		return errNoSession
	}
	return nil
}

// receiveCommand runs a command that another node forwarded.
func (g *Gateway) receiveCommand(data []byte, reply func(known bool)) {
	var req wire.EmulationRequest
	if err := req.UnmarshalCF(data); err != nil {
		reply(false) // sent by another version
		return
	}
	go func() { reply(!errors.Is(g.feed(&req), errNoSession)) }()
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
