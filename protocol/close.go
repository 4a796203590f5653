package protocol

// The codes with which the server ends a connection, beside those of the transport. By the transport's rule a client
// comes again by itself after 3000–3499 and 4000–4499, and stops after 3500–3999 and 4500–4999.
const (
	CloseTooOften = 4400 // too many connects from this address: come again later
	CloseRefused  = 4500 // the token was refused: get another
	CloseBadHello = 4501 // the data of the connect command is malformed: mend the client
)
