package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/beckon-im/beckon/client/repeat"
	"github.com/beckon-im/beckon/protocol"
)

// UploadFile uploads a file: kind is image, sound, video or file; mediaType is the media type, if it cannot be detected
// from the content. Send the FileID of the response in a message to give the users of that conversation access.
func (c *Client) UploadFile(ctx context.Context, kind, name, mediaType string, body io.Reader) (protocol.UploadResponse,
	error) {
	var res protocol.UploadResponse
	token := c.opt.Token
	if c.opt.GetToken != nil {
		var err error
		if token, err = c.opt.GetToken(ctx); err != nil {
			return res, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost,
		c.web("/v1/files?"+url.Values{"kind": {kind}, "name": {name}}.Encode()), body)
	if err != nil {
		return res, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
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

// web returns an HTTP URL of the server.
func (c *Client) web(path string) string {
	server := strings.TrimSuffix(c.opt.Server, "/")
	if rest, ok := strings.CutPrefix(server, "ws"); ok { // ws becomes http, and wss https
		server = "http" + rest
	}
	return server + path
}

// GetFile returns the properties of a file, with an absolute link to it. Any holder of the link may use it until it
// expires.
func (c *Client) GetFile(ctx context.Context, fileID string) (protocol.FileResponse, error) {
	res, err := call[protocol.FileResponse](ctx, c, "getFile", protocol.FileRequest{FileID: fileID})
	if err == nil {
		res.URL = c.web(res.URL)
	}
	return res, err
}
