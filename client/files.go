package client

import (
	"context"
	"io"
	"strings"

	"github.com/beckon-im/beckon/client/internal/failure"
	"github.com/beckon-im/beckon/client/internal/transfer"
	"github.com/beckon-im/beckon/client/upload"
	"github.com/beckon-im/beckon/protocol"
)

// UploadFile uploads a file, until the end of ctx. Send the FileID of the response in a message to give the users of
// that conversation access. It needs no connection.
func (c *Client) UploadFile(ctx context.Context, f upload.File) (protocol.UploadResponse, error) {
	ctx, cancel := c.whileOpen(ctx)
	defer cancel()
	if c.conn.Life().Err() != nil {
		return protocol.UploadResponse{}, failure.New("uploadFile", ErrClosed)
	}
	token, err := c.tokens.Newest(ctx)
	if err != nil {
		return protocol.UploadResponse{}, failure.New("uploadFile", err)
	}
	res, err := transfer.Upload(ctx, c.files, c.web(""), token, f)
	if err != nil {
		return res, failure.New("uploadFile", err)
	}
	return res, nil
}

// DownloadFile returns the content of a file. The caller must close it; ctx must last until then.
func (c *Client) DownloadFile(ctx context.Context, fileID string) (io.ReadCloser, error) {
	file, err := c.GetFile(ctx, fileID)
	if err != nil {
		return nil, err
	}
	body, err := transfer.Download(ctx, c.files, file.URL)
	if err != nil {
		return nil, failure.New("downloadFile", err)
	}
	return body, nil
}

// whileOpen returns a context that also ends with Close.
func (c *Client) whileOpen(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	release := context.AfterFunc(c.conn.Life(), func() { cancel(ErrClosed) })
	return ctx, func() {
		release()
		cancel(nil)
	}
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
