package push

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/beckon-im/beckon/protocol"
)

// The fake providers implement the documented protocols, and reject requests that the real ones would reject.

// delivered is a push that a provider accepted.
type delivered struct {
	to     string // token or path of the endpoint
	header http.Header
	body   map[string]any // for APNs and FCM
	push   protocol.PushNotice
}

// reply is an error response of a provider.
type reply struct {
	status int
	body   string
	after  string
	times  int // 0 = always
}

// stand is a fake provider.
type stand struct {
	t    testing.TB
	web  *httptest.Server
	got  chan delivered
	mu   sync.Mutex
	says map[string]*reply // by token
	seen map[string]int    // attempts by token
}

func newStand(t testing.TB, handler func(*stand) http.HandlerFunc) *stand {
	s := &stand{t: t, got: make(chan delivered, 100), says: map[string]*reply{}, seen: map[string]int{}}
	s.web = httptest.NewUnstartedServer(complete(handler(s)))
	s.web.EnableHTTP2 = true
	s.web.Config.ErrorLog = log.New(io.Discard, "", 0) // clients without its certificate disconnect
	s.web.StartTLS()
	t.Cleanup(s.web.Close)
	return s
}

// complete passes on only requests with a complete body: a server that stops aborts those that it is sending.
func complete(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client has gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next(w, r)
	})
}

// answers sets the response for a token.
func (s *stand) answers(token string, r reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says[token] = &r
}

func (s *stand) tries(token string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[token]
}

// refused sends the configured response, if any, and reports whether it did.
func (s *stand) refused(w http.ResponseWriter, token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[token]++
	r := s.says[token]
	if r == nil {
		return false
	}
	if r.times--; r.times == 0 {
		delete(s.says, token)
	}
	if r.after != "" {
		w.Header().Set("Retry-After", r.after)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.status)
	_, _ = io.WriteString(w, r.body)
	return true
}

// next waits for the next accepted push.
func (s *stand) next() delivered {
	s.t.Helper()
	select {
	case d := <-s.got:
		return d
	case <-time.After(20 * time.Second):
		s.t.Fatal("no push arrived")
		return delivered{}
	}
}

// none checks that there was no other push; call it after a later push has arrived.
func (s *stand) none() {
	s.t.Helper()
	select {
	case d := <-s.got:
		s.t.Errorf("unexpected push to %s: %+v", d.to, d.push)
	default:
	}
}

func problem(t testing.TB, w http.ResponseWriter, status int, reason string) {
	t.Helper()
	t.Errorf("the provider rejects the request: %s", reason)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"reason":"`+reason+`"}`)
}

// APNs.
const (
	keyID  = "ABC123DEFG"
	teamID = "DEF123GHIJ"
	bundle = "im.beckon.app"
)

type apple struct {
	*stand
	p8 []byte
}

func newApple(t testing.TB) *apple {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a := &apple{p8: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}
	a.stand = newStand(t, func(s *stand) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { takeAPNs(s, &key.PublicKey, w, r) }
	})
	return a
}

func takeAPNs(s *stand, key *ecdsa.PublicKey, w http.ResponseWriter, r *http.Request) {
	t := s.t
	token, ok := strings.CutPrefix(r.URL.Path, "/3/device/")
	bearer, signed := strings.CutPrefix(r.Header.Get("Authorization"), "bearer ")
	parsed, err := jwt.Parse(bearer, func(j *jwt.Token) (any, error) { return key, nil },
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(teamID))
	body, _ := io.ReadAll(r.Body)
	kind, topic := r.Header.Get("apns-push-type"), r.Header.Get("apns-topic")
	limit := 4096
	if kind == "voip" {
		limit = 5120
	}
	var content map[string]any
	switch {
	case r.ProtoMajor != 2:
		problem(t, w, 505, "it takes HTTP/2 alone")
	case !ok || r.Method != http.MethodPost:
		problem(t, w, 404, "BadPath")
	case !signed || err != nil || parsed.Header["kid"] != keyID:
		problem(t, w, 403, "InvalidProviderToken")
	case kind == "voip" && topic != bundle+".voip", kind != "voip" && topic != bundle:
		problem(t, w, 400, "TopicDisallowed")
	case kind == "background" && r.Header.Get("apns-priority") != "5":
		problem(t, w, 400, "BadPriority")
	case len(r.Header.Get("apns-collapse-id")) > 64:
		problem(t, w, 400, "BadCollapseId")
	case len(body) > limit:
		problem(t, w, 413, "PayloadTooLarge")
	case json.Unmarshal(body, &content) != nil || kind != "voip" && content["aps"] == nil:
		problem(t, w, 400, "PayloadEmpty")
	case s.refused(w, token):
	default:
		var inside struct{ Beckon protocol.PushNotice }
		if err := json.Unmarshal(body, &inside); err != nil {
			t.Error(err)
		}
		s.got <- delivered{to: token, header: r.Header, body: content, push: inside.Beckon}
	}
}

// FCM.
type google struct {
	*stand
	account []byte
}

func newGoogle(t testing.TB) *google {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	g := &google{}
	g.stand = newStand(t, func(s *stand) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				grant(s, &key.PublicKey, w, r)
				return
			}
			takeFCM(s, w, r)
		}
	})
	g.account, err = json.Marshal(map[string]string{
		"type": "service_account", "project_id": "house-1", "private_key_id": "k1",
		"client_email": "push@house-1.iam.gserviceaccount.com",
		"private_key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": g.web.URL +
			"/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

const access = "ya29.access"

func grant(s *stand, key *rsa.PublicKey, w http.ResponseWriter, r *http.Request) {
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(r.FormValue("assertion"), claims, func(*jwt.Token) (any, error) { return key, nil },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience(s.web.URL+"/token"),
		jwt.WithIssuer("push@house-1.iam.gserviceaccount.com"))
	if err != nil || r.FormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" ||
		claims["scope"] != fcmScope {
		problem(s.t, w, 400, "invalid_grant")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"access_token":"`+access+`","token_type":"Bearer","expires_in":3599}`)
}

func takeFCM(s *stand, w http.ResponseWriter, r *http.Request) {
	var content struct {
		Message struct {
			Token   string
			Data    map[string]string // only strings
			Android struct {
				Priority    string
				TTL         string
				CollapseKey string `json:"collapse_key"`
			}
			APNs map[string]any
		}
	}
	body, _ := io.ReadAll(r.Body)
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	err := d.Decode(&content)
	m := &content.Message
	_, badTTL := strconv.Atoi(strings.TrimSuffix(m.Android.TTL, "s"))
	size := 0
	for k, v := range m.Data {
		size += len(k) + len(v)
	}
	switch {
	case r.URL.Path != "/v1/projects/house-1/messages:send" || r.Method != http.MethodPost:
		problem(s.t, w, 404, "no such method")
	case r.Header.Get("Authorization") != "Bearer "+access:
		problem(s.t, w, 401, "UNAUTHENTICATED")
	case err != nil || m.Token == "" || m.Android.Priority != "HIGH" || !strings.HasSuffix(m.Android.TTL, "s") ||
		badTTL != nil || size > 4096:
		problem(s.t, w, 400, "INVALID_ARGUMENT")
	case s.refused(w, m.Token):
	default:
		var push protocol.PushNotice
		if err := json.Unmarshal([]byte(m.Data["beckon"]), &push); err != nil {
			s.t.Error(err)
		}
		var all map[string]any
		_ = json.Unmarshal(body, &all) // parsed before
		_, _ = io.WriteString(w, `{"name":"projects/house-1/messages/0:1"}`)
		s.got <- delivered{to: m.Token, header: r.Header, body: all["message"].(map[string]any), push: push}
	}
}

func fcmError(status int, code string, field string) reply {
	violation := ""
	if field != "" {
		violation = `,{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"` + field + `"}]}`
	}
	return reply{status: status, body: `{"error":{"code":` + strconv.Itoa(status) +
		`,"message":"said so","status":"X","details":[` +
		`{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"` +
		code + `"}` + violation + `]}}`}
}

// browsers is a fake Web Push service. It decrypts pushes as a browser would (RFC 8291).
type browsers struct {
	*stand
	mu   sync.Mutex
	keys map[string]*ecdh.PrivateKey // by path
	auth map[string][]byte
	vapi string // public VAPID key of the server, base64url
}

func newBrowsers(t testing.TB) *browsers {
	b := &browsers{keys: map[string]*ecdh.PrivateKey{}, auth: map[string][]byte{}}
	b.stand = newStand(t, func(*stand) http.HandlerFunc { return b.take })
	return b
}

// subscribe returns a subscription like pushManager.subscribe of a browser.
func (b *browsers) subscribe(name string) *protocol.WebPushSubscription {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		b.t.Fatal(err)
	}
	auth := make([]byte, 16)
	_, _ = rand.Read(auth) // never fails
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys["/"+name], b.auth["/"+name] = key, auth
	enc := base64.RawURLEncoding.EncodeToString
	return &protocol.WebPushSubscription{Endpoint: b.web.URL + "/" + name,
		Keys: protocol.WebPushKeys{P256dh: enc(key.PublicKey().Bytes()), Auth: enc(auth)}}
}

func (b *browsers) take(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	key, auth := b.keys[r.URL.Path], b.auth[r.URL.Path]
	b.mu.Unlock()
	ttl, err := strconv.Atoi(r.Header.Get("TTL"))
	topic := r.Header.Get("Topic")
	switch {
	case r.Method != http.MethodPost || key == nil:
		problem(b.t, w, 404, "no such subscription")
	case err != nil || ttl < 0 || r.Header.Get("Content-Encoding") != "aes128gcm" || len(topic) > 32 || len(body) > 4096:
		problem(b.t, w, 400, "not as RFC 8030 has it")
	case b.checkVAPID(r) != nil:
		problem(b.t, w, 403, b.checkVAPID(r).Error())
	case b.refused(w, strings.TrimPrefix(r.URL.Path, "/")):
	default:
		text, err := decrypt(body, key, auth)
		var push protocol.PushNotice
		if err == nil {
			err = json.Unmarshal(text, &push)
		}
		if err != nil {
			b.t.Error(err)
		}
		w.WriteHeader(http.StatusCreated)
		b.got <- delivered{to: strings.TrimPrefix(r.URL.Path, "/"), header: r.Header, push: push}
	}
}

// checkVAPID verifies the sender (RFC 8292).
func (b *browsers) checkVAPID(r *http.Request) error {
	var token, key string
	for _, part := range strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "vapid "), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			token = value
		case "k":
			key = value
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil || len(raw) != 65 || key != b.vapi {
		return errors.New("the key is not the one that the subscription was made for")
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw)
	if err != nil {
		return err
	}
	claims := jwt.MapClaims{}
	if _, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return public, nil },
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithAudience(b.web.URL), jwt.WithExpirationRequired()); err != nil {
		return err
	}
	exp, err := claims.GetExpirationTime()
	if sub, _ := claims.GetSubject(); err != nil || time.Until(exp.Time) > 24*time.Hour ||
		sub != "mailto:ops@example.com" {
		return errors.New("the claims are not as RFC 8292 has them: " + sub)
	}
	return nil
}

// decrypt decrypts one record of aes128gcm (RFC 8188) with the keys of a subscription (RFC 8291).
func decrypt(body []byte, key *ecdh.PrivateKey, auth []byte) ([]byte, error) {
	if len(body) < 21 || len(body) < 21+int(body[20]) {
		return nil, errors.New("the header is cut off")
	}
	salt, senderKey, sealed := body[:16], body[21:21+int(body[20])], body[21+int(body[20]):]
	sender, err := ecdh.P256().NewPublicKey(senderKey)
	if err != nil {
		return nil, err
	}
	shared, err := key.ECDH(sender)
	if err != nil {
		return nil, err
	}
	info := "WebPush: info\x00" + string(key.PublicKey().Bytes()) + string(senderKey)
	ikm, err := hkdf.Key(sha256.New, shared, auth, info, 32)
	if err != nil {
		return nil, err
	}
	cek, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, err
	}
	nonce, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	text, err := gcm.Open(nil, nonce, sealed, nil)
	if err != nil {
		return nil, err
	}
	i := len(text) - 1
	for i >= 0 && text[i] == 0 {
		i--
	}
	if i < 0 || text[i] != 2 { // the delimiter of the last record
		return nil, errors.New("the padding is wrong")
	}
	return text[:i], nil
}

// trust returns a TLS configuration that trusts the fake providers.
func trust(stands ...*stand) *tls.Config {
	pool := x509.NewCertPool()
	for _, s := range stands {
		if s == nil {
			continue
		}
		pool.AddCert(s.web.Certificate())
	}
	return &tls.Config{RootCAs: pool}
}
