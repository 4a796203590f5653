// Package web serves the embedded web pages: the web app and the operators' console. "make web" builds them from
// web/src.
//
// It does not know their contents, and has no access to the server.
package web

import (
	"embed"
	"io/fs"
	"net/http"
	"strings"
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

// Handler serves the web app (app), the console, or both.
func Handler(app, console bool) http.Handler {
	pages, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is a constant
	}
	if _, err := fs.Stat(pages, "index.html"); err != nil {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, notBuilt, http.StatusNotFound) })
	}
	files := http.FileServerFS(pages)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self)")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		if strings.HasPrefix(r.URL.Path, "/assets/") { // their names contain a content hash
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		} else {
			h.Set("Cache-Control", "no-cache")
		}
		at := r.URL.Path
		own := strings.HasPrefix(at, "/assets/") || at == "/icon.svg"
		switch {
		case console && at == PathConsole:
			r = r.Clone(r.Context())
			r.URL.Path = "/console.html"
		case !app && !own, at == "/console.html":
			http.NotFound(w, r)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/") && r.URL.Path != "/" || strings.Contains(r.URL.Path, "/.") {
			http.NotFound(w, r)
			return
		}
		files.ServeHTTP(w, r)
	})
}
