// Package upload uploads files over HTTP.
package upload

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

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
	// OnProgress is called with the number of bytes sent so far, from the goroutine of the call. Default: none.
	OnProgress func(sent int64)
}

// counter reports the bytes that were read.
type counter struct {
	io.Reader
	sent int64
	f    func(int64)
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if n > 0 {
		c.sent += int64(n)
		c.f(c.sent)
	}
	return n, err
}

// Send uploads a file to the address of a server. Errors of the server are *protocol.Error.
func Send(ctx context.Context, server, token string, f File) (res protocol.UploadResponse, err error) {
	body := f.Body
	if f.OnProgress != nil {
		body = &counter{Reader: body, f: f.OnProgress}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost,
		server+"/v1/files?"+url.Values{"kind": {f.Kind}, "name": {f.Name}}.Encode(), body)
	if err != nil {
		return res, err
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
