package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/beckon-im/beckon/protocol"
)

// UploadFile sends a file to the server: kind is image, sound, video or file, and mediaType what its bytes are, where
// that cannot be seen from them. Put the answer's FileID into a message, and the people of that conversation can read
// it.
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
	if refused := decodeError(answer); refused != nil {
		return res, refused
	}
	if reply.StatusCode != http.StatusOK {
		return res, fmt.Errorf("beckon: upload: the server answered %s", reply.Status)
	}
	return res, json.Unmarshal(answer, &res)
}

// web is an address of the server.
func (c *Client) web(path string) string {
	server := strings.TrimSuffix(c.opt.Server, "/")
	if rest, ok := strings.CutPrefix(server, "ws"); ok { // ws is http here, wss is https
		server = "http" + rest
	}
	return server + path
}

// GetFile reads what is known of a file, with a link to it that is complete and can be used by anybody until it
// expires.
func (c *Client) GetFile(ctx context.Context, fileID string) (protocol.FileResponse, error) {
	res, err := call[protocol.FileResponse](ctx, c, "getFile", protocol.FileRequest{FileID: fileID})
	if err == nil {
		res.URL = c.web(res.URL)
	}
	return res, err
}
