package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The format of a segment, numbers little-endian:
//
//	header   magic [8], checksum [4] of the rest, length of the cluster's ID [4], number of the first entry [8],
//	         least length of the file [8], the cluster's ID
//	entry    length of the operations [4], checksum [4] of the rest, number [8], operations
//
// The checksum is CRC-32C. Entries are numbered without a gap. A segment ends where no whole entry with the next
// number follows: the rest is the torn write of an unacknowledged entry, or the previous use of
// the file. An entry is written only after the sync of the one before; so a whole entry further behind means damage.
//
// Segments of the first format have no header, and the length of their entries.
const (
	magic          = "BECKONJ2"
	headSize       = 32
	entryHead      = 16
	numberedDigits = 16
)

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func headerSize(cluster string) int64 { return int64(headSize + len(cluster)) }

func header(cluster string, first uint64, length int64) []byte {
	b := append([]byte(magic), make([]byte, headSize-len(magic))...)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(cluster)))
	binary.LittleEndian.PutUint64(b[16:], first)
	binary.LittleEndian.PutUint64(b[24:], uint64(length))
	b = append(b, cluster...)
	binary.LittleEndian.PutUint32(b[8:], checksum(b[12:]))
	return b
}

// content is a segment in memory.
type content struct {
	path      string
	b         []byte // the rest, from at on
	at        int
	versioned bool   // it has a header
	cluster   string // of the header
	last      uint64 // number of the entry before the rest
	texts     []string
	closed    bool // it has the mark of a successor
}

// names lists the numbered files of a directory with a prefix, the oldest first.
func names(dir, prefix string) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if digits, ok := strings.CutPrefix(e.Name(), prefix); ok && len(digits) == numberedDigits {
			if _, err := strconv.ParseUint(digits, 16, 64); err == nil {
				paths = append(paths, filepath.Join(dir, e.Name()))
			}
		}
	}
	slices.Sort(paths)
	return paths, nil
}

// number returns the number in the name of a file, which is that of its first entry.
func number(path string) uint64 {
	n, _ := strconv.ParseUint(path[len(path)-numberedDigits:], 16, 64) // names has checked it
	return n
}

// load reads a segment, and its header.
func load(path string) (c *content, reason string, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	c = &content{path: path, b: b, last: number(path) - 1}
	if !bytes.HasPrefix(b, []byte(magic)) {
		return c, "", nil
	}
	c.versioned = true
	if len(b) < headSize {
		return c, "its header is cut off", nil
	}
	n := int64(binary.LittleEndian.Uint32(b[12:]))
	if int64(len(b)) < headSize+n || checksum(b[12:headSize+n]) != binary.LittleEndian.Uint32(b[8:]) {
		return c, "its header fails its checksum", nil
	}
	c.cluster = string(b[headSize : headSize+n])
	c.at = int(headSize + n)
	c.b = b[c.at:]
	if first := binary.LittleEndian.Uint64(b[16:]); first != number(path) {
		return c, fmt.Sprintf("it begins with entry %d, unlike its name says", first), nil
	}
	if length := binary.LittleEndian.Uint64(b[24:]); uint64(len(b)) < length {
		return c, fmt.Sprintf("it has %d bytes of at least %d: it was cut off", len(b), length), nil
	}
	return c, "", nil
}

// next returns the next entry; ok is false at the end.
func (c *content) next() (number uint64, ops []Operation, ok bool, err error) {
	n, whole := entryAt(c.b)
	if !whole || binary.LittleEndian.Uint64(c.b[8:]) != c.last+1 || c.closed {
		return 0, nil, false, nil
	}
	d := decoder{b: c.b[entryHead : entryHead+n], texts: c.texts}
	ops = d.operations()
	if d.bad {
		return 0, nil, false, fmt.Errorf("entry %d of %s is whole and yet not understood: was it written by a newer version?",
			c.last+1, c.path)
	}
	if c.versioned && len(ops) == 0 {
		c.closed = true
		c.advance(n)
		return 0, nil, false, nil
	}
	c.texts = d.texts
	c.last++
	c.advance(n)
	return c.last, ops, true, nil
}

func (c *content) advance(n int) {
	c.b = c.b[entryHead+n:]
	c.at += entryHead + n
}

// entryAt reports whether a whole entry begins with b, and the length of its operations.
func entryAt(b []byte) (n int, whole bool) {
	if len(b) < entryHead {
		return 0, false
	}
	n = int(binary.LittleEndian.Uint32(b))
	return n, n > 0 && n <= maxEntry && len(b) >= entryHead+n &&
		checksum(b[8:entryHead+n]) == binary.LittleEndian.Uint32(b[4:])
}

// plausible is the largest distance of the numbers of two entries in one segment.
const plausible = 1 << 24

// later returns the numbers of the first and the last whole entry in the rest that are newer than the last one; 0 =
// there is none. closed reports whether the last one is the mark of a successor.
func (c *content) later() (first, last uint64, closed bool) {
	for b := c.b; len(b) > entryHead; {
		number := binary.LittleEndian.Uint64(b[8:])
		n, whole := 0, false
		if number > c.last && number-c.last <= plausible {
			n, whole = entryAt(b)
		}
		if !whole {
			b = b[1:]
			continue
		}
		if closed = n == 1 && b[entryHead] == 0; !closed {
			last = number
			if first == 0 {
				first = number
			}
		} else if first == 0 {
			first, last = number, number-1 // the entries before it cannot be read
		}
		b = b[entryHead+n:]
	}
	return first, last, closed
}

// torn describes the entry that was under way at the end of a segment; empty = there is none. The length is unknown
// when it is not whole.
func (c *content) torn() string {
	if c.closed || len(c.b) < entryHead || binary.LittleEndian.Uint64(c.b[8:]) != c.last+1 {
		return ""
	}
	return fmt.Sprintf("entry %d at byte %d of %s is not whole", c.last+1, c.at, filepath.Base(c.path))
}

// maxFlipped limits the search for a flipped bit to short entries: one in 500 torn writes of that length
// has the checksum of a flipped bit by chance.
const maxFlipped = 1 << 20

// flipped reports whether the rest begins with the next entry, whole but for one bit: a torn write does not look so.
func (c *content) flipped() bool {
	if c.closed || len(c.b) < entryHead || bits.OnesCount64(binary.LittleEndian.Uint64(c.b[8:])^(c.last+1)) > 1 {
		return false
	}
	length := binary.LittleEndian.Uint32(c.b)
	for bit := range 32 { // of the length
		head := binary.LittleEndian.AppendUint32(nil, length^1<<bit)
		if n := int(length ^ 1<<bit); n > 0 && n <= maxFlipped && len(c.b) >= entryHead+n {
			if _, whole := entryAt(append(head, c.b[4:entryHead+n]...)); whole {
				return true
			}
		}
	}
	n := int(length)
	if n == 0 || n > maxFlipped || len(c.b) < entryHead+n {
		return false
	}
	difference := checksum(c.b[8:entryHead+n]) ^ binary.LittleEndian.Uint32(c.b[4:])
	return bits.OnesCount32(difference) == 1 || oneBit(difference, n+8)
}

// oneBit reports whether a difference of checksums is that of one bit in n bytes. The checksum is linear: the effect
// of a bit depends only on how many bytes follow it.
func oneBit(difference uint32, n int) bool {
	table := crc32.MakeTable(crc32.Castagnoli)
	var effects [8]uint32
	for bit := range effects {
		effects[bit] = table[1<<bit] // of the last byte
	}
	for range n {
		for bit, e := range effects {
			if e == difference {
				return true
			}
			effects[bit] = table[byte(e)] ^ e>>8 // a byte further ahead
		}
	}
	return false
}
