package files

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"testing"
)

// secret is in all metadata that may contain a location.
const secret = "N48-51-29-secret-place"

// exifBlock is EXIF with an orientation and a GPS directory.
func exifBlock(orientation byte) []byte {
	b := []byte("MM\x00*\x00\x00\x00\x08\x00\x02")
	b = append(b, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0)    // orientation
	b = append(b, 0x88, 0x25, 0, 4, 0, 0, 0, 1, 0, 0, 0, 38, 0, 0, 0, 0) // GPS directory
	b = append(b, 0, 1, 0, 1, 0, 2, 0, 0, 0, byte(len(secret)), 0, 0, 0, 56, 0, 0, 0, 0)
	return append(b, secret...)
}

// drawn is a picture whose left half is red and whose right half is blue.
func drawn(w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{R: 255, A: 255}
			if x >= w/2 {
				c = color.RGBA{B: 255, A: 255}
			}
			m.SetRGBA(x, y, c)
		}
	}
	return m
}

func jpegSegment(marker byte, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(payload)+2)), payload...)
}

// photo is a JPEG like those of phones: EXIF, XMP, IPTC and a colour profile in front, another picture behind.
func photo(t testing.TB, w, h int, orientation byte) []byte {
	var out bytes.Buffer
	if err := jpeg.Encode(&out, drawn(w, h), nil); err != nil {
		t.Fatal(err)
	}
	b := bytes.Clone(out.Bytes()[:2])
	b = append(b, jpegSegment(0xe1, append([]byte("Exif\x00\x00"), exifBlock(orientation)...))...)
	b = append(b, jpegSegment(0xe1, []byte("http://ns.adobe.com/xap/1.0/\x00"+secret))...)
	b = append(b, jpegSegment(0xe2, []byte("ICC_PROFILE\x00\x01\x01profile"))...)
	b = append(b, jpegSegment(0xed, []byte("Photoshop 3.0\x00"+secret))...)
	b = append(b, out.Bytes()[2:]...)
	return append(append(b, out.Bytes()[:2]...), jpegSegment(0xe1, append([]byte("Exif\x00\x00"), exifBlock(1)...))...)
}

// progressive is a JPEG of few bytes and many pixels: its first scan has the mean of each block, the others refine
// it.
func progressive(w, h, scans int) []byte {
	b := []byte{0xff, 0xd8}
	table := make([]byte, 65)
	for i := range 64 {
		table[1+i] = 1
	}
	b = append(b, jpegSegment(0xdb, table)...)
	b = append(b, jpegSegment(0xc2, []byte{8, byte(h >> 8), byte(h), byte(w >> 8), byte(w), 3, 1, 0x22, 0, 2, 0x11, 0, 3,
		0x11, 0})...)
	codes := append([]byte{0x00, 1}, make([]byte, 15)...) // one code of one bit
	b = append(b, jpegSegment(0xc4, append(codes, 0))...)
	blocks := ((w + 15) / 16) * ((h + 15) / 16) * 6
	for i := range scans {
		approximation := byte(0x0d)
		if i > 0 {
			approximation = byte(14-i)<<4 | byte(13-i)
		}
		b = append(b, jpegSegment(0xda, []byte{3, 1, 0, 2, 0, 3, 0, 0, 0, approximation})...)
		b = append(b, make([]byte, blocks/8+1)...)
	}
	return append(b, 0xff, 0xd9)
}

// odd is a JPEG with a chroma subsampling that browsers decode and Go's decoder does not.
func odd(t testing.TB) []byte {
	b := photo(t, 400, 200, 1)
	at := bytes.Index(b, []byte{0xff, 0xc0})
	b[at+11] = 0x31
	return b
}

func pngChunk(name string, data []byte) []byte {
	b := append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), name...)
	b = append(b, data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// scan is a PNG with EXIF and XMP.
func scan(t testing.TB, w, h int, orientation byte) []byte {
	var out bytes.Buffer
	if err := png.Encode(&out, drawn(w, h)); err != nil {
		t.Fatal(err)
	}
	const header = 8 + 12 + 13
	b := bytes.Clone(out.Bytes()[:header])
	b = append(b, pngChunk("eXIf", exifBlock(orientation))...)
	b = append(b, pngChunk("iTXt", []byte("XML:com.adobe.xmp\x00\x00\x00\x00\x00"+secret))...)
	return append(b, out.Bytes()[header:]...)
}

// sticker is an extended WebP, animated or with metadata, without pixels that can be decoded.
func sticker(w, h int, orientation byte) []byte {
	chunk := func(name string, data []byte) []byte {
		b := append(binary.LittleEndian.AppendUint32([]byte(name), uint32(len(data))), data...)
		return append(b, make([]byte, len(data)&1)...)
	}
	size := func(n int) []byte { return []byte{byte(n - 1), byte((n - 1) >> 8), byte((n - 1) >> 16)} }
	flags := []byte{0x02 | 0x08 | 0x04, 0, 0, 0}
	body := chunk("VP8X", append(append(flags, size(w)...), size(h)...))
	body = append(body, chunk("ANIM", make([]byte, 6))...)
	body = append(body, chunk("ANMF", make([]byte, 31))...)
	body = append(body, chunk("EXIF", exifBlock(orientation))...)
	body = append(body, chunk("XMP ", []byte(secret))...)
	return append(append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body)+4)), "WEBP"...), body...)
}

// overflowing is a GIF whose frame is larger than its screen.
func overflowing(t testing.TB) []byte {
	var out bytes.Buffer
	if err := gif.Encode(&out, drawn(400, 300), nil); err != nil {
		t.Fatal(err)
	}
	b := out.Bytes()
	binary.LittleEndian.PutUint16(b[6:], 100)
	binary.LittleEndian.PutUint16(b[8:], 100)
	return b
}

func TestLocationIsStripped(t *testing.T) {
	for _, c := range []struct {
		kind string
		data []byte
	}{{"image/jpeg", photo(t, 40, 20, 6)}, {"image/png", scan(t, 40, 20, 6)}, {"image/webp", sticker(40, 20, 6)}} {
		var out bytes.Buffer
		h, err := inspect(c.kind, &out, bytes.NewReader(c.data), false)
		if w, height := h.upright(); err != nil || w != 20 || height != 40 {
			t.Errorf("%s: %d×%d, %v", c.kind, w, height, err)
		}
		if bytes.Contains(out.Bytes(), []byte(secret)) {
			t.Errorf("%s: the place is still in it", c.kind)
		}
		if !bytes.Contains(out.Bytes(), minimalEXIF(6)) {
			t.Errorf("%s: the orientation was lost", c.kind)
		}
		if c.kind == "image/webp" {
			if out.Len() != len(c.data) {
				t.Errorf("a WebP of %d bytes has %d", len(c.data), out.Len())
			}
		} else if m, _, err := image.Decode(&out); err != nil || m.Bounds().Dx() != 40 {
			t.Errorf("%s: %v", c.kind, err)
		}
		var kept bytes.Buffer
		if k, err := inspect(c.kind, &kept, bytes.NewReader(c.data), true); err != nil || k != h ||
			!bytes.Equal(kept.Bytes(), c.data) {
			t.Errorf("%s with its location: %+v, %v, %d bytes of %d", c.kind, k, err, kept.Len(), len(c.data))
		}
	}
	if b := photo(t, 40, 20, 6); !bytes.Contains(inspected(t, b), []byte("ICC_PROFILE")) ||
		bytes.Count(inspected(t, b), []byte{0xff, 0xd8}) != 1 {
		t.Error("the colour profile was lost, or the picture behind was kept")
	}
}

func inspected(t *testing.T, data []byte) []byte {
	var out bytes.Buffer
	if _, err := inspect("image/jpeg", &out, bytes.NewReader(data), false); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestPlainImagesAreUnchanged: an image without metadata is stored unchanged, and a truncated image as far as it
// goes.
func TestPlainImagesAreUnchanged(t *testing.T) {
	var j, p bytes.Buffer
	if err := jpeg.Encode(&j, drawn(300, 200), nil); err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(&p, drawn(300, 200)); err != nil {
		t.Fatal(err)
	}
	for kind, data := range map[string][]byte{"image/jpeg": j.Bytes(), "image/png": p.Bytes(),
		"image/gif": overflowing(t)} {
		for _, n := range []int{len(data), len(data) - 2, len(data) * 3 / 4} {
			var out bytes.Buffer
			h, err := inspect(kind, &out, bytes.NewReader(data[:n]), false)
			if err != nil || h.width < 300 || !bytes.Equal(out.Bytes(), data[:n]) {
				t.Errorf("%s, %d bytes of %d: %+v, %v, %d", kind, n, len(data), h, err, out.Len())
			}
		}
	}
}

func FuzzInspect(f *testing.F) {
	for i, data := range [][]byte{photo(f, 40, 20, 6), scan(f, 40, 20, 6), sticker(40, 20, 6), overflowing(f),
		progressive(64, 64, 3), odd(f)} {
		f.Add(i, data)
	}
	f.Fuzz(func(t *testing.T, i int, data []byte) {
		kind := []string{"image/jpeg", "image/png", "image/webp", "image/gif"}[uint(i)%4]
		var out bytes.Buffer
		if _, err := inspect(kind, &out, bytes.NewReader(data), false); err != nil {
			t.Errorf("%v", err)
		}
		if out.Len() > len(data)+64 {
			t.Errorf("%d bytes became %d", len(data), out.Len())
		}
		if h, err := inspect(kind, io.Discard, bytes.NewReader(data), true); err != nil || h.memory < 0 {
			t.Errorf("%+v, %v", h, err)
		}
	})
}

// TestMemoryOfDecoding compares the estimate with the memory that decoders use.
func TestMemoryOfDecoding(t *testing.T) {
	h, err := inspect("image/jpeg", io.Discard, bytes.NewReader(progressive(5000, 5000, 2)), false)
	if most := int64(5000 * 5000 * 3 / 2 * 5); err != nil || h.memory < most || h.memory > most*11/10 || h.scans != 2 {
		t.Errorf("a progressive JPEG: %+v, %v", h, err)
	}
	h, err = inspect("image/jpeg", io.Discard, bytes.NewReader(photo(t, 1000, 1000, 1)), false)
	if most := int64(1000 * 1000 * 3 / 2); err != nil || h.memory < most || h.memory > most*12/10 {
		t.Errorf("a JPEG: %+v, %v", h, err)
	}
	h, err = inspect("image/png", io.Discard, bytes.NewReader(scan(t, 1000, 1000, 1)), false)
	if err != nil || h.memory != 4000000 {
		t.Errorf("a PNG: %+v, %v", h, err)
	}
}
