package beckon

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/auth"
	"github.com/beckon-im/beckon/internal/store"
)

// Keys are the generated secrets of a server.
type Keys struct {
	JWTSecret string `json:"jwtSecret"`
	APIKey    string `json:"apiKey"`
}

// linkKeys returns the keys of links to files.
func (c *Config) linkKeys() (list [][]byte) {
	for _, secret := range append([]string{c.JWTSecret}, c.SecondaryJWTSecrets...) {
		list = append(list, []byte("links\n"+secret))
	}
	return list
}

// KeysFile is the file of the generated secrets in the data directory.
const KeysFile = "keys.json"

// auth returns the settings of tokens and API keys.
func (c *Config) auth() auth.Options {
	return auth.Options{
		JWTSecret: c.JWTSecret, JWKSURL: c.JWKSURL, Issuer: c.JWTIssuer, Audience: c.JWTAudience,
		UserSigAppID: c.UserSigAppID, UserSigKey: c.UserSigKey, APIKeys: c.APIKeys,
		SecondaryJWTSecrets: c.SecondaryJWTSecrets, SecondaryUserSigKeys: c.SecondaryUserSigKeys,
		External: c.authenticate(),
	}
}

// Reload applies the settings of secrets to a running server: JWT secrets, issuer and audience, UserSig, API keys, the
// secrets of webhooks and of links to files. Sessions stay, with the tokens that they came with. All other settings
// need a new Server.
func (s *Server) Reload(ctx context.Context, cfg Config) error {
	cfg.DataDir = s.cfg.DataDir // of the generated keys
	if err := cfg.fill(); err != nil {
		return err
	}
	if err := cfg.fillKeys(ctx, s.store); err != nil {
		return err
	}
	apply, err := s.hooks.NewSecrets(cfg.WebhookSecret, cfg.SecondaryWebhookSecrets)
	if err != nil {
		return err
	}
	if err := s.api.Authenticator().Set(cfg.auth()); err != nil {
		return err
	}
	s.files.SetKeys(cfg.linkKeys())
	apply()
	return nil
}

// fillKeys completes the configuration with generated keys: those of the data directory, or the cluster's shared keys
// in PostgreSQL, which the first node stores and each node copies to its data directory.
func (c *Config) fillKeys(ctx context.Context, s *store.Store) error {
	if c.JWTSecret != "" && len(c.APIKeys) > 0 {
		return nil
	}
	_, missing := os.Stat(filepath.Join(c.DataDir, KeysFile))
	k, err := LoadKeys(c.DataDir)
	if err != nil {
		return err
	}
	if s.Shared() {
		own := k
		if k, err = shareKeys(ctx, s, c.DataDir, k); err != nil {
			return err
		}
		if missing == nil && k != own {
			old := filepath.Join(c.DataDir, fmt.Sprintf("%s.%d", KeysFile, time.Now().Unix()))
			c.Log.Warn(
				"using the cluster's shared keys; old local keys were renamed",
				"file", old)
			if err := own.save(old, os.Rename); err != nil {
				return err
			}
		}
	}
	if c.JWTSecret == "" {
		c.JWTSecret = k.JWTSecret
	}
	if len(c.APIKeys) == 0 {
		c.APIKeys = []string{k.APIKey}
	}
	return nil
}

func shareKeys(ctx context.Context, s *store.Store, dir string, own Keys) (Keys, error) {
	b, err := json.Marshal(own)
	if err != nil {
		return own, err
	}
	text, err := s.Remember(ctx, "keys", string(b))
	if err != nil {
		return own, err
	}
	var k Keys
	if err := json.Unmarshal([]byte(text), &k); err != nil || len(k.JWTSecret) < 32 || len(k.APIKey) < 16 {
		return own, errors.New("the shared keys in the database are invalid; set a JWT secret and API keys")
	}
	if k == own {
		return k, nil
	}
	return k, k.save(filepath.Join(dir, KeysFile), os.Rename)
}

// readKeys reads the generated secrets of a data directory. The error wraps fs.ErrNotExist if there are none.
func readKeys(dir string) (Keys, error) {
	var k Keys
	file := filepath.Join(dir, KeysFile)
	b, err := os.ReadFile(file)
	if err != nil {
		return k, err
	}
	if err := json.Unmarshal(b, &k); err != nil || len(k.JWTSecret) < 32 || len(k.APIKey) < 16 {
		return k, fmt.Errorf("%s is invalid; restore it, or remove it to generate new keys and invalidate all tokens", file)
	}
	return k, nil
}

// LoadKeys reads the generated secrets of a data directory, or generates them.
func LoadKeys(dir string) (Keys, error) {
	k, err := readKeys(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	file := filepath.Join(dir, KeysFile)
	k = Keys{JWTSecret: secret(32), APIKey: "bk_" + secret(24)}
	if err := k.save(file, os.Link); errors.Is(err, fs.ErrExist) { // another process created it concurrently
		return LoadKeys(dir)
	} else if err != nil {
		return k, err
	}
	return k, nil
}

// save writes the keys atomically: it writes a temporary file, and place moves that to file.
func (k Keys) save(file string, place func(from, to string) error) error {
	b, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".keys-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails after os.Rename, where it no longer exists
	_, err = f.Write(append(b, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return place(f.Name(), file)
}

func secret(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// MintToken mints a token for a device of a user without a running server, with the given secret or the one in the data
// directory, which must exist. A ttl of 0 never expires.
func MintToken(dataDir, secret, userID, deviceID string, ttl time.Duration) (string, error) {
	if err := im.CheckUserID("user", userID); err != nil {
		return "", err
	}
	if secret == "" {
		k, err := readKeys(dataDir)
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("no %s in %s; pass a server's data directory or its JWT secret", KeysFile, dataDir)
		}
		if err != nil {
			return "", err
		}
		secret = k.JWTSecret
	}
	a, err := auth.New(context.Background(), auth.Options{JWTSecret: secret})
	if err != nil {
		return "", err
	}
	return a.Mint(userID, deviceID, ttl)
}
