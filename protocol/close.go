package protocol

import "encoding/json"

// The codes with which the server ends a connection, beside those of the transport. By the transport's rule a client
// comes again by itself after 3000–3499 and 4000–4499, and stops after 3500–3999 and 4500–4999.
const (
	CloseRefused  = 4500 // the token was refused: get another
	CloseBadHello = 4501 // the data of the connect command is malformed: mend the client
	CloseKicked   = 4502 // kicked offline: another device took this one's place, or this one was sent away
)

// Notice is what the server says to one connection beside its timelines, as an asynchronous message.
type Notice struct {
	Type      string   `json:"type"` // TypeReload
	Timelines []string `json:"timelines"`
}

// TypeReload says that too much was missed of some timelines: read anew what is shown of them.
const TypeReload = "reload"

// ReloadNotice encodes the notice that a timeline was missed.
func ReloadNotice(timeline string) []byte {
	b, err := json.Marshal(Notice{Type: TypeReload, Timelines: []string{timeline}})
	if err != nil {
		panic(err) // a struct of strings always encodes
	}
	return b
}
