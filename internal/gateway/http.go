package gateway

import (
	"net/http"
	"time"

	"github.com/centrifugal/centrifuge"

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
	ping := centrifuge.PingPongConfig{PingInterval: g.opt.Ping, PongTimeout: g.opt.Ping / 3}
	mux := http.NewServeMux()
	mux.Handle(PathWebSocket, centrifuge.NewWebsocketHandler(g.node, centrifuge.WebsocketConfig{
		CheckOrigin:                g.opt.CheckOrigin,
		ReadBufferSize:             512,
		WriteBufferSize:            1024,
		UseWriteBufferPool:         true,
		MessageSizeLimit:           protocol.MaxRequest + 4096,
		WriteTimeout:               5 * time.Second,
		ProcessCommandsOffReadLoop: true,
		PingPongConfig:             ping,
	}))
	mux.Handle(PathHTTPStream, centrifuge.NewHTTPStreamHandler(g.node, centrifuge.HTTPStreamConfig{PingPongConfig: ping, MaxRequestBodySize: protocol.MaxRequest}))
	mux.Handle(PathSSE, centrifuge.NewSSEHandler(g.node, centrifuge.SSEConfig{PingPongConfig: ping, MaxRequestBodySize: protocol.MaxRequest}))
	mux.Handle(PathEmulation, centrifuge.NewEmulationHandler(g.node, centrifuge.EmulationConfig{MaxRequestBodySize: protocol.MaxRequest}))
	return mux
}
