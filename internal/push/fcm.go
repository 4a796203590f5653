package push

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// FCM configures pushes by Firebase Cloud Messaging.
type FCM struct {
	// Credentials are the JSON file of a service account. Default: none, and no FCM.
	Credentials []byte
	// URL replaces https://fcm.googleapis.com.
	URL string
}

const (
	fcmURL   = "https://fcm.googleapis.com"
	fcmScope = "https://www.googleapis.com/auth/firebase.messaging"
)

// fcm sends pushes by the HTTP v1 API of FCM. lock guards token, until and err; it is a channel, so that waiting
// respects the context.
type fcm struct {
	url, tokenURL, email, keyID string
	key                         *rsa.PrivateKey
	client                      *http.Client

	lock  chan struct{} // holds one element while locked
	token string
	until time.Time // time of the next exchange
	err   error     // error of the last exchange, until then
}

func newFCM(opt FCM, client *http.Client) (*fcm, error) {
	var account struct {
		Project    string `json:"project_id"`
		Email      string `json:"client_email"`
		PrivateKey string `json:"private_key"`
		KeyID      string `json:"private_key_id"`
		TokenURI   string `json:"token_uri"`
	}
	err := json.Unmarshal(opt.Credentials, &account)
	key, keyErr := jwt.ParseRSAPrivateKeyFromPEM([]byte(account.PrivateKey))
	if err != nil || keyErr != nil || account.Project == "" || account.Email == "" {
		return nil, errors.New(
			"the FCM credentials must be the JSON file of a service account with project_id, client_email and private_key")
	}
	return &fcm{
		url:      cmp.Or(opt.URL, fcmURL) + "/v1/projects/" + url.PathEscape(account.Project) + "/messages:send",
		tokenURL: cmp.Or(account.TokenURI, "https://oauth2.googleapis.com/token"), email: account.Email, keyID: account.KeyID,
		key: key, client: client, lock: make(chan struct{}, 1),
	}, nil
}

const (
	renewBefore = 5 * time.Minute // remaining lifetime of an access token at renewal
	failedWait  = time.Second     // delay after a failed exchange
)

// access returns an OAuth access token, requested with a JWT signed by the service account (RFC 7523). One caller
// requests it; the others wait within their own context.
func (f *fcm) access(ctx context.Context) (string, error) {
	select {
	case f.lock <- struct{}{}:
		defer func() { <-f.lock }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if time.Now().Before(f.until) {
		return f.token, f.err
	}
	token, life, err := f.exchange(ctx)
	if f.token, f.err = token, err; err != nil {
		f.until = time.Now().Add(failedWait)
		return "", err
	}
	f.until = time.Now().Add(max(life-renewBefore, life/2))
	return token, nil
}

func (f *fcm) exchange(ctx context.Context) (token string, life time.Duration, err error) {
	now := time.Now()
	claim := jwt.NewWithClaims(jwt.SigningMethodRS256,
		jwt.MapClaims{"iss": f.email, "scope": fcmScope, "aud": f.tokenURL, "iat": now.Unix(),
			"exp": now.Add(time.Hour).Unix()})
	claim.Header["kid"] = f.keyID
	signed, err := claim.SignedString(f.key)
	if err != nil {
		return "", 0, err
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {signed}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.tokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := f.client.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = res.Body.Close() }()
	var granted struct {
		Token string `json:"access_token"`
		Life  int64  `json:"expires_in"` // seconds
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err == nil && res.StatusCode == http.StatusOK {
		err = json.Unmarshal(text, &granted)
	}
	if err != nil || granted.Token == "" {
		return "", 0, fmt.Errorf("response status %s: %s %v", res.Status, short(string(text), 200), err)
	}
	return granted.Token, time.Duration(granted.Life) * time.Second, nil
}

func (f *fcm) close() { f.client.CloseIdleConnections() }

// message encodes a push for FCM. On Android it contains only data, so that the app is woken up and shows the
// notification itself; on iOS the apns part is shown.
func (f *fcm) message(t *token, n *notice) ([]byte, error) {
	push := n.push
	push.Title, push.Body = "", ""
	data := map[string]string{"title": short(n.title, 200), "body": short(n.body, 500)}
	b, err := payload(push, maxPayload-len(data["title"])-len(data["body"]))
	if err != nil {
		return nil, err
	}
	data["beckon"] = string(b)
	ttl := strconv.Itoa(n.ttl(time.Now()))
	android := map[string]any{"priority": "HIGH", "ttl": ttl + "s", "collapse_key": n.collapse}
	headers := map[string]string{"apns-expiration": strconv.FormatInt(n.until.Unix(), 10), "apns-collapse-id": n.collapse,
		"apns-priority": "10", "apns-push-type": "alert"}
	if n.quiet {
		headers["apns-priority"], headers["apns-push-type"] = "5", "background"
	}
	return json.Marshal(map[string]any{"message": map[string]any{
		"token": t.address(), "data": data, "android": android,
		"apns": map[string]any{"headers": headers, "payload": map[string]any{"aps": alertOf(n, 500)}},
	}})
}

func (f *fcm) send(ctx context.Context, t *token, n *notice) result {
	body, err := f.message(t, n)
	if err != nil {
		return result{err: err, never: true}
	}
	bearer, err := f.access(ctx)
	if err != nil {
		return result{err: fmt.Errorf("FCM access token: %w", err)}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(body))
	if err != nil {
		return result{err: err, never: true}
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Content-Type", "application/json")
	res, err := f.client.Do(req)
	if err != nil {
		return result{err: fmt.Errorf("FCM: %w", err)}
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil && res.StatusCode != http.StatusOK {
		return result{err: fmt.Errorf("FCM: %w", err)}
	}
	return fcmResult(res, text)
}

// fcmResult interprets a response. UNREGISTERED, SENDER_ID_MISMATCH, and INVALID_ARGUMENT for the token field, mean
// that the token is dead.
func fcmResult(res *http.Response, body []byte) result {
	if res.StatusCode == http.StatusOK {
		return result{}
	}
	var response struct {
		Error struct {
			Status, Message string
			Details         []struct {
				ErrorCode       string
				FieldViolations []struct{ Field string }
			}
		}
	}
	_ = json.Unmarshal(body, &response) // without a JSON body the status decides
	code, field := response.Error.Status, ""
	for _, d := range response.Error.Details {
		code = cmp.Or(d.ErrorCode, code)
		for _, v := range d.FieldViolations {
			field = cmp.Or(field, v.Field)
		}
	}
	v := result{err: fmt.Errorf("FCM: %d %s %s", res.StatusCode, code, short(response.Error.Message, 120))}
	switch {
	case code == "UNREGISTERED", code == "SENDER_ID_MISMATCH", code == "INVALID_ARGUMENT" && field == "message.token":
		v.dead = true
	case res.StatusCode == http.StatusBadRequest, res.StatusCode == http.StatusNotFound:
		v.never = true
	default:
		v.after = retryAfter(res)
	}
	return v
}

// retryAfter returns the delay requested by a provider, at most an hour.
func retryAfter(res *http.Response) time.Duration {
	s, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if err != nil || s < 0 {
		return 0
	}
	return min(time.Duration(s)*time.Second, time.Hour)
}
