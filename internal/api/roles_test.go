package api

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/beckon-im/beckon/protocol"
)

var update = flag.Bool("update", false, "write docs/roles.md anew; a change there is a change of who may do what")

const rolesFile = "../../docs/roles.md"

// TestRoles walks every verb as everybody, and holds docs/roles.md to what happens.
func TestRoles(t *testing.T) {
	web := newServer(t)
	a, err := NewAuthenticator(t.Context(), AuthOptions{JWTSecret: secretOfTests})
	if err != nil {
		t.Fatal(err)
	}
	r := &roles{t: t, web: web, auth: a, walked: map[string]bool{}}
	var b strings.Builder
	b.WriteString("# Who may do what\n\nWritten by `go test ./internal/api -run TestRoles -update`, which calls every verb as everybody; the same test fails when what happens differs from this page.\n")
	r.callers(&b)
	r.invitations(&b)
	r.messages(&b)
	r.groups(&b)
	for verb := range r.verbs() {
		if !r.walked[verb] && elsewhere()[verb] == "" {
			t.Errorf("%s: nobody tried who may", verb)
		}
	}
	got := b.String()
	if *update {
		if err := os.WriteFile(rolesFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(rolesFile)
	if err != nil || string(want) != got {
		t.Errorf("who may do what has changed; if that is meant, run go test ./internal/api -run TestRoles -update\n%s", got)
	}
}

type roles struct {
	t      *testing.T
	web    *httptest.Server
	auth   *Authenticator
	walked map[string]bool
	n      int
}

func (r *roles) verbs() map[string]*row {
	r.t.Helper()
	all := map[string]*row{}
	for _, v := range (&API{}).table() {
		all[v.name] = v
	}
	return all
}

// as calls a verb as a user's device, or, with the name "app", as the app server for nobody. It returns 0, or the
// refusal's number.
func (r *roles) as(who, verb string, body any) (int, json.RawMessage) {
	r.t.Helper()
	key := "Bearer " + apiKeyOfTests
	if who != "app" {
		token, err := r.auth.Mint(who, "", 0)
		if err != nil {
			r.t.Fatal(err)
		}
		key = "Bearer " + token
	}
	return r.call(key, "", verb, body)
}

func (r *roles) call(key, user, verb string, body any) (int, json.RawMessage) {
	r.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.web.URL+"/v1/"+verb,
		strings.NewReader(string(b)))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", key)
	if user != "" {
		req.Header.Set(HeaderUser, user)
	}
	res, err := r.web.Client().Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if res.StatusCode == http.StatusOK {
		return 0, answer
	}
	var e protocol.Error
	if err := json.Unmarshal(answer, &e); err != nil || e.Code == 0 {
		r.t.Fatalf("%s: %d %s", verb, res.StatusCode, answer)
	}
	if e.Field == HeaderUser || e.Field == "verb" {
		return notHeard, answer
	}
	return e.Code, answer
}

func (r *roles) must(who, verb string, body any) json.RawMessage {
	r.t.Helper()
	code, answer := r.as(who, verb, body)
	if code != 0 {
		r.t.Fatalf("%s by %s: %s", verb, who, answer)
	}
	return answer
}

// notHeard is the outcome of a verb that is not for such a caller.
const notHeard = -1

// callers tries every verb as each kind of caller, with an empty request: what matters is whether it is heard at all.
func (r *roles) callers(b *strings.Builder) {
	b.WriteString("\n## Callers\n\n*yes*: the verb looks at the request. *no*: it is refused before.\n\n| verb | a " +
		"device, for its user | an app server, for a user | an app server, for itself | nobody, a forged token, a wrong key " +
		"|\n|---|---|---|---|---|\n")
	old, err := NewAuthenticator(r.t.Context(), AuthOptions{JWTSecret: strings.Repeat("x", 32)})
	if err != nil {
		r.t.Fatal(err)
	}
	forged, err := old.Mint("ann", "", 0)
	if err != nil {
		r.t.Fatal(err)
	}
	token, err := r.auth.Mint("ann", "", 0)
	if err != nil {
		r.t.Fatal(err)
	}
	heard := func(key, user, verb string) string {
		code, _ := r.call(key, user, verb, map[string]any{})
		if code == notHeard || code/10000 == 7 {
			return "no"
		}
		return "yes"
	}
	names := make([]string, 0, 100)
	for name := range r.verbs() {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, verb := range names {
		app := "Bearer " + apiKeyOfTests
		strangers := map[string]string{"": "", "Bearer nonsense": "", "Bearer " + forged: "",
			"Bearer wrong-key-of-the-tests": "ann"}
		nobody := "no"
		for key, user := range strangers {
			if heard(key, user, verb) == "yes" {
				nobody = "yes"
			}
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", verb, heard("Bearer "+token, "", verb), heard(app, "ann", verb),
			heard(app, "", verb), nobody)
	}
	if heard("Bearer "+token, "bob", "getInvitation") == "yes" {
		r.t.Error("a device acts for somebody else")
	}
}

// table tries verbs as several people, each time on something new, and notes who may and with which number others are
// refused.
func (r *roles) table(b *strings.Builder, people []string, verbs []string, try func(who, verb string) int) {
	r.t.Helper()
	fmt.Fprintf(b, "| | %s |\n|---|%s\n", strings.Join(people, " | "), strings.Repeat("---|", len(people)))
	for _, verb := range verbs {
		name, _, _ := strings.Cut(verb, " ")
		if r.walked[name] = true; r.verbs()[name] == nil {
			r.t.Errorf("there is no verb %s", name)
		}
		fmt.Fprintf(b, "| `%s`%s |", name, strings.TrimPrefix(verb, name))
		for _, who := range people {
			r.n++
			switch code := try(who, verb); code {
			case 0:
				b.WriteString(" yes |")
			case notHeard:
				b.WriteString(" – |")
			default:
				fmt.Fprintf(b, " %d |", code)
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
}
