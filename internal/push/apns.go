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

// APNs are the choices for Apple's devices.
type APNs struct {
	// Key is the authentication key, as the .p8 file has it. Default: none, and no pushes to Apple's devices.
	Key []byte
	// KeyID and TeamID say whose it is: ten characters each.
	KeyID, TeamID string
	// App is the bundle id of apps that do not say theirs.
	App string
	// URL replaces both of Apple's addresses, as of a gateway between. Default: none.
	URL string
}

// apns carries pushes to Apple's devices, over HTTP/2.
type apns struct {
	opt        APNs
	production *apns2.Client
	sandbox    *apns2.Client
	web        *http.Client
}

func newAPNs(opt APNs, web *http.Client) (*apns, error) {
	key, err := apnstoken.AuthKeyFromBytes(opt.Key)
	if err != nil {
		return nil, fmt.Errorf("the APNs key is not the .p8 file of an authentication key: %w", err)
	}
	if opt.KeyID == "" || opt.TeamID == "" || opt.App == "" {
		return nil, errors.New("APNs needs the key id, the team id and the bundle id of the app beside the key")
	}
	t := &apnstoken.Token{AuthKey: key, KeyID: opt.KeyID, TeamID: opt.TeamID}
	a := &apns{opt: opt, web: web}
	client := func(host string) *apns2.Client {
		return &apns2.Client{Host: cmp.Or(opt.URL, host), Token: t, HTTPClient: a.web}
	}
	a.production, a.sandbox = client(apns2.HostProduction), client(apns2.HostDevelopment)
	return a, nil
}

// provider makes a client of a provider, which goes nowhere else.
func provider(conf *tls.Config, limit time.Duration) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig, t.ForceAttemptHTTP2, t.MaxConnsPerHost = conf.Clone(), true, 64 // a transport changes its own
	return &http.Client{Transport: t, Timeout: limit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (a *apns) close() { a.web.CloseIdleConnections() }

// alert is the part of a payload that the device itself reads.
type alert struct {
	Alert     *shown `json:"alert,omitempty"`
	Sound     string `json:"sound,omitempty"`
	Thread    string `json:"thread-id,omitempty"`
	Category  string `json:"category,omitempty"`
	Level     string `json:"interruption-level,omitempty"`
	Mutable   int    `json:"mutable-content,omitempty"`
	Available int    `json:"content-available,omitempty"`
}

type shown struct {
	Title string `json:"title,omitempty"`
	Body  string `json:"body,omitempty"`
}

// alertOf says how Apple's devices show a push; nil when they do not.
func alertOf(n *notice, most int) alert {
	if n.quiet {
		return alert{Available: 1}
	}
	v := alert{Alert: &shown{short(n.title, most/2), short(n.body, most)}, Sound: cmp.Or(n.sound, "default"),
		Thread: n.thread, Category: "beckon." + string(n.push.Kind), Mutable: 1}
	if n.ring {
		v.Level = "time-sensitive"
	}
	return v
}

// maxAPNs bounds a payload, in bytes as it is sent.
const maxAPNs = 4096

// fit makes a payload that APNs takes: the less is shown, the more of the texts are longer on the way than they are.
func fit(v *apns2.Notification, n *notice, push protocol.PushNotice) error {
	for _, most := range []int{500, 200, 60} {
		body := map[string]any{}
		if v.PushType != apns2.PushTypeVOIP {
			body["aps"] = alertOf(n, most)
		}
		inside, err := payload(push, min(maxPayload, 8*most)-len(encode(body)))
		if err != nil {
			continue
		}
		body["beckon"] = json.RawMessage(inside)
		v.Payload = body
		if b, err := json.Marshal(v); err == nil && len(b) <= maxAPNs {
			return nil
		}
	}
	return errors.New("the push is too long, also without what may be left out")
}

func (a *apns) send(ctx context.Context, t *token, n *notice) verdict {
	voip := t.Provider == string(protocol.PushAPNsVoIP)
	push := n.push
	push.Title, push.Body = "", "" // they stand beside it
	v := &apns2.Notification{DeviceToken: t.address(), Topic: cmp.Or(t.at.App, a.opt.App), Expiration: n.until,
		CollapseID: n.collapse, Priority: apns2.PriorityHigh}
	switch {
	case voip: // PushKit shows what the app says
		push = n.push
		v.PushType, v.Topic, v.CollapseID = apns2.PushTypeVOIP, v.Topic+".voip", ""
	case n.quiet:
		v.PushType, v.Priority = apns2.PushTypeBackground, apns2.PriorityLow
	default:
		v.PushType = apns2.PushTypeAlert
	}
	if err := fit(v, n, push); err != nil {
		return verdict{err: err, never: true}
	}
	client := a.production
	if t.at.Sandbox {
		client = a.sandbox
	}
	res, err := client.PushWithContext(ctx, v)
	if err != nil {
		return verdict{err: fmt.Errorf("APNs: %w", err)}
	}
	return judgeAPNs(res)
}

// judgeAPNs reads an answer: tokens of apps that were removed, or of another app, are of no use.
func judgeAPNs(res *apns2.Response) verdict {
	switch {
	case res.Sent():
		return verdict{}
	case res.StatusCode == http.StatusGone,
		slices.Contains([]string{apns2.ReasonBadDeviceToken, apns2.ReasonDeviceTokenNotForTopic, apns2.ReasonUnregistered,
			apns2.ReasonExpiredToken}, res.Reason):
		return verdict{err: fmt.Errorf("APNs: %d %s", res.StatusCode, res.Reason), dead: true}
	// the key of the server, or Apple: it may be mended
	case res.StatusCode == http.StatusForbidden, res.StatusCode >= 500, res.StatusCode == http.StatusTooManyRequests:
		return verdict{err: fmt.Errorf("APNs: %d %s", res.StatusCode, res.Reason)}
	}
	return verdict{err: fmt.Errorf("APNs: %d %s", res.StatusCode, res.Reason), never: true}
}
