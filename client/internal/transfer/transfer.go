// Package transfer uploads and downloads files over HTTP.
package transfer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/beckon-im/beckon/client/internal/failure"
	"github.com/beckon-im/beckon/client/internal/repeat"
	"github.com/beckon-im/beckon/client/upload"
	"github.com/beckon-im/beckon/protocol"
)

// maxReply limits the response to an upload, and the refusal of a download, in bytes.
const maxReply = 1 << 20

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

// Upload uploads a file to the address of a server.
func Upload(ctx context.Context, web *http.Client, server, token string, f upload.File) (res protocol.UploadResponse,
	err error) {
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
	reply, err := do(web, req)
	if err != nil {
		return res, err
	}
	defer reply.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(reply.Body, maxReply))
	if err != nil {
		return res, ended(ctx, err)
	}
	if refused := repeat.Refusal(answer); refused != nil {
		return res, refused
	}
	if err := json.Unmarshal(answer, &res); err != nil {
		return res, failure.Response("uploadFile", err)
	}
	return res, nil
}

// Download returns the content of a link.
func Download(ctx context.Context, web *http.Client, link string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link, http.NoBody)
	if err != nil {
		return nil, err
	}
	reply, err := do(web, req)
	if err != nil {
		return nil, err
	}
	return reply.Body, nil
}

// do sends a request, and returns a response with the status 200 only.
func do(web *http.Client, req *http.Request) (*http.Response, error) {
	reply, err := web.Do(req)
	if err != nil {
		return nil, ended(req.Context(), err)
	}
	if reply.StatusCode == http.StatusOK {
		return reply, nil
	}
	defer reply.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(reply.Body, maxReply))
	if err != nil {
		return nil, ended(req.Context(), err)
	}
	if refused := repeat.Refusal(answer); refused != nil {
		return nil, refused
	}
	return nil, fmt.Errorf("unexpected status %s", reply.Status)
}

// ended adds the end of a context to an error that it may have caused.
func ended(ctx context.Context, err error) error {
	if end := failure.Ended(ctx); end != nil {
		return failure.Causes(end, err)
	}
	return err
}
