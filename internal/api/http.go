package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/address"
	"github.com/beckon-im/beckon/internal/files"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/protocol"
)

// Request headers.
const (
	HeaderUser   = "Beckon-User"   // with an API key: the user to act for
	HeaderDevice = "Beckon-Device" // with a device token: the device ID
	HeaderCall   = "X-Request-Id"  // ID of the call in logs, set by the caller or a proxy, otherwise generated
)

// callID returns the ID of a call.
func callID(r *http.Request) string {
	id := r.Header.Get(HeaderCall)
	if id == "" || len(id) > 128 || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return uuid.NewString()
	}
	return id
}

// status maps error codes to HTTP statuses. All others are 400.
func status(code int) int {
	switch code {
	case im.CodeTokenExpired, im.CodeTokenMalformed, im.CodeTokenRefused, im.CodeTokenUser, im.CodeTokenApp:
		return http.StatusUnauthorized
	case im.CodeNotYours, im.CodeGroupDenied, im.CodeOwnerMayNot, im.CodeMuted, im.CodeBlocked, im.CodeRevokeLate,
		im.CodeNotAdmitted:
		return http.StatusForbidden
	case im.CodeNoGroup, im.CodeNoMessage, im.CodeNoFile, im.CodeNotFound:
		return http.StatusNotFound
	case im.CodeOver, im.CodeExists, im.CodeRoomTaken, im.CodeAlreadyMember, im.CodeGroupIDTaken, im.CodeGroupFull,
		im.CodeModified, im.CodeConflict:
		return http.StatusConflict
	case im.CodeTooLong:
		return http.StatusRequestEntityTooLarge
	case im.CodeTooOften:
		return http.StatusTooManyRequests
	case im.CodeNoMedia:
		return http.StatusServiceUnavailable
	case im.CodeInternal:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// Paths returns the paths that Handler serves.
func Paths() []string {
	return []string{"/v1/", files.Path, "/openapi.json", "/openapi-3.0.json", "/docs"}
}

// Handler serves POST /v1/<method>, files and the API description.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/{method}", a.post)
	mux.HandleFunc("POST "+pathFiles, a.upload)
	mux.HandleFunc("GET "+files.Path, a.Files.Get)
	// a start does not wait for them
	doc, old, page := sync.OnceValue(a.contract().JSON), sync.OnceValue(a.contract().JSON30), sync.OnceValue(a.docsPage)
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		serveDescription(w, "application/vnd.oai.openapi+json;version=3.1", doc())
	})
	mux.HandleFunc("GET /openapi-3.0.json", func(w http.ResponseWriter, _ *http.Request) {
		serveDescription(w, "application/vnd.oai.openapi+json;version=3.0", old())
	})
	mux.HandleFunc("GET /docs", func(w http.ResponseWriter, _ *http.Request) {
		serveDescription(w, "text/html; charset=utf-8", page())
	})
	return mux
}

// serveDescription writes a document with headers that forbid scripts and framing.
func serveDescription(w http.ResponseWriter, kind string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action "+
		"'none'; frame-ancestors 'none'")
	_, _ = w.Write(body)
}

func (a *API) post(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		writeError(w, http.StatusMethodNotAllowed,
			&protocol.Error{Code: im.CodeBadParameter, Message: "method not allowed: use POST"})
		return
	}
	by, err := a.caller(r)
	by.CallID = callID(r)
	w.Header().Set(HeaderCall, by.CallID)
	if from := address.From(r.Context()); from.IsValid() {
		by.From = from.String()
	}
	if err != nil {
		a.fail(w, r, by, err)
		return
	}
	if err := a.limitRate(r.PathValue("method"), by); err != nil { // before reading the body, which costs more
		a.fail(w, r, by, err)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, protocol.MaxRequest))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			address.Wrong(r.Context())
			err = &im.Error{Code: im.CodeTooLong, Message: "the request exceeds 1 MiB"}
		} else {
			err = im.Bad("body", "could not be read to its end")
		}
		a.fail(w, r, by, err)
		return
	}
	type outcome struct {
		body []byte
		err  *protocol.Error
	}
	done := make(chan outcome, 1)
	a.call(r.Context(), by, r.PathValue("method"), body, func(b []byte, e *protocol.Error) { done <- outcome{b, e} })
	select {
	case o := <-done:
		if o.err != nil {
			writeError(w, status(o.err.Code), o.err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(o.body)
	case <-r.Context().Done(): // the client has disconnected; the call continues
	}
}

// pathFiles is the path for uploads.
const pathFiles = "/v1/files"

// upload stores a file. Its bytes are the body; kind and name are query parameters.
func (a *API) upload(w http.ResponseWriter, r *http.Request) {
	by, err := a.caller(r)
	by.CallID = callID(r)
	w.Header().Set(HeaderCall, by.CallID)
	if err == nil && !a.limits.user(by.UserID) {
		err = tooOften("too many calls by this user")
	}
	limit := a.uploads.Of(by.UserID)
	if err == nil {
		err = limit.Admit()
	}
	if err != nil {
		a.fail(w, r, by, err)
		return
	}
	up := files.Upload{Kind: r.URL.Query().Get("kind"), Name: r.URL.Query().Get("name"),
		Type: r.Header.Get("Content-Type")}
	up.Body = limit.Pace(r.Context(), http.MaxBytesReader(w, r.Body, a.Files.Limit(up.Kind)+1))
	res, err := a.Files.Put(r.Context(), by, up)
	if err != nil {
		a.fail(w, r, by, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(res)
}

func (a *API) fail(w http.ResponseWriter, r *http.Request, by rpc.Caller, err error) {
	e := a.wireError(r.PathValue("method"), by, err)
	writeError(w, status(e.Code), e)
}

func writeError(w http.ResponseWriter, status int, e *protocol.Error) {
	w.Header().Set("Content-Type", "application/json")
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", retryAfter(e.RetryAfter))
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(e)
}

// retryAfter returns milliseconds as the header Retry-After has them: in whole seconds, never too short.
func retryAfter(ms int) string { return strconv.Itoa((ms + 999) / 1000) }

// fullRetry is the time after which a device may try to connect again to a server that is full, in milliseconds.
const fullRetry = 5000

// headerUser returns the user of the header Beckon-User, which is percent-encoded where it is not plain ASCII.
func headerUser(r *http.Request) (string, error) {
	user, err := url.PathUnescape(r.Header.Get(HeaderUser))
	if err != nil {
		return "", im.Bad(HeaderUser, "has a wrong percent-encoding; encode its UTF-8, and % as %25")
	}
	return user, nil
}

// caller authenticates a request: an app server with or without a user to act for, or a device with its own token.
func (a *API) caller(r *http.Request) (rpc.Caller, error) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return rpc.Caller{}, im.Refuse(im.CodeTokenMalformed,
			"missing header: Authorization: Bearer <API key or token>")
	}
	user, err := headerUser(r)
	if err != nil {
		return rpc.Caller{}, err
	}
	device := r.Header.Get(HeaderDevice)
	if a.auth.IsAPIKey(token) {
		if r.Context().Value(keysRefused{}) != nil {
			return rpc.Caller{}, im.Refuse(im.CodeTokenRefused, "API keys are accepted only at the address for app servers and "+
				"operators (admin-listen), not at this one")
		}
		v := a.methods[r.PathValue("method")]
		switch {
		case user == "" && (v != nil && v.callers == users || r.URL.Path == pathFiles):
			return rpc.Caller{}, im.Bad(HeaderUser, "is required: it names the user that this app server acts for")
		case user == "":
			return rpc.Caller{Server: true}, nil
		}
		return rpc.Caller{UserID: user, Server: true}, im.CheckUserID(HeaderUser, user)
	}
	id, err := a.checkToken(r.Context(), address.From(r.Context()), token)
	if err == nil {
		err = a.Users.CheckIssued(r.Context(), id.UserID, id.IssuedAt)
	}
	if err != nil {
		return rpc.Caller{}, err
	}
	switch {
	case id.IsOfPush() && r.URL.Path == pathFiles:
		return rpc.Caller{}, errOfPush()
	case user != "" && user != id.UserID:
		return rpc.Caller{}, im.Refuse(im.CodeTokenUser, "this token of "+id.UserID+" cannot act for "+clip(user))
	case id.DeviceID != "" || id.IsOfPush():
		device = id.DeviceID
	case device != "":
		if err := im.CheckDeviceID(device); err != nil {
			return rpc.Caller{}, err
		}
	}
	return rpc.Caller{UserID: id.UserID, DeviceID: device, InviteID: id.InviteID, TestID: id.TestID}, nil
}

// keysRefused marks the context of a request to an address that accepts no API keys.
type keysRefused struct{}

// RefuseKeys refuses API keys, as an address for devices does.
func RefuseKeys(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), keysRefused{}, true)))
	})
}

// Guard limits each address, and applies CORS for allowed origins.
func (a *API) Guard(next http.Handler) http.Handler {
	reject := func(w http.ResponseWriter, _ *http.Request) {
		e := a.wireError("", rpc.Caller{}, tooOften("too many requests or invalid tokens from this address"))
		w.Header().Set("Connection", "close")
		writeError(w, http.StatusTooManyRequests, e)
	}
	return a.opt.Addresses.Handler(func(w http.ResponseWriter, r *http.Request) {
		if a.opt.Full() && strings.HasPrefix(r.URL.Path, "/connection/") {
			w.Header().Set("Retry-After", retryAfter(fullRetry))
			http.Error(w, "this server cannot accept more devices; retry later", http.StatusServiceUnavailable)
			return
		}
		setBodyTimeout(w, r)
		if origin := r.Header.Get("Origin"); origin != "" && a.AllowOrigin(r) {
			h := w.Header()
			h.Set("Access-Control-Allow-Origin", origin)
			h.Add("Vary", "Origin")
			if r.Method == http.MethodOptions {
				h.Set("Access-Control-Allow-Methods", "POST, GET, OPTIONS")
				h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, "+HeaderUser+", "+HeaderDevice)
				h.Set("Access-Control-Max-Age", "600")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	}, reject)
}

// AllowOrigin reports whether the page that made a request may: it is of the same host, or of an allowed origin.
func (a *API) AllowOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return r.Header.Get("Sec-Fetch-Site") != "cross-site" // an image or link on another site's page
	}
	if slices.Contains(a.opt.Origins, "*") || slices.Contains(a.opt.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}
