package files

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
)

// header has the properties of an image that are known without decoding it.
type header struct {
	width, height int   // as stored, before the orientation is applied; 0: unknown
	orientation   int   // of EXIF, 1 to 8; 0: none
	memory        int64 // estimated memory for decoding, bytes
	scans         int   // of a JPEG
}

// upright returns the size with the orientation applied.
func (h *header) upright() (width, height int) {
	if h.orientation >= 5 {
		return h.height, h.width
	}
	return h.width, h.height
}

// inspect reads an image of a media type from src, copies it to dst, and returns its header. Unless keepLocation, it
// removes metadata that may contain a location: EXIF except the orientation, XMP, IPTC, and data after the end of the
// image. A truncated image is copied as far as it goes. Errors are those of src or dst.
func inspect(kind string, dst io.Writer, src io.Reader, keepLocation bool) (header, error) {
	var h header
	if keepLocation {
		src, dst = io.TeeReader(src, dst), io.Discard
	}
	r := bufio.NewReaderSize(src, 16<<10)
	var err error
	switch kind {
	case "image/jpeg":
		err = h.jpeg(dst, r)
	case "image/png":
		err = h.png(dst, r)
	case "image/webp":
		err = h.webp(dst, r)
	default:
		err = h.gif(dst, r)
	}
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		_, err = io.Copy(io.Discard, r)
	}
	return h, err
}

// JPEG markers.
const (
	jpegTEM  = 0x01
	jpegRST  = 0xd0 // to 0xd7
	jpegSOI  = 0xd8
	jpegEOI  = 0xd9
	jpegSOS  = 0xda
	jpegAPP0 = 0xe0
	jpegAPP1 = 0xe1
	jpegAPP2 = 0xe2
	jpegEnd  = 0xef // the last of APPn
	jpegAPPe = 0xee // Adobe's colour transform
)

func (h *header) jpeg(dst io.Writer, r *bufio.Reader) error {
	if _, err := dst.Write([]byte{0xff, jpegSOI}); err != nil {
		return err
	}
	if _, err := r.Discard(2); err != nil {
		return err
	}
	entropy := io.Discard // destination of data between markers: scan data, or garbage
	adobe := false
	for {
		marker, err := nextMarker(entropy, r)
		if err != nil {
			return err
		}
		if marker == jpegEOI || marker == jpegTEM || marker == jpegSOI {
			if _, err := dst.Write([]byte{0xff, marker}); err != nil || marker == jpegEOI {
				return err
			}
			continue
		}
		segment, err := readSegment(r)
		if err != nil {
			return err
		}
		entropy = io.Discard
		switch {
		case marker == jpegSOS:
			entropy = dst
			h.scans++
		case marker == jpegAPPe:
			adobe = bytes.HasPrefix(segment[2:], []byte("Adobe"))
		case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc && h.width == 0:
			h.frame(marker, segment[2:], adobe)
		}
		if err := h.writeSegment(dst, marker, segment); err != nil {
			return err
		}
	}
}

// nextMarker copies the bytes before the next marker to dst, and returns the marker.
func nextMarker(dst io.Writer, r *bufio.Reader) (byte, error) {
	for {
		part, err := r.ReadSlice(0xff)
		if errors.Is(err, bufio.ErrBufferFull) {
			err = nil
		}
		found := err == nil && len(part) > 0 && part[len(part)-1] == 0xff
		if found {
			part = part[:len(part)-1]
		}
		if _, werr := dst.Write(part); werr != nil || err != nil {
			return 0, errors.Join(werr, err)
		}
		if !found {
			continue
		}
		b, err := r.ReadByte()
		for ; err == nil && b == 0xff; b, err = r.ReadByte() { // fill bytes
		}
		if err != nil || b != 0 && b&^7 != jpegRST {
			return b, err
		}
		if _, err := dst.Write([]byte{0xff, b}); err != nil { // an escaped 0xff, or a restart within a scan
			return 0, err
		}
	}
}

// readSegment reads a segment with its length prefix.
func readSegment(r *bufio.Reader) ([]byte, error) {
	size, err := r.Peek(2)
	if err != nil {
		return nil, err
	}
	segment := make([]byte, max(2, binary.BigEndian.Uint16(size)))
	_, err = io.ReadFull(r, segment)
	return segment, err
}

// writeSegment writes a segment unless it may contain a location; of EXIF it keeps the orientation.
func (h *header) writeSegment(dst io.Writer, marker byte, segment []byte) error {
	const exif, icc = "Exif\x00\x00", "ICC_PROFILE\x00"
	payload := segment[2:]
	switch {
	case marker == jpegAPP1 && bytes.HasPrefix(payload, []byte(exif)) && h.orientation == 0:
		if h.orientation = orientation(payload[len(exif):]); h.orientation == 0 {
			return nil
		}
		segment = append([]byte{0, 0}, append([]byte(exif), minimalEXIF(h.orientation)...)...)
		binary.BigEndian.PutUint16(segment, uint16(len(segment)))
	case marker == jpegAPP2 && bytes.HasPrefix(payload, []byte(icc)):
	case marker > jpegAPP0 && marker <= jpegEnd && marker != jpegAPPe:
		return nil
	}
	_, err := dst.Write(append([]byte{0xff, marker}, segment...))
	return err
}

// frame parses the header of a frame. A decoder holds each sample once; of a progressive image the coefficient as
// well (4 bytes); and pixels that are not YCbCr are converted (4 bytes each).
func (h *header) frame(marker byte, b []byte, adobe bool) {
	if len(b) < 6 || len(b) < 6+3*int(b[5]) {
		return
	}
	h.height, h.width = int(binary.BigEndian.Uint16(b[1:])), int(binary.BigEndian.Uint16(b[3:]))
	pixels, samples, widest := int64(h.width+64)*int64(h.height+64), int64(0), int64(1) // with the padding to whole blocks
	for i := range int(b[5]) {
		area := int64(b[7+3*i]>>4) * int64(b[7+3*i]&15)
		samples, widest = samples+area, max(widest, area)
	}
	h.memory = pixels * samples / widest
	if marker != 0xc0 && marker != 0xc1 {
		h.memory *= 5
	}
	if adobe || b[5] > 3 {
		h.memory += 4 * pixels
	}
}

func (h *header) png(dst io.Writer, r *bufio.Reader) error {
	if _, err := io.CopyN(dst, r, 8); err != nil {
		return err
	}
	for {
		head, err := r.Peek(8)
		if err != nil {
			return err
		}
		size, name := int64(binary.BigEndian.Uint32(head)), string(head[4:])
		switch {
		case name == "IHDR":
			if b, err := r.Peek(8 + 13); err == nil {
				h.pixels(b[8:])
			}
		case name == "eXIf" && size <= math.MaxUint16:
			b := make([]byte, 8+size+4)
			if _, err := io.ReadFull(r, b); err != nil {
				return err
			}
			if o := orientation(b[8 : 8+size]); o != 0 && h.orientation == 0 {
				h.orientation = o
				if err := writeChunk(dst, name, minimalEXIF(o)); err != nil {
					return err
				}
			}
			continue
		case name == "eXIf" || name == "tEXt" || name == "zTXt" || name == "iTXt": // text chunks may carry EXIF, IPTC or XMP
			if _, err := io.CopyN(io.Discard, r, 8+size+4); err != nil {
				return err
			}
			continue
		}
		if _, err := io.CopyN(dst, r, 8+size+4); err != nil || name == "IEND" {
			return err
		}
	}
}

// pixels parses the header of a PNG; decoding holds an interlaced image twice.
func (h *header) pixels(b []byte) {
	width, height := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if width > math.MaxInt32 || height > math.MaxInt32 {
		return
	}
	h.width, h.height = int(width), int(height)
	each := int64(4)
	if b[8] == 16 {
		each = 8
	}
	if b[12] != 0 {
		each *= 2
	}
	h.memory = budgetOf(h.width, h.height, each)
}

func writeChunk(dst io.Writer, name string, data []byte) error {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, name...), data...)
	_, err := dst.Write(binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:])))
	return err
}

// webp overwrites EXIF and XMP in place, because the total size precedes them.
func (h *header) webp(dst io.Writer, r *bufio.Reader) error {
	if _, err := io.CopyN(dst, r, 12); err != nil {
		return err
	}
	for {
		head, err := r.Peek(8)
		if err != nil {
			return err
		}
		name, size := string(head[:4]), int64(binary.LittleEndian.Uint32(head[4:]))
		size += size & 1
		if b, err := r.Peek(8 + 10); err == nil {
			h.canvas(name, b[8:])
		}
		if name != "EXIF" && name != "XMP " {
			if _, err := io.CopyN(dst, r, 8+size); err != nil {
				return err
			}
			continue
		}
		if _, err := io.CopyN(dst, r, 8); err != nil {
			return err
		}
		start := make([]byte, min(size, math.MaxUint16))
		n, err := io.ReadFull(r, start)
		start = start[:n]
		if name == "EXIF" && h.orientation == 0 {
			h.orientation = orientation(bytes.TrimPrefix(start, []byte("Exif\x00\x00")))
		}
		clear(start)
		if name == "EXIF" {
			copy(start, minimalEXIF(max(1, h.orientation)))
		}
		if _, werr := dst.Write(start); werr != nil || err != nil {
			return errors.Join(werr, err)
		}
		rest, err := io.CopyN(io.Discard, r, size-int64(n))
		if _, werr := io.CopyN(dst, zeros{}, rest); werr != nil || err != nil {
			return errors.Join(werr, err)
		}
	}
}

// zeros is an endless reader of zero bytes.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// canvas sets the size from the first chunk of a WebP that has it.
func (h *header) canvas(name string, b []byte) {
	if h.width != 0 {
		return
	}
	switch {
	case name == "VP8X":
		h.width, h.height = 1+int(uint32(b[4])|uint32(b[5])<<8|uint32(b[6])<<16), 1+
			int(uint32(b[7])|uint32(b[8])<<8|uint32(b[9])<<16)
	case name == "VP8 " && b[3] == 0x9d && b[4] == 0x01 && b[5] == 0x2a:
		h.width, h.height = int(binary.LittleEndian.Uint16(b[6:])&0x3fff), int(binary.LittleEndian.Uint16(b[8:])&0x3fff)
	case name == "VP8L" && b[0] == 0x2f:
		bits := binary.LittleEndian.Uint32(b[1:])
		h.width, h.height = 1+int(bits&0x3fff), 1+int(bits>>14&0x3fff)
	}
	h.memory = budgetOf(h.width, h.height, 12) // pixels, and the transforms of a lossless image or of its transparency
}

// gif parses the logical screen, which browsers extend to the first frame. Decoding holds an interlaced frame twice.
func (h *header) gif(dst io.Writer, r *bufio.Reader) error {
	head, err := r.Peek(13)
	if err != nil {
		return err
	}
	h.width, h.height = int(binary.LittleEndian.Uint16(head[6:])), int(binary.LittleEndian.Uint16(head[8:]))
	at, flags := 13, head[10]
	if flags&0x80 != 0 {
		at += 3 << (1 + flags&7)
	}
	for {
		b, err := r.Peek(at + 10) // a short buffer ends the search: extensions before the first frame are small
		if err != nil {
			break
		}
		if b[at] == 0x21 {
			for at += 2; at < len(b) && b[at] != 0; {
				at += 1 + int(b[at])
				if b, err = r.Peek(at + 1); err != nil {
					break
				}
			}
			at++
			continue
		}
		if b[at] == 0x2c {
			x, y := binary.LittleEndian.Uint16(b[at+1:]), binary.LittleEndian.Uint16(b[at+3:])
			width, height := binary.LittleEndian.Uint16(b[at+5:]), binary.LittleEndian.Uint16(b[at+7:])
			h.width, h.height = max(h.width, int(x)+int(width)), max(h.height, int(y)+int(height))
		}
		break
	}
	h.memory = budgetOf(h.width, h.height, 2)
	_, err = io.Copy(dst, r)
	return err
}

// budgetOf multiplies without overflow.
func budgetOf(width, height int, each int64) int64 {
	if width != 0 && int64(height) > math.MaxInt64/16/int64(width) {
		return math.MaxInt64
	}
	return int64(width) * int64(height) * each
}

// orientation returns the orientation of an EXIF block (a TIFF file); 0: none.
func orientation(b []byte) int {
	if len(b) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	if b[0] == 'M' {
		order = binary.BigEndian
	}
	at := uint64(order.Uint32(b[4:]))
	if at+2 > uint64(len(b)) {
		return 0
	}
	entries := uint64(order.Uint16(b[at:]))
	for at += 2; entries > 0 && at+12 <= uint64(len(b)); at, entries = at+12, entries-1 {
		if order.Uint16(b[at:]) != 0x0112 {
			continue
		}
		if o := int(order.Uint16(b[at+8:])); o >= 1 && o <= 8 {
			return o
		}
		return 0
	}
	return 0
}

// minimalEXIF returns an EXIF block with the orientation alone.
func minimalEXIF(orientation int) []byte {
	b := []byte("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	b[18] = byte(orientation)
	return b
}
