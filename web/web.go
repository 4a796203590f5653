// Package web serves the embedded web pages: the web app and the operators' console. "make web" builds them from
// web/src, and compresses them.
//
// It does not know their contents, and has no access to the server.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

// dist is the output of "make web". In a clean clone it is empty.
//
//go:embed all:dist
var dist embed.FS

// policy is the Content-Security-Policy of the pages: their own scripts only, and connections to any address, because
// LiveKit may be on another host.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src " +
	"'self' data: blob:; font-src 'self'; " +
	"media-src 'self' blob:; worker-src 'self' blob:; manifest-src 'self'; connect-src 'self' ws: wss: http: https:; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

const notBuilt = "This server was built without web pages.\n\nBuild them with Node 20 or later and restart:\n\n" +
	"    make build\n"

// PathConsole is the path of the operators' console.
const PathConsole = "/console"

// file is a file of the pages in its encodings.
type file struct {
	body, gzip, brotli []byte // gzip and brotli are nil for files that are not compressed
	kind, tag          string
}

// Handler serves the web app (app), the console, or both.
func Handler(app, console bool) http.Handler {
	files := read()
	if _, ok := files["/index.html"]; !ok {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, notBuilt, http.StatusNotFound) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := files[r.URL.Path]
		switch at := r.URL.Path; {
		case at == PathConsole:
			f = nil
			if console {
				f = files["/console.html"]
			}
		case at == "/":
			f = nil
			if app {
				f = files["/index.html"]
			}
		case at == "/console.html", at == "/index.html":
			f = nil
		case !app && !strings.HasPrefix(at, "/assets/") && at != "/icon.svg":
			f = nil
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self)")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		if f == nil {
			http.NotFound(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/assets/") { // their names contain a content hash
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		} else {
			h.Set("Cache-Control", "no-cache")
		}
		f.send(w, r)
	})
}

// read returns the embedded files by their paths.
func read() map[string]*file {
	files := map[string]*file{}
	err := fs.WalkDir(dist, "dist", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			return err
		}
		body, err := dist.ReadFile(name)
		if err != nil {
			return err
		}
		at := strings.TrimPrefix(name, "dist")
		encoding := path.Ext(at)
		if encoding == ".gz" || encoding == ".br" {
			at = strings.TrimSuffix(at, encoding)
		}
		f := files[at]
		if f == nil {
			f = &file{kind: typeOf(at)}
			files[at] = f
		}
		switch encoding {
		case ".gz":
			f.gzip = body
		case ".br":
			f.brotli = body
		default:
			sum := sha256.Sum256(body)
			f.body, f.tag = body, base64.RawURLEncoding.EncodeToString(sum[:12])
		}
		return nil
	})
	if err != nil {
		panic(err) // the files are part of the program
	}
	return files
}

// typeOf returns the media type of a file.
func typeOf(at string) string {
	switch path.Ext(at) { // these depend on the system otherwise
	case ".webmanifest":
		return "application/manifest+json"
	case ".woff2":
		return "font/woff2"
	}
	return mime.TypeByExtension(path.Ext(at))
}

// send sends the file in the smallest encoding that the client accepts.
func (f *file) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	body, tag := f.body, f.tag
	if f.gzip != nil {
		h.Set("Vary", "Accept-Encoding")
		accepted := r.Header.Get("Accept-Encoding")
		switch {
		case accepts(accepted, "br"):
			body, tag = f.brotli, tag+"-br"
			h.Set("Content-Encoding", "br")
		case accepts(accepted, "gzip"):
			body, tag = f.gzip, tag+"-gz"
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("Content-Type", f.kind)
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// accepts reports whether a list of encodings has this one, not excluded by q=0.
func accepts(list, encoding string) bool {
	for part := range strings.SplitSeq(list, ",") {
		name, quality, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), encoding) {
			q := strings.ReplaceAll(quality, " ", "")
			return q != "q=0" && q != "q=0.0"
		}
	}
	return false
}
