package link

import (
	"encoding/binary"
	"errors"
	"io"

	wire "github.com/centrifugal/protocol"
)

// Framing is the encoding of the client protocol on a link.
type Framing uint8

// Framings is the number of framings.
const (
	JSON Framing = iota
	Protobuf
	Framings
)

// Encode encodes a reply as one frame. JSON in the reply must be on one line.
func (f Framing) Encode(r *wire.Reply) []byte {
	if f == JSON {
		return r.AppendJSON(make([]byte, 0, sizeHint(r)))
	}
	b, err := r.MarshalCF()
	if err != nil {
		panic(err) // our replies always encode
	}
	return append(binary.AppendUvarint(make([]byte, 0, len(b)+binary.MaxVarintLen32), uint64(len(b))), b...)
}

// sizeHint estimates the encoded size of a reply, to allocate once.
func sizeHint(r *wire.Reply) int {
	const overhead = 64
	switch {
	case r.Rpc != nil:
		return overhead + len(r.Rpc.Data)
	case r.Push != nil && r.Push.Pub != nil:
		return overhead + len(r.Push.Channel) + len(r.Push.Pub.Data)
	}
	return 4 * overhead
}

// ping returns the ping frame, an empty reply.
func (f Framing) ping() []byte {
	if f == JSON {
		return []byte("{}")
	}
	return []byte{0}
}

// isPong recognizes pongs without decoding. They are the only frames that idle devices send.
func (f Framing) isPong(frame []byte) bool {
	if f == JSON {
		return string(frame) == "{}"
	}
	return len(frame) == 1 && frame[0] == 0
}

var errEmptyFrame = errors.New("frame contains no command")

// decode calls handle for every command of a frame. Strings of a command alias the frame.
func (f Framing) decode(frame []byte, handle func(*wire.Command)) error {
	var d wire.CommandDecoder = wire.NewJSONCommandDecoder(frame)
	if f == Protobuf {
		d = wire.NewProtobufCommandDecoder(frame)
	}
	for n := 0; ; n++ {
		c, err := d.Decode()
		if c != nil {
			handle(c)
		}
		switch {
		case errors.Is(err, io.EOF) && c == nil && n == 0:
			return errEmptyFrame
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
