package files

import (
	"bytes"
	"context"
	"image"
	"image/color"
	_ "image/gif" // supported formats
	"image/jpeg"
	_ "image/png"
	"io"

	"github.com/google/uuid"
	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// thumbSide is the longer side of a thumbnail, in pixels.
const thumbSide = 320

// maxScans limits the scans of a decoded JPEG: each costs a pass over all pixels, whatever its number of bytes.
const maxScans = 32

// putImage stores an image while reading it, with its upright size, and a thumbnail if it is larger than one and can
// be decoded within the budget.
func (f *Files) putImage(ctx context.Context, file txn.File, body io.Reader, limit int64) (protocol.UploadResponse,
	error) {
	var none protocol.UploadResponse
	var h header
	err := f.write(ctx, &file, body, limit, func(dst io.Writer, src io.Reader) error {
		var err error
		if h, err = inspect(file.Type, dst, src, f.opt.KeepLocation); err != nil {
			return err
		}
		if h.width < 1 || h.height < 1 {
			return im.Bad("body", "is a damaged image: it has no size")
		}
		return nil
	})
	if err != nil {
		return none, err
	}
	file.Width, file.Height = h.upright()
	list := []txn.File{file}
	if max(h.width, h.height) > thumbSide && h.scans <= maxScans {
		if thumb, ok, err := f.thumbnail(ctx, file, h); err != nil {
			return none, err
		} else if ok {
			list[0].Thumb = thumb.ID
			list = append(list, thumb)
		}
	}
	return f.note(ctx, list...)
}

// thumbnail stores a small JPEG of a stored image. ok is false if there is none: the image exceeds the budget, or
// cannot be decoded.
func (f *Files) thumbnail(ctx context.Context, of txn.File, h header) (t txn.File, ok bool, err error) {
	done, ok := f.budget.take(ctx, of.Owner, h.memory)
	if !ok {
		return t, false, ctx.Err()
	}
	small := f.shrink(ctx, of.ID, h.orientation)
	done()
	if small == nil {
		return t, false, ctx.Err()
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, small, &jpeg.Options{Quality: 80}); err != nil {
		return t, false, im.Internal(err)
	}
	t = txn.File{ID: "t-" + uuid.NewString(), Owner: of.Owner, Kind: of.Kind, Type: "image/jpeg", Width: small.Rect.Dx(),
		Height: small.Rect.Dy()}
	return t, true, f.write(ctx, &t, &out, int64(out.Len()), copyAll)
}

// shrink decodes a stored image and returns it upright, at most thumbSide long; nil if it cannot be decoded.
func (f *Files) shrink(ctx context.Context, id string, orientation int) *image.RGBA {
	r, err := f.bucket.NewReader(ctx, id, nil)
	if err != nil {
		return nil
	}
	defer r.Close()
	// many JPEGs lack the end marker
	src, _, err := image.Decode(io.MultiReader(r, bytes.NewReader([]byte{0xff, jpegEOI})))
	if err != nil {
		return nil
	}
	b := src.Bounds()
	scale := min(1, float64(thumbSide)/float64(max(b.Dx(), b.Dy(), 1)))
	dst := image.NewRGBA(image.Rect(0, 0, max(1, int(float64(b.Dx())*scale)), max(1, int(float64(b.Dy())*scale))))
	draw.Draw(dst, dst.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src) // JPEG has no transparency
	draw.ApproxBiLinear.Scale(dst, dst.Bounds(), src, b, draw.Over, nil)
	return turn(dst, orientation)
}

// turn applies an EXIF orientation.
func turn(src *image.RGBA, orientation int) *image.RGBA {
	if orientation <= 1 {
		return src
	}
	w, h := src.Rect.Dx(), src.Rect.Dy()
	dst := image.NewRGBA(image.Rect(0, 0, w, h))
	if orientation >= 5 {
		dst = image.NewRGBA(image.Rect(0, 0, h, w))
	}
	for y := range h {
		for x := range w {
			tx, ty := x, y
			switch orientation {
			case 2:
				tx = w - 1 - x
			case 3:
				tx, ty = w-1-x, h-1-y
			case 4:
				ty = h - 1 - y
			case 5:
				tx, ty = y, x
			case 6:
				tx, ty = h-1-y, x
			case 7:
				tx, ty = h-1-y, w-1-x
			case 8:
				tx, ty = y, w-1-x
			}
			dst.SetRGBA(tx, ty, src.RGBAAt(x, y))
		}
	}
	return dst
}
