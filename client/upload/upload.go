// Package upload uploads files over HTTP.
package upload

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/beckon-im/beckon/client/repeat"
	"github.com/beckon-im/beckon/protocol"
)

// File is a file to upload.
type File struct {
	// Kind is image, sound, video or file.
	Kind string
	// Name is the shown name, at most 255 bytes. Default: none.
	Name string
	// MediaType is used if the media type cannot be detected from the content. Default: application/octet-stream.
	MediaType string
	Body      io.Reader
	// OnProgress is called with the number of bytes sent so far, from another goroutine, and not after the return.
	// Default: none.
	OnProgress func(sent int64)
}

// counter reports the bytes that were read, until its end.
type counter struct {
	io.ReadCloser
	f func(int64)

	mu    sync.Mutex
	sent  int64 // mu guards this and ended
	ended bool
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 && !c.ended {
		c.sent += int64(n)
		c.f(c.sent)
	}
	return n, err
}

func (c *counter) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}

// Send uploads a file to the address of a server. Errors of the server are *protocol.Error.
func Send(ctx context.Context, server, token string, f File) (res protocol.UploadResponse, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost,
		server+"/v1/files?"+url.Values{"kind": {f.Kind}, "name": {f.Name}}.Encode(), f.Body)
	if err != nil {
		return res, err
	}
	if f.OnProgress != nil && req.Body != nil {
		c := &counter{ReadCloser: req.Body, f: f.OnProgress}
		defer c.end()
		req.Body = c
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if f.MediaType != "" {
		req.Header.Set("Content-Type", f.MediaType)
	}
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		return res, fmt.Errorf("beckon: upload: %w", err)
	}
	defer reply.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(reply.Body, 1<<20))
	if err != nil {
		return res, fmt.Errorf("beckon: upload: %w", err)
	}
	if refused := repeat.Refusal(answer); refused != nil {
		return res, refused
	}
	if reply.StatusCode != http.StatusOK {
		return res, fmt.Errorf("beckon: upload: unexpected status %s", reply.Status)
	}
	return res, json.Unmarshal(answer, &res)
}
