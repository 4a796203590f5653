package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/cmd/beckon/mediacheck"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// doctorCmd checks a data directory, or a running server from end to end.
type doctorCmd struct {
	Data     string `help:"Data directory to check. The server may be running." placeholder:"DIR"`
	Postgres string `help:"PostgreSQL database to check, instead of the one in --data." placeholder:"URL" secret:"url"`
	Ready    string `help:"Only check the readiness of the node at this address, for health checks." placeholder:"URL"`
	Repair   bool   `help:"Go on without the damaged part of the journal in --data, which stays in damaged-* files. No server may be running."`
	Server   string `help:"Server to check: health, connect, invite, accept, media room." placeholder:"URL"`
	Media    bool   `help:"Also join a media room of --server by UDP, by TCP and by TURN over TLS, from this machine." env:"-"`
	Secret   string `help:"JWT secret of the server. Default: the one in --data." name:"jwt-secret" secret:""`

	tls *tls.Config // of connections to the server; nil = the system's root certificates
}

// Run runs the requested checks.
func (c *doctorCmd) Run(ctx context.Context) error {
	if c.Ready != "" {
		return ready(ctx, c.Ready)
	}
	if c.Data == "" && c.Server == "" && c.Postgres == "" {
		return errors.New("nothing to check: set --data DIR, --postgres URL or --server URL")
	}
	if c.Repair {
		if err := c.repair(ctx); err != nil {
			return err
		}
	}
	if c.Media && c.Server == "" {
		return errors.New("--media needs --server URL")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	bad := 0
	check := func(name string, f func() (string, error)) {
		found, err := f()
		if err != nil {
			bad++
			fmt.Printf("✗ %s: %v\n", name, err)
			return
		}
		fmt.Printf("✓ %s%s\n", name, found)
	}
	if c.Data != "" {
		check("keys", c.keys)
	}
	if c.Data != "" || c.Postgres != "" {
		check("database", func() (string, error) { return c.database(ctx) })
	}
	if c.Server != "" {
		check("health", func() (string, error) { return c.health(ctx) })
		check("end-to-end invitation", func() (string, error) { return c.walk(ctx) })
		check("media room", func() (string, error) { return c.room(ctx) })
	}
	if c.Media {
		bad += mediacheck.Report(ctx, os.Stdout, c.tls, c.enter)
	}
	if bad > 0 {
		return fmt.Errorf("%d checks failed", bad)
	}
	return nil
}

// ready checks the readiness of a node.
func ready(ctx context.Context, node string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(node, "/")+"/readyz", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	why, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("not ready: %s", strings.TrimSpace(string(why)))
	}
	return err
}

// repair repairs the journal of a data directory.
func (c *doctorCmd) repair(ctx context.Context) error {
	if c.Data == "" {
		return errors.New("--repair needs --data DIR: PostgreSQL has its own tools")
	}
	r, err := beckon.RepairJournal(ctx, c.Data)
	if err != nil {
		return err
	}
	if r.Fault == "" {
		fmt.Println("✓ nothing to repair")
		return nil
	}
	fmt.Printf("✓ repaired: %s\n  out of use now: %s\n", r.Fault, strings.Join(r.Moved, ", "))
	if r.Lost == "" {
		fmt.Println("  No commit is lost.")
		return nil
	}
	fmt.Printf("  %s. The database continues after commit %d; devices will reload.\n", r.Lost, r.Applied)
	return nil
}

func (c *doctorCmd) keys() (string, error) {
	info, err := os.Stat(filepath.Join(c.Data, beckon.KeysFile))
	if err != nil {
		return "", fmt.Errorf("%w; is %s the data directory of a server?", err, c.Data)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s can be read by other users of this machine; run chmod 600 on it", info.Name())
	}
	_, err = beckon.LoadKeys(c.Data)
	return "", err
}

func (c *doctorCmd) database(ctx context.Context) (string, error) {
	r, err := beckon.Inspect(ctx, c.Data, c.Postgres)
	if err != nil {
		return "", err
	}
	if len(r.Faults) > 0 {
		return "", errors.New(strings.Join(r.Faults, "; "))
	}
	return fmt.Sprintf(": sound, %d timelines, %d records, %d invitations of which %d are open", r.Topics, r.Records,
		r.Invitations, r.Open), nil
}

func (c *doctorCmd) health(ctx context.Context) (string, error) {
	for _, path := range []string{"/healthz", "/readyz"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.Server, "/")+path, nil)
		if err != nil {
			return "", err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return "", err
		}
		body, _ := io.ReadAll(io.LimitReader(res.Body, 200))
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return "", fmt.Errorf("%s returned %s: %s", path, res.Status, strings.TrimSpace(string(body)))
		}
	}
	return "", nil
}

// walk runs an invitation between two test users.
func (c *doctorCmd) walk(ctx context.Context) (string, error) {
	if c.Data == "" && c.Secret == "" {
		return "", errors.New("set --data or --jwt-secret to mint tokens")
	}
	rang, answered := make(chan string, 1), make(chan struct{}, 1)
	callee, err := c.device(ctx, "doctor-callee",
		client.Listener{OnReceiveNewInvitation: func(e client.InvitationEvent) { rang <- e.InviteID }})
	if err != nil {
		return "", err
	}
	defer callee.Close()
	caller, err := c.device(ctx, "doctor-caller",
		client.Listener{OnInviteeAccepted: func(client.InvitationEvent) { answered <- struct{}{} }})
	if err != nil {
		return "", err
	}
	defer caller.Close()
	begun := time.Now()
	if _, err := caller.Invite(ctx, protocol.InviteRequest{Invitee: "doctor-callee",
		InviteOptions: protocol.InviteOptions{Timeout: 30}}); err != nil {
		return "", err
	}
	select {
	case id := <-rang:
		if _, err := callee.Accept(ctx, id, ""); err != nil {
			return "", err
		}
	case <-ctx.Done():
		return "", errors.New("the invitation was not delivered")
	}
	select {
	case <-answered:
		return fmt.Sprintf(" in %.1f ms", float64(time.Since(begun).Microseconds())/1000), nil
	case <-ctx.Done():
		return "", errors.New("the answer was not delivered")
	}
}

// room opens a media room and ends it. The token must admit to the room before its end, and not after.
func (c *doctorCmd) room(ctx context.Context) (string, error) {
	user, err := c.device(ctx, "doctor-caller", client.Listener{})
	if err != nil {
		return "", err
	}
	defer user.Close()
	roomID := "doctor-" + rand.Text()
	entry, err := user.EnterRoom(ctx, roomID, "")
	var refused *client.Error
	if errors.As(err, &refused) && refused.Code == im.CodeNoMedia && refused.RetryAfter == 0 {
		return ": this server has no media server", nil
	}
	if err != nil {
		return "", err
	}
	base := strings.TrimSuffix(cmp.Or(entry.URL, c.Server), "/")
	if rest, ok := strings.CutPrefix(base, "ws"); ok {
		base = "http" + rest
	}
	before, err := admits(ctx, base, entry.Token)
	if _, e := user.DismissRoom(ctx, roomID); err == nil {
		err = e
	}
	if err == nil && !before {
		err = errors.New("the signaling of LiveKit at " + base + "/rtc refuses a token of this server")
	}
	if err != nil {
		return "", err
	}
	after, err := admits(ctx, base, entry.Token)
	if after {
		err = errors.New("LiveKit creates rooms by itself, so that a disconnected user may return into a call that has " +
			"ended; set room.auto_create: false in its configuration")
	}
	return " of " + base, err
}

// enter opens a media room for a check of its transports.
func (c *doctorCmd) enter(ctx context.Context) (url, token string, leave func(), err error) {
	user, err := c.device(ctx, "doctor-caller", client.Listener{})
	if err != nil {
		return "", "", nil, err
	}
	roomID := "doctor-" + rand.Text()
	entry, err := user.EnterRoom(ctx, roomID, "")
	if err != nil {
		user.Close()
		return "", "", nil, err
	}
	return cmp.Or(entry.URL, c.Server), entry.Token, func() {
		_, _ = user.DismissRoom(ctx, roomID) // it ends by itself soon
		user.Close()
	}, nil
}

// admits reports whether LiveKit admits the holder of a room token. No participant is created.
func admits(ctx context.Context, base, token string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/rtc/validate", nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	return res.StatusCode == http.StatusOK, res.Body.Close()
}

func (c *doctorCmd) device(ctx context.Context, user string, l client.Listener) (*client.Client, error) {
	token, err := beckon.MintToken(c.Data, c.Secret, user, "", time.Hour)
	if err != nil {
		return nil, err
	}
	d, err := client.New(client.Options{Server: c.Server, Token: token, Listener: l})
	if err != nil {
		return nil, err
	}
	return d, d.Connect(ctx)
}
