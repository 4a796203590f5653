package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/storetest"
	"github.com/beckon-im/beckon/protocol"
)

func place(t *testing.T, opt Options) *Files {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, s, nil)
	opt.URL, opt.Keys = "mem://", [][]byte{[]byte("key")}
	f, err := New(t.Context(), s, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func put(t *testing.T, f *Files, kind string, data []byte) (protocol.UploadResponse, error) {
	t.Helper()
	return f.Put(t.Context(), rpc.Caller{UserID: "ann"}, Upload{Kind: kind, Body: bytes.NewReader(data)})
}

func (f *Files) stored(t *testing.T, id string) []byte {
	t.Helper()
	b, err := f.bucket.ReadAll(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestThumbnailIsUpright checks the position of the red half of the picture in the thumbnail, for each orientation.
func TestThumbnailIsUpright(t *testing.T) {
	f := place(t, Options{})
	for o, red := range map[byte]string{1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom",
		8: "bottom"} {
		up, err := put(t, f, "image", photo(t, 640, 400, o))
		if err != nil {
			t.Fatal(err)
		}
		w, h := 640, 400
		if o >= 5 {
			w, h = h, w
		}
		m, _, err := image.Decode(bytes.NewReader(f.stored(t, up.ThumbID)))
		if err != nil {
			t.Fatal(err)
		}
		b := m.Bounds()
		if up.Width != w || up.Height != h || b.Dx() != w/2 || b.Dy() != h/2 {
			t.Errorf("orientation %d: %d×%d, thumbnail %v", o, up.Width, up.Height, b)
		}
		isRed := func(x, y int) bool { r, _, blue, _ := m.At(x, y).RGBA(); return r > blue }
		at := map[string]image.Point{"left": {5, b.Dy() / 2}, "right": {b.Dx() - 5, b.Dy() / 2}, "top": {b.Dx() / 2, 5},
			"bottom": {b.Dx() / 2, b.Dy() - 5}}
		for side, p := range at {
			if opposite := map[string]string{"left": "right", "right": "left", "top": "bottom",
				"bottom": "top"}[red]; side == red && !isRed(p.X, p.Y) || side == opposite && isRed(p.X, p.Y) {
				t.Errorf("orientation %d: the red half is not at the %s", o, red)
			}
		}
	}
}

func TestImagesThatBrowsersShow(t *testing.T) {
	f := place(t, Options{})
	photo := photo(t, 640, 400, 1)
	end := bytes.Index(photo, []byte{0xff, 0xd9})
	for _, c := range []struct {
		name  string
		data  []byte
		w, h  int
		thumb bool
	}{
		{"progressive JPEG", progressive(640, 400, 3), 640, 400, true},
		{"JPEG without its end", photo[:end], 640, 400, true},
		{"JPEG that breaks off", photo[:end*2/3], 640, 400, false},
		{"JPEG with odd sampling", odd(t), 400, 200, false},
		{"JPEG of a thousand scans", bytes.Replace(progressive(400, 400, 1), []byte{0xff, 0xd9},
			bytes.Repeat(jpegSegment(0xda, []byte{3, 1, 0, 2, 0, 3, 0, 0, 0, 0xdc}), 1000), 1), 400, 400, false},
		{"PNG that breaks off", scan(t, 640, 400, 1)[:400], 640, 400, false},
		{"animated WebP", sticker(640, 400, 1), 640, 400, false},
		{"GIF with a large frame", overflowing(t), 400, 300, false},
	} {
		up, err := put(t, f, "image", c.data)
		if err != nil || up.Width != c.w || up.Height != c.h || (up.ThumbID != "") != c.thumb {
			t.Errorf("%s: %+v, %v", c.name, up, err)
		}
	}
	if up, err := put(t, f, "file", nil); err != nil || up.Size != 0 || len(f.stored(t, up.FileID)) != 0 {
		t.Errorf("a file of 0 bytes: %+v, %v", up, err)
	}
}

func TestWhatIsNoUpload(t *testing.T) {
	f := place(t, Options{MaxImage: 2000})
	by := rpc.Caller{UserID: "ann"}
	for _, c := range []struct {
		up    Upload
		code  int
		field string
	}{
		{Upload{Kind: "image", Body: bytes.NewReader(scan(t, 640, 400, 1)[:20])}, im.CodeBadParameter, "body"},
		{Upload{Kind: "image", Body: strings.NewReader("\xff\xd8\xff\xe0 no image")}, im.CodeBadParameter, "body"},
		{Upload{Kind: "image", Body: bytes.NewReader(photo(t, 640, 400, 1))}, im.CodeTooLong, "body"},
		{Upload{Kind: "image", Body: iotest.TimeoutReader(io.MultiReader(bytes.NewReader(photo(t, 40, 20, 1)[:600]),
			bytes.NewReader(make([]byte, 600))))}, im.CodeBadParameter, "body"},
		{Upload{Kind: "image", Body: io.MultiReader(bytes.NewReader(photo(t, 40, 20, 1)[:700]),
			iotest.ErrReader(io.ErrUnexpectedEOF))}, im.CodeBadParameter, "body"},
		{Upload{Kind: "sound", Body: strings.NewReader("")}, im.CodeBadParameter, "body"},
		{Upload{Kind: "sound", Type: "audio/x y", Body: strings.NewReader("\x01\x02\x03")}, im.CodeBadParameter,
			"Content-Type"},
		{Upload{Kind: "file", Type: "/", Body: strings.NewReader("abc")}, im.CodeBadParameter, "Content-Type"},
	} {
		_, err := f.Put(t.Context(), by, c.up)
		var e *im.Error
		if !errors.As(err, &e) || e.Code != c.code || e.Field != c.field {
			t.Errorf("%s %s: %v", c.up.Kind, c.up.Type, err)
		}
	}
	for it := f.bucket.List(nil); ; {
		o, err := it.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		t.Errorf("%v is left of a refused upload, %v", o, err)
	}
}

// TestDecodingIsBounded: images above the memory budget cost no more than their bytes, and are stored without a
// thumbnail.
func TestDecodingIsBounded(t *testing.T) {
	f := place(t, Options{DecodeMemory: 50 << 20})
	data := progressive(5000, 5000, 4)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			up, err := put(t, f, "image", data)
			if err != nil || up.ThumbID != "" || up.Width != 5000 {
				t.Errorf("%+v, %v", up, err)
			}
		})
	}
	all.Wait()
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
		t.Errorf("eight uploads allocated %d MiB", got>>20)
	}
	if up, err := put(t, f, "image", photo(t, 640, 400, 1)); err != nil || up.ThumbID == "" {
		t.Errorf("afterwards there are no thumbnails: %+v, %v", up, err)
	}
}

// TestDecoderRests: a decoder rests for three times the duration of an image, so that images take a quarter of it.
func TestDecoderRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100)
		var all []func()
		for i := range max(1, runtime.GOMAXPROCS(0)/2) {
			done, ok := b.take(t.Context(), fmt.Sprint("user", i), 1)
			if !ok {
				t.Fatal("a free decoder is refused")
			}
			all = append(all, done)
		}
		time.Sleep(300 * time.Millisecond)
		for _, done := range all {
			done()
		}
		free := time.Now()
		done, ok := b.take(t.Context(), "zoe", 1)
		if rested := time.Since(free); !ok || rested != restFactor*300*time.Millisecond {
			t.Errorf("the next image began after %v, %v", rested, ok)
		}
		done()
	})
}

// TestOneImageForEachUser: waiting images of one user delay no other user, and time out.
func TestOneImageForEachUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100)
		done, ok := b.take(t.Context(), "ann", 10)
		if !ok {
			t.Fatal("the first image may not be decoded")
		}
		if _, ok := b.take(t.Context(), "ann", 101); ok {
			t.Error("an image over the budget is decoded")
		}
		refused := make(chan bool)
		for range maxWaiting + 3 {
			go func() { _, ok := b.take(t.Context(), "ann", 10); refused <- !ok }()
		}
		for range maxWaiting + 3 { // after longestWait of the bubble's clock
			if !<-refused {
				t.Error("a user has two images decoded at once")
			}
		}
		done()
		if done, ok := b.take(t.Context(), "ann", 100); !ok {
			t.Error("the slot was not given back")
		} else {
			done()
		}
		if len(b.users) != 0 {
			t.Errorf("%d users are remembered", len(b.users))
		}
	})
}
