package media

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// TestFramesAreFollowed splits a stream of WebSocket frames at random, and checks after each piece whether a frame is
// complete.
func TestFramesAreFollowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		ends := map[int]bool{0: true}
		for range rapid.IntRange(1, 8).Draw(t, "frames") {
			size := rapid.SampledFrom([]int{0, 1, 125, 126, 300, 65_535, 65_536}).Draw(t, "size")
			head := []byte{0x82, byte(size)}
			switch {
			case size > 65_535:
				head = binary.BigEndian.AppendUint64([]byte{0x82, 127}, uint64(size))
			case size > 125:
				head = binary.BigEndian.AppendUint16([]byte{0x82, 126}, uint16(size))
			}
			stream = append(append(stream, head...), bytes.Repeat([]byte{7}, size)...)
			ends[len(stream)] = true
		}
		l := &link{}
		for at := 0; at < len(stream); {
			n := rapid.IntRange(1, len(stream)-at).Draw(t, "piece")
			l.pass(stream[at : at+n])
			at += n
			if between := l.left == 0 && len(l.head) == 0; between != ends[at] {
				t.Fatalf("after %d bytes a frame has ended: %v, and it is taken for %v", at, ends[at], between)
			}
		}
	})
}
