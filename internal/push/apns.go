package push

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/sideshow/apns2"
	apnstoken "github.com/sideshow/apns2/token"

	"github.com/beckon-im/beckon/protocol"
)

// APNs configures pushes to Apple devices.
type APNs struct {
	// Key is the authentication key, the content of the .p8 file. Default: none, and no APNs.
	Key []byte
	// KeyID and TeamID identify the key: ten characters each.
	KeyID, TeamID string
	// App is the default bundle ID.
	App string
	// URL replaces the hosts of APNs, for a gateway. Default: none.
	URL string
}

// apns sends pushes to APNs, over HTTP/2.
type apns struct {
	opt        APNs
	production *apns2.Client
	sandbox    *apns2.Client
	client     *http.Client
}

func newAPNs(opt APNs, client *http.Client) (*apns, error) {
	key, err := apnstoken.AuthKeyFromBytes(opt.Key)
	if err != nil {
		return nil, fmt.Errorf("the APNs key must be the .p8 file of an authentication key: %w", err)
	}
	if opt.KeyID == "" || opt.TeamID == "" || opt.App == "" {
		return nil, errors.New("APNs requires a key ID, a team ID and the bundle ID of the app in addition to the key")
	}
	t := &apnstoken.Token{AuthKey: key, KeyID: opt.KeyID, TeamID: opt.TeamID}
	a := &apns{opt: opt, client: client}
	newClient := func(host string) *apns2.Client {
		return &apns2.Client{Host: cmp.Or(opt.URL, host), Token: t, HTTPClient: a.client}
	}
	a.production, a.sandbox = newClient(apns2.HostProduction), newClient(apns2.HostDevelopment)
	return a, nil
}

// newProviderClient returns an HTTP client that follows no redirects.
func newProviderClient(conf *tls.Config, timeout time.Duration) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	// the transport modifies its configuration
	t.TLSClientConfig, t.ForceAttemptHTTP2, t.MaxConnsPerHost = conf.Clone(), true, 64
	return &http.Client{Transport: t, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (a *apns) close() { a.client.CloseIdleConnections() }

// alert is the part of a payload that iOS reads.
type alert struct {
	Alert     *alertText `json:"alert,omitempty"`
	Sound     string     `json:"sound,omitempty"`
	Thread    string     `json:"thread-id,omitempty"`
	Category  string     `json:"category,omitempty"`
	Level     string     `json:"interruption-level,omitempty"`
	Mutable   int        `json:"mutable-content,omitempty"`
	Available int        `json:"content-available,omitempty"`
}

type alertText struct {
	Title string `json:"title,omitempty"`
	Body  string `json:"body,omitempty"`
}

// alertOf returns the alert of a notice, with a body of at most size bytes.
func alertOf(n *notice, size int) alert {
	if n.quiet {
		return alert{Available: 1}
	}
	v := alert{Alert: &alertText{short(n.title, size/2), short(n.body, size)}, Sound: cmp.Or(n.sound, "default"),
		Thread: n.thread, Category: "beckon." + string(n.push.Kind), Mutable: 1}
	if n.ring {
		v.Level = "time-sensitive"
	}
	return v
}

// maxAPNs limits the encoded payload, in bytes.
const maxAPNs = 4096

// fit builds a payload within the limit of APNs. It shortens the texts as necessary, since escaping may make them
// longer.
func fit(v *apns2.Notification, n *notice, push protocol.PushNotice) error {
	for _, size := range []int{500, 200, 60} {
		body := map[string]any{}
		if v.PushType != apns2.PushTypeVOIP {
			body["aps"] = alertOf(n, size)
		}
		inside, err := payload(push, min(maxPayload, 8*size)-len(encode(body)))
		if err != nil {
			continue
		}
		body["beckon"] = json.RawMessage(inside)
		v.Payload = body
		if b, err := json.Marshal(v); err == nil && len(b) <= maxAPNs {
			return nil
		}
	}
	return errors.New("the push is too long even without its optional parts")
}

func (a *apns) send(ctx context.Context, t *token, n *notice) result {
	voip := t.Provider == string(protocol.PushAPNsVoIP)
	push := n.push
	push.Title, push.Body = "", "" // they are in aps
	v := &apns2.Notification{DeviceToken: t.address(), Topic: cmp.Or(t.registration.App, a.opt.App), Expiration: n.until,
		CollapseID: n.collapse, Priority: apns2.PriorityHigh}
	switch {
	case voip: // with PushKit the app itself shows the notification
		push = n.push
		v.PushType, v.Topic, v.CollapseID = apns2.PushTypeVOIP, v.Topic+".voip", ""
	case n.quiet:
		v.PushType, v.Priority = apns2.PushTypeBackground, apns2.PriorityLow
	default:
		v.PushType = apns2.PushTypeAlert
	}
	if err := fit(v, n, push); err != nil {
		return result{err: err, never: true}
	}
	client := a.production
	if t.registration.Sandbox {
		client = a.sandbox
	}
	res, err := client.PushWithContext(ctx, v)
	if err != nil {
		return result{err: fmt.Errorf("APNs: %w", err)}
	}
	return apnsResult(res)
}

// apnsResult interprets a response. Tokens of removed or other apps are dead.
func apnsResult(res *apns2.Response) result {
	switch {
	case res.Sent():
		return result{}
	case res.StatusCode == http.StatusGone,
		slices.Contains([]string{apns2.ReasonBadDeviceToken, apns2.ReasonDeviceTokenNotForTopic, apns2.ReasonUnregistered,
			apns2.ReasonExpiredToken}, res.Reason):
		return result{err: fmt.Errorf("APNs: %d %s", res.StatusCode, res.Reason), dead: true}
	// errors of the server's key or of Apple may be fixed: retry
	case res.StatusCode == http.StatusForbidden, res.StatusCode >= 500, res.StatusCode == http.StatusTooManyRequests:
		return result{err: fmt.Errorf("APNs: %d %s", res.StatusCode, res.Reason)}
	}
	return result{err: fmt.Errorf("APNs: %d %s", res.StatusCode, res.Reason), never: true}
}
