package files

import (
	"bytes"
	"context"
	"image"
	"image/color"
	_ "image/gif" // the formats that are read
	"image/jpeg"
	_ "image/png"
	"io"

	"github.com/google/uuid"
	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/world"
	"github.com/beckon-im/beckon/protocol"
)

// thumbSide is the longer side of a thumbnail, in pixels.
const thumbSide = 320

// maxPixels bounds the images that are unpacked: a small file may be a huge image.
const maxPixels = 25_000_000

// putImage takes an image in, learns its dimensions, and makes a thumbnail when it is larger than one.
func (f *Files) putImage(ctx context.Context, file world.File, body io.Reader, limit int64) (protocol.UploadResponse, error) {
	var none protocol.UploadResponse
	select {
	case f.images <- struct{}{}:
		defer func() { <-f.images }()
	default:
		return none, &im.Error{Code: im.CodeTooOften, Message: "too many images are being uploaded at this moment; try again", RetryAfter: 1000}
	}
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return none, unreadable(err)
	}
	if int64(len(data)) > limit {
		return none, tooLarge(limit, file.Kind)
	}
	size, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil || size.Width < 1 || size.Height < 1 {
		return none, &im.Error{Code: im.CodeBadParameter, Field: "body", Message: "body is a damaged image", Cause: err}
	}
	file.Width, file.Height = size.Width, size.Height
	list := []world.File{file}
	if max(size.Width, size.Height) > thumbSide && size.Width*size.Height <= maxPixels {
		thumb, small, err := f.thumbnail(ctx, file, data)
		if err != nil {
			return none, err
		}
		if err := f.write(ctx, &thumb, bytes.NewReader(small), limit); err != nil {
			return none, err
		}
		list[0].Thumb = thumb.ID
		list = append(list, thumb)
	}
	if err := f.write(ctx, &list[0], bytes.NewReader(data), limit); err != nil {
		return none, err
	}
	return f.note(list...)
}

// thumbnail makes a small JPEG of an image. Two at a time, because unpacked images are large.
func (f *Files) thumbnail(ctx context.Context, of world.File, data []byte) (world.File, []byte, error) {
	t := world.File{ID: "t-" + uuid.NewString(), Owner: of.Owner, Kind: of.Kind, Type: "image/jpeg"}
	select {
	case f.thumbs <- struct{}{}:
		defer func() { <-f.thumbs }()
	case <-ctx.Done():
		return t, nil, ctx.Err()
	}
	src, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return t, nil, &im.Error{Code: im.CodeBadParameter, Field: "body", Message: "body is a damaged image", Cause: err}
	}
	b := src.Bounds()
	scale := float64(thumbSide) / float64(max(b.Dx(), b.Dy()))
	t.Width, t.Height = max(1, int(float64(b.Dx())*scale)), max(1, int(float64(b.Dy())*scale))
	dst := image.NewRGBA(image.Rect(0, 0, t.Width, t.Height))
	draw.Draw(dst, dst.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src) // JPEG has no transparency
	draw.ApproxBiLinear.Scale(dst, dst.Bounds(), src, b, draw.Over, nil)
	var out bytes.Buffer
	if err := jpeg.Encode(&out, dst, &jpeg.Options{Quality: 80}); err != nil {
		return t, nil, im.Internal(err)
	}
	return t, out.Bytes(), nil
}
