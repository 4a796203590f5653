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

// The addresses at which devices connect.
const (
	PathWebSocket  = "/connection/websocket"
	PathHTTPStream = "/connection/http_stream"
	PathSSE        = "/connection/sse"
	PathEmulation  = "/emulation"
)

// Handler serves the doors of devices: WebSocket, and HTTP streaming and SSE where that is all that gets through.
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

// errNoSession says that a stream is not to be found.
var errNoSession = errors.New("there is no such session: its stream has ended")

// emulation takes the commands of a device whose events go over a stream. The stream may be on another node.
func (g *Gateway) emulation(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
	case http.MethodOptions:
		w.Header().Set("Access-Control-Max-Age", "300")
		w.Header().Set("Access-Control-Allow-Methods", "POST, OPTIONS")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		http.Error(w, "this address takes POST", http.StatusMethodNotAllowed)
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
		http.Error(w, "the body is not a request with session, node and data", http.StatusBadRequest)
		return
	}
	if req.Node != g.id && g.opt.Nodes != nil {
		word, err := req.MarshalCF()
		if err == nil {
			err = g.opt.Nodes.PublishCommand(req.Node, word)
		}
		if err != nil {
			http.Error(w, "the node of this session cannot be reached", http.StatusServiceUnavailable)
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

// take carries out a word of another node.
func (g *Gateway) take(word []byte) {
	var req wire.EmulationRequest
	if err := req.UnmarshalCF(word); err != nil {
		return // of another version
	}
	go func() {
		if err := g.feed(&req); err != nil {
			g.opt.Log.Debug("commands that another node took found no stream", "error", err)
		}
	}()
}

// feed hands commands to the stream they belong to.
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
			return errors.New("data is to be a string that holds the commands")
		}
		commands = []byte(text)
	}
	if err := l.Feed(commands); err != nil {
		return errNoSession
	}
	return nil
}
