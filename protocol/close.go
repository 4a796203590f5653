package protocol

// Close codes of the server, in addition to those of the transport. By the transport's rules a client reconnects after
// 3000–3499 and 4000–4499, and stops after 3500–3999 and 4500–4999.
const (
	CloseRefused  = 4500 // the token was refused: get a new one
	CloseBadHello = 4501 // the data of the connect command is malformed: fix the client
	CloseKicked   = 4502 // replaced by another device, or disconnected by a user or app server
)

// Notice is an asynchronous message to one connection, outside its timelines.
type Notice struct {
	Type      string   `json:"type"` // TypeReload
	Timelines []string `json:"timelines"`
}

// TypeReload requests a reload of timelines: too many events were missed, so that the client must reread their state.
const TypeReload = "reload"
