package push

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"
)

// FCM are the choices for Firebase Cloud Messaging.
type FCM struct {
	// Credentials are those of a service account, as the JSON file has them. Default: none, and no pushes by FCM.
	Credentials []byte
	// URL replaces https://fcm.googleapis.com.
	URL string
}

const (
	fcmURL   = "https://fcm.googleapis.com"
	fcmScope = "https://www.googleapis.com/auth/firebase.messaging"
)

// fcm carries pushes by the HTTP v1 API of FCM.
type fcm struct {
	url   string
	web   *http.Client
	token oauth2.TokenSource
}

func newFCM(opt FCM, web *http.Client) (*fcm, error) {
	var account struct {
		Project    string `json:"project_id"`
		Email      string `json:"client_email"`
		PrivateKey string `json:"private_key"`
		KeyID      string `json:"private_key_id"`
		TokenURI   string `json:"token_uri"`
	}
	if err := json.Unmarshal(opt.Credentials, &account); err != nil || account.Project == "" || account.Email == "" || account.PrivateKey == "" {
		return nil, errors.New("the FCM credentials are not the JSON file of a service account, with project_id, client_email and private_key")
	}
	f := &fcm{url: cmp.Or(opt.URL, fcmURL) + "/v1/projects/" + url.PathEscape(account.Project) + "/messages:send", web: web}
	conf := &jwt.Config{
		Email: account.Email, PrivateKey: []byte(account.PrivateKey), PrivateKeyID: account.KeyID, Scopes: []string{fcmScope},
		TokenURL: cmp.Or(account.TokenURI, "https://oauth2.googleapis.com/token"),
	}
	f.token = conf.TokenSource(context.WithValue(context.Background(), oauth2.HTTPClient, f.web))
	return f, nil
}

func (f *fcm) close() { f.web.CloseIdleConnections() }

// message is what FCM takes. What rings is data alone, so that the app is woken up and shows it by itself; iOS, which may not,
// shows what apns says.
func (f *fcm) message(t *token, n *notice) ([]byte, error) {
	push := n.push
	push.Title, push.Body = "", ""
	data := map[string]string{"title": short(n.title, 200), "body": short(n.body, 500)}
	b, err := payload(push, maxPayload-2*(len(data["title"])+len(data["body"])))
	if err != nil {
		return nil, err
	}
	data["beckon"] = string(b)
	ttl := strconv.Itoa(n.ttl(time.Now()))
	android := map[string]any{"priority": "HIGH", "ttl": ttl + "s", "collapse_key": n.collapse}
	headers := map[string]string{"apns-expiration": strconv.FormatInt(n.until.Unix(), 10), "apns-collapse-id": n.collapse, "apns-priority": "10", "apns-push-type": "alert"}
	if n.quiet {
		headers["apns-priority"], headers["apns-push-type"] = "5", "background"
	}
	return json.Marshal(map[string]any{"message": map[string]any{
		"token": t.address(), "data": data, "android": android, "apns": map[string]any{"headers": headers, "payload": map[string]any{"aps": alertOf(n)}},
	}})
}

func (f *fcm) send(ctx context.Context, t *token, n *notice) verdict {
	body, err := f.message(t, n)
	if err != nil {
		return verdict{err: err, never: true}
	}
	bearer, err := f.token.Token()
	if err != nil {
		return verdict{err: fmt.Errorf("FCM gives no access: %w", err)}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(body))
	if err != nil {
		return verdict{err: err, never: true}
	}
	bearer.SetAuthHeader(req)
	req.Header.Set("Content-Type", "application/json")
	res, err := f.web.Do(req)
	if err != nil {
		return verdict{err: fmt.Errorf("FCM: %w", err)}
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil && res.StatusCode != http.StatusOK {
		return verdict{err: fmt.Errorf("FCM: %w", err)}
	}
	return judgeFCM(res, text)
}

// judgeFCM reads an answer: UNREGISTERED and SENDER_ID_MISMATCH are of a token that is of no use, INVALID_ARGUMENT is of one too
// when it is the token that it names.
func judgeFCM(res *http.Response, body []byte) verdict {
	if res.StatusCode == http.StatusOK {
		return verdict{}
	}
	var said struct {
		Error struct {
			Status, Message string
			Details         []struct {
				ErrorCode       string
				FieldViolations []struct{ Field string }
			}
		}
	}
	_ = json.Unmarshal(body, &said) // then the status alone says it
	code, field := said.Error.Status, ""
	for _, d := range said.Error.Details {
		code = cmp.Or(d.ErrorCode, code)
		for _, v := range d.FieldViolations {
			field = cmp.Or(field, v.Field)
		}
	}
	v := verdict{err: fmt.Errorf("FCM: %d %s %s", res.StatusCode, code, short(said.Error.Message, 120))}
	switch {
	case res.StatusCode == http.StatusNotFound, code == "UNREGISTERED", code == "SENDER_ID_MISMATCH", code == "INVALID_ARGUMENT" && field == "message.token":
		v.dead = true
	case res.StatusCode == http.StatusBadRequest:
		v.never = true
	default:
		v.after = retryAfter(res)
	}
	return v
}

// retryAfter is when the provider says to come again; at most an hour.
func retryAfter(res *http.Response) time.Duration {
	s, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if err != nil || s < 0 {
		return 0
	}
	return min(time.Duration(s)*time.Second, time.Hour)
}
