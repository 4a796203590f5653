package files

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beckon-im/beckon/im"
)

func TestUploadsOfOneUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := NewLimits(2, 33)
		u := all.Of("alice")
		taken := 0
		var err error
		for range 100 {
			if err = u.Admit(); err != nil {
				break
			}
			taken++
		}
		var e *im.Error
		if taken != 33 || !errors.As(err, &e) || e.Code != im.CodeTooOften || e.RetryAfter < 400 || e.RetryAfter > 501 {
			t.Fatalf("after %d uploads: %v", taken, err)
		}
		if err := all.Of("bob").Admit(); err != nil {
			t.Errorf("another user: %v", err)
		}
		time.Sleep(time.Duration(e.RetryAfter) * time.Millisecond)
		if err := all.Of("alice").Admit(); err != nil {
			t.Errorf("after retryAfter: %v", err)
		}
	})
}

func TestUploadsArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := NewLimits(2, 33).Of("alice")
		const size = uploadBytesBurst + 2*uploadBytesPerSecond
		begin := time.Now()
		n, err := io.Copy(io.Discard, u.Pace(t.Context(), io.LimitReader(endless{}, size)))
		if took := time.Since(begin); n != size || err != nil || took < 1900*time.Millisecond ||
			took > 2100*time.Millisecond {
			t.Errorf("%d bytes in %v, %v", n, took, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := io.Copy(io.Discard, u.Pace(ctx, io.LimitReader(endless{}, size))); !errors.Is(err,
			context.DeadlineExceeded) && err == nil {
			t.Error("the upload of a disconnected client is read to its end")
		}
		if b, err := io.ReadAll(u.Pace(t.Context(), bytes.NewReader(nil))); len(b) > 0 || err != nil {
			t.Errorf("an empty file: %q, %v", b, err)
		}
	})
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }
