package scenario

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/client/upload"
)

// page reads an address, and returns its final address after redirects.
func page(t *testing.T, address string) (status int, body string, at *url.URL) {
	t.Helper()
	res, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Request.URL
}

// TestBelowAPath: a program serves the handler below a path, and devices, files, and pages with all that they load are
// there.
func TestBelowAPath(t *testing.T) {
	s := &scene{Cluster: newHouse(t, beckon.Config{Web: true, Console: true}), t: t}
	mux := http.NewServeMux()
	mux.Handle("/apps/chat/", http.StripPrefix("/apps/chat", s.Server.Handler()))
	outer := httptest.NewServer(mux)
	defer outer.Close()
	below := outer.URL + "/apps/chat"
	s.URL = below
	s.act("ann", "listInvitations", nil, nil)
	c := s.DeviceWith(client.Options{Server: below, Token: s.Token("ann"), DeviceID: "d"})
	file, err := c.UploadFile(t.Context(), upload.File{Kind: "file", Name: "a.txt", MediaType: "text/plain",
		Body: strings.NewReader("content")})
	if err != nil {
		t.Fatal(err)
	}
	link, err := c.GetFile(t.Context(), file.FileID)
	if err != nil {
		t.Fatal(err)
	}
	if status, body, _ := page(t, link.URL); status != 200 || body != "content" {
		t.Errorf("the file %s: %d %s", link.URL, status, body)
	}
	relative, err := url.Parse(link.URL)
	if err != nil || !strings.HasPrefix(relative.Path, "/apps/chat/files/") {
		t.Errorf("the link to a file is %s, %v", link.URL, err)
	}
	res, err := http.Post(below+"/connection/http_stream", "application/json",
		strings.NewReader(`{"id":1,"connect":{"token":"`+s.Token("bob")+`"}}`))
	if err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 16)
	if n, err := io.ReadAtLeast(res.Body, reply, 8); err != nil || !strings.Contains(string(reply[:n]), `"id":1`) {
		t.Errorf("a stream begins with %q, %v", reply[:n], err)
	}
	_ = res.Body.Close()
	for _, path := range []string{"/docs", "/openapi.json", "/metrics", "/readyz"} {
		if status, _, _ := page(t, below+path); status != 200 {
			t.Errorf("%s: %d", path, status)
		}
	}
	loaded := map[string]bool{}
	for _, path := range []string{"", "/", "/console", "/docs"} {
		loads(t, below, below+path, loaded)
	}
	t.Logf("loaded %v", loaded)
	if status, body, _ := page(t, below+"/"); status == 200 && len(loaded) < 10 {
		t.Errorf("the pages load only %v: %s", loaded, body)
	} else if status != 200 && !strings.Contains(body, "make build") {
		t.Errorf("/: %d %s", status, body)
	}
}

// references matches the addresses that pages and styles load, and those relative to the page that scripts name.
var references = regexp.MustCompile(
	`(?:src=|href=|url\(|from ?|import\()["'` + "`" + `]?((?:\./|\.\./|/|[a-z]+\.json)[^"'` + "`" + `)\s>#]*)`)

// absolute matches addresses in scripts that ignore the path of the page.
var absolute = regexp.MustCompile("[\"'`(]/(v1|assets|icon\\.svg|sw\\.js|demo|files|connection|\\?away)\\b[^\"'`]*")

// loads reads a page and, once each, everything that it loads.
func loads(t *testing.T, below, address string, loaded map[string]bool) {
	t.Helper()
	status, body, at := page(t, address)
	if status == 404 && strings.Contains(body, "make build") {
		return // CI runs this test before the pages are built too
	}
	if status != 200 || !strings.HasPrefix(at.String(), below+"/") {
		t.Errorf("%s: %d at %s", address, status, at)
		return
	}
	loaded[at.String()] = true
	if strings.HasSuffix(at.Path, ".js") {
		if found := absolute.FindAllString(body, -1); found != nil {
			t.Errorf("%s has addresses that begin with a slash: %q", at, slices.Compact(found))
		}
	}
	for _, m := range references.FindAllStringSubmatch(body, -1) {
		next, err := at.Parse(m[1])
		if err != nil {
			t.Errorf("%s refers to %q: %v", at, m[1], err)
			continue
		}
		if !loaded[next.String()] {
			loads(t, below, next.String(), loaded)
		}
	}
}
