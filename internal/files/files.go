// Package files implements uploaded files: their storage, their properties, and the signed links for reading them.
//
// It never decides membership: a file may be read by its owner and by the users of the conversations that have it.
package files

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/memblob" // mem://, for tests
	_ "gocloud.dev/blob/s3blob"  // s3://bucket, and compatible services
	"gocloud.dev/gcerrors"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/holder"
	"github.com/beckon-im/beckon/internal/store/personaldata"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// Options configures Files. Dir and Keys are required.
type Options struct {
	// Dir is the directory of the files when URL is empty.
	Dir string
	// URL is the bucket of the files: s3://bucket?region=…, or another URL of gocloud.dev/blob. Default: Dir.
	URL string
	// Keys verify the links; the first one signs them.
	Keys [][]byte
	// LinkLife is the lifetime of a link. Default: 1 h.
	LinkLife time.Duration
	// MaxImage, MaxSound, MaxVideo and MaxFile limit uploads, in bytes. Default: 28 MB, 28 MB, 100 MB, 100 MB (SPEC 2).
	MaxImage, MaxSound, MaxVideo, MaxFile int64
	// DecodeMemory limits the estimated memory for decoding images for thumbnails, in bytes. A larger image gets no
	// thumbnail. Default: 256 MiB.
	DecodeMemory int64
	// KeepLocation keeps the metadata of images. Default: metadata that may contain a location is removed.
	KeepLocation bool
}

// Files stores and serves uploaded files.
type Files struct {
	store  *store.Store
	bucket *blob.Bucket
	opt    Options
	keys   atomic.Pointer[[][]byte] // of links
	budget *budget
}

// Default limits.
const (
	small = 28 << 20
	large = 100 << 20

	usualDecodeMemory = 256 << 20
)

// New opens the bucket of the files.
func New(ctx context.Context, s *store.Store, opt Options) (*Files, error) {
	for _, d := range []struct {
		to    *int64
		usual int64
	}{{&opt.MaxImage, small}, {&opt.MaxSound, small}, {&opt.MaxVideo, large}, {&opt.MaxFile, large}} {
		if *d.to == 0 {
			*d.to = d.usual
		}
	}
	if opt.LinkLife == 0 {
		opt.LinkLife = time.Hour
	}
	if opt.DecodeMemory == 0 {
		opt.DecodeMemory = usualDecodeMemory
	}
	f := &Files{store: s, opt: opt, budget: newBudget(opt.DecodeMemory)}
	f.SetKeys(opt.Keys)
	var err error
	if opt.URL != "" {
		if f.bucket, err = blob.OpenBucket(ctx, opt.URL); err != nil {
			return nil, fmt.Errorf("files at %s: %w", opt.URL, err)
		}
		return f, nil
	}
	if err := os.MkdirAll(opt.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("directory of files: %w", err)
	}
	f.bucket, err = fileblob.OpenBucket(opt.Dir, &fileblob.Options{Metadata: fileblob.MetadataDontWrite, NoTempDir: true})
	if err != nil {
		return nil, fmt.Errorf("directory of files %s: %w", filepath.Clean(opt.Dir), err)
	}
	return f, nil
}

// Close closes the bucket.
func (f *Files) Close() error { return f.bucket.Close() }

// Upload is an upload in progress.
type Upload struct {
	Kind string // image, sound, video, file
	Name string
	Type string // declared by the sender
	Body io.Reader
}

// Limit returns the largest upload of a kind, in bytes; 0 for an unknown kind.
func (f *Files) Limit(kind string) int64 {
	switch protocol.MessageType(kind) {
	case protocol.Image:
		return f.opt.MaxImage
	case protocol.Sound:
		return f.opt.MaxSound
	case protocol.Video:
		return f.opt.MaxVideo
	case protocol.File:
		return f.opt.MaxFile
	}
	return 0
}

// sniffed is the number of leading bytes used to detect the media type.
const sniffed = 512

// Put stores an upload. Its owner may read it, and after the first message with it the users of that conversation.
func (f *Files) Put(ctx context.Context, by rpc.Caller, up Upload) (protocol.UploadResponse, error) {
	limit := f.Limit(up.Kind)
	if limit == 0 {
		return protocol.UploadResponse{}, im.Bad("kind", "must be one of: image, sound, video, file")
	}
	if err := im.CheckText("name", up.Name, 255); err != nil {
		return protocol.UploadResponse{}, err
	}
	if up.Type != "" {
		if _, _, err := mime.ParseMediaType(up.Type); err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
			return protocol.UploadResponse{}, im.Bad("Content-Type", "is not a media type like image/png")
		}
	}
	head := make([]byte, sniffed)
	n, err := io.ReadFull(up.Body, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return protocol.UploadResponse{}, unreadable(err)
	}
	head = head[:n]
	if n == 0 && up.Kind != string(protocol.File) {
		return protocol.UploadResponse{}, im.Bad("body", "is empty: send the bytes of the file")
	}
	kind, err := accept(up, head)
	if err != nil {
		return protocol.UploadResponse{}, err
	}
	file := txn.File{ID: "f-" + uuid.NewString(), Owner: by.UserID, Kind: up.Kind,
		Name: filepath.Base("/" + strings.ReplaceAll(up.Name, "\\", "/")), Type: kind}
	if up.Name == "" {
		file.Name = ""
	}
	body := io.MultiReader(bytes.NewReader(head), up.Body)
	if up.Kind == string(protocol.Image) {
		return f.putImage(ctx, file, body, limit)
	}
	if err := f.write(ctx, &file, body, limit, copyAll); err != nil {
		return protocol.UploadResponse{}, err
	}
	return f.note(ctx, file)
}

func tooLarge(limit int64, kind string) error {
	return &im.Error{Code: im.CodeTooLong, Field: "body",
		Message: fmt.Sprintf("the file is over %d bytes, the limit for kind %s", limit, kind)}
}

func unreadable(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &im.Error{Code: im.CodeTooLong, Field: "body", Message: "the file is too large"}
	}
	return &im.Error{Code: im.CodeBadParameter, Field: "body", Message: "the upload was interrupted", Cause: err}
}

// accept checks that an upload matches its kind, and returns its media type. The content decides, not the declared
// type, unless the content is unknown.
func accept(up Upload, head []byte) (string, error) {
	kind, _, _ := strings.Cut(http.DetectContentType(head), ";")
	declared, _, _ := strings.Cut(up.Type, ";")
	unknown := kind == "application/octet-stream"
	switch protocol.MessageType(up.Kind) {
	case protocol.Image:
		switch kind {
		case "image/png", "image/jpeg", "image/gif", "image/webp":
			return kind, nil
		}
		return "", im.Bad("body", "is "+kind+"; an image must be PNG, JPEG, GIF or WebP")
	case protocol.Sound:
		if strings.HasPrefix(kind, "audio/") || kind == "application/ogg" || kind == "video/mp4" || kind == "video/webm" {
			return kind, nil
		}
		if unknown && strings.HasPrefix(declared, "audio/") && len(declared) < 100 {
			return declared, nil
		}
		return "", im.Bad("body", "is "+kind+", not a sound; if it is one, set Content-Type")
	case protocol.Video:
		if strings.HasPrefix(kind, "video/") {
			return kind, nil
		}
		if unknown && strings.HasPrefix(declared, "video/") && len(declared) < 100 {
			return declared, nil
		}
		return "", im.Bad("body", "is "+kind+", not a video; if it is one, set Content-Type")
	}
	return kind, nil
}

// limited is a Reader that returns err after a number of bytes.
type limited struct {
	r    io.Reader
	left int64
	err  error // returned past the limit
}

func (l *limited) Read(b []byte) (int, error) {
	n, err := l.r.Read(b[:min(int64(len(b)), l.left+1)])
	if l.left -= int64(n); l.left < 0 {
		l.left = 0
		return 0, l.err
	}
	return n, err
}

// counted is a Writer that counts bytes.
type counted struct {
	w io.Writer
	n int64
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

func copyAll(dst io.Writer, src io.Reader) error {
	_, err := io.Copy(dst, src)
	return err
}

// write streams a file to the bucket through a transfer function, and sets its size and hash as stored.
func (f *Files) write(ctx context.Context, file *txn.File, body io.Reader, limit int64,
	transfer func(dst io.Writer, src io.Reader) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // before Close: aborts an incomplete write
	w, err := f.bucket.NewWriter(ctx, file.ID, &blob.WriterOptions{ContentType: file.Type})
	if err != nil {
		return im.Internal(err)
	}
	sum := sha256.New()
	to := &counted{w: io.MultiWriter(w, sum)}
	if err := transfer(to, &limited{body, limit, tooLarge(limit, file.Kind)}); err != nil {
		cancel()
		_ = w.Close() // fails because the write was aborted
		var e *im.Error
		if errors.As(err, &e) {
			return e
		}
		return unreadable(err)
	}
	if err := w.Close(); err != nil {
		return im.Internal(err)
	}
	file.Size, file.Hash = to.n, hex.EncodeToString(sum.Sum(nil))
	return nil
}

// note stores the properties of files in the bucket.
func (f *Files) note(ctx context.Context, list ...txn.File) (protocol.UploadResponse, error) {
	err := rpc.Write(ctx, f.store, txn.ReadSet{}, func(tx *txn.Tx) error {
		for i := range list {
			list[i].At = tx.Now
			tx.PutFile(list[i])
		}
		return nil
	})
	if err != nil {
		return protocol.UploadResponse{}, err
	}
	return view(&list[0]), nil
}

func view(f *txn.File) protocol.UploadResponse {
	return protocol.UploadResponse{FileID: f.ID, Kind: f.Kind, Name: f.Name, Type: f.Type, Size: f.Size, Hash: f.Hash,
		Width: f.Width, Height: f.Height, ThumbID: f.Thumb}
}

// Path is the URL path of files.
const Path = "/files/"

// GetFile returns a link to a file that the caller may read.
func (f *Files) GetFile(ctx context.Context, by rpc.Caller, req protocol.FileRequest) (protocol.FileResponse, error) {
	var res protocol.FileResponse
	if req.FileID == "" || len(req.FileID) > 64 {
		return res, im.Bad("fileID", "is missing or malformed")
	}
	file, err := f.store.File(ctx, req.FileID)
	if err != nil {
		return res, im.Internal(err)
	}
	if file != nil && file.Owner != by.UserID {
		may, err := holder.MayRead(ctx, f.store, file.ID, by.UserID)
		if err != nil {
			return res, im.Internal(err)
		}
		if !may {
			file = nil
		}
	}
	if file == nil {
		return res, &im.Error{Code: im.CodeNoFile, Field: "fileID",
			Message: "there is no file with this fileID that you may read"}
	}
	res.UploadResponse = view(file)
	res.ExpireAt = f.store.Now() + f.opt.LinkLife.Milliseconds()
	at := strconv.FormatInt(res.ExpireAt, 10)
	signature := sign((*f.keys.Load())[0], file.ID, at)
	res.URL = Path + file.ID + "?" + url.Values{"expires": {at}, "signature": {signature}}.Encode()
	return res, nil
}

// SetKeys replaces the keys of links, as Options.Keys.
func (f *Files) SetKeys(keys [][]byte) { f.keys.Store(&keys) }

func sign(key []byte, id, expires string) string {
	m := hmac.New(sha256.New, key)
	_, _ = m.Write([]byte("file\n" + id + "\n" + expires))
	return hex.EncodeToString(m.Sum(nil))
}

// Get serves a file for a valid link.
func (f *Files) Get(w http.ResponseWriter, r *http.Request) {
	id, q := strings.TrimPrefix(r.URL.Path, Path), r.URL.Query()
	expires := q.Get("expires")
	at, err := strconv.ParseInt(expires, 10, 64)
	signed := func(key []byte) bool { return hmac.Equal([]byte(sign(key, id, expires)), []byte(q.Get("signature"))) }
	if err != nil || !slices.ContainsFunc(*f.keys.Load(), signed) || at < f.store.Now() {
		http.Error(w, "the link is invalid or has expired; call getFile for a new one", http.StatusForbidden)
		return
	}
	file, err := f.store.File(r.Context(), id)
	if err == nil && file == nil {
		http.NotFound(w, r)
		return
	}
	var body *blob.Reader
	if err == nil {
		body, err = f.bucket.NewReader(r.Context(), id, nil)
	}
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound:
		http.NotFound(w, r)
		return
	case err != nil:
		http.Error(w, "the file cannot be read; retry", http.StatusServiceUnavailable)
		return
	}
	defer body.Close()
	h := w.Header()
	h.Set("Content-Type", file.Type)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "private, max-age=3600")
	h.Set("ETag", `"`+file.Hash+`"`)
	if file.Kind == string(protocol.File) {
		h.Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(file.Name))
	}
	http.ServeContent(w, r, "", time.UnixMilli(file.At), body)
}

// Erase deletes the files that a user uploaded, and returns their number.
func (f *Files) Erase(ctx context.Context, user string) (int, error) {
	for total := 0; ; {
		ids, err := personaldata.Files(ctx, f.store, user)
		if err != nil || len(ids) == 0 {
			return total, err
		}
		if err := f.Remove(ctx, ids); err != nil {
			return total, err
		}
		if err := personaldata.DropFiles(ctx, f.store, ids); err != nil {
			return total, err
		}
		total += len(ids)
	}
}

// Remove removes the contents of files. Files that are not there are no error.
func (f *Files) Remove(ctx context.Context, ids []string) error {
	for _, id := range ids {
		if err := f.bucket.Delete(ctx, id); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			return fmt.Errorf("removing the file %s: %w", id, err)
		}
	}
	return nil
}
