package client

import (
	"context"
	"strings"

	"github.com/beckon-im/beckon/client/upload"
	"github.com/beckon-im/beckon/protocol"
)

// UploadFile uploads a file, until the end of ctx. Send the FileID of the response in a message to give the users of
// that conversation access.
func (c *Client) UploadFile(ctx context.Context, f upload.File) (res protocol.UploadResponse, err error) {
	token := c.opt.Token
	if c.opt.GetToken != nil {
		if token, err = c.opt.GetToken(ctx); err != nil {
			return res, err
		}
	}
	return upload.Send(ctx, c.web(""), token, f)
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
