package link

import (
	"encoding/binary"
	"errors"
	"io"

	wire "github.com/centrifugal/protocol"
)

// Framing is how the client protocol is written on a link.
type Framing uint8

// The framings, and how many there are.
const (
	JSON Framing = iota
	Protobuf
	Framings
)

// Encode writes a reply as one frame. What it carries must be JSON on one line.
func (f Framing) Encode(r *wire.Reply) []byte {
	if f == JSON {
		return r.AppendJSON(make([]byte, 0, roomFor(r)))
	}
	b, err := r.MarshalCF()
	if err != nil {
		panic(err) // a reply of ours always encodes
	}
	return append(binary.AppendUvarint(make([]byte, 0, len(b)+binary.MaxVarintLen32), uint64(len(b))), b...)
}

// roomFor guesses how long a reply becomes, so that it is allocated once.
func roomFor(r *wire.Reply) int {
	const around = 64
	switch {
	case r.Rpc != nil:
		return around + len(r.Rpc.Data)
	case r.Push != nil && r.Push.Pub != nil:
		return around + len(r.Push.Channel) + len(r.Push.Pub.Data)
	}
	return 4 * around
}

// ping is a reply with nothing in it.
func (f Framing) ping() []byte {
	if f == JSON {
		return []byte("{}")
	}
	return []byte{0}
}

// isPong spares the decoder for the one frame that idle devices send.
func (f Framing) isPong(frame []byte) bool {
	if f == JSON {
		return string(frame) == "{}"
	}
	return len(frame) == 1 && frame[0] == 0
}

var errNothing = errors.New("the frame holds no command")

// decode calls each for every command of a frame. Strings of a command point into the frame.
func (f Framing) decode(frame []byte, each func(*wire.Command)) error {
	var d wire.CommandDecoder = wire.NewJSONCommandDecoder(frame)
	if f == Protobuf {
		d = wire.NewProtobufCommandDecoder(frame)
	}
	for n := 0; ; n++ {
		c, err := d.Decode()
		if c != nil {
			each(c)
		}
		switch {
		case errors.Is(err, io.EOF) && c == nil && n == 0:
			return errNothing
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
