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
	"github.com/beckon-im/beckon/internal/api"
	"github.com/beckon-im/beckon/internal/store"
)

// Keys are the secrets that a server makes for itself.
type Keys struct {
	JWTSecret string `json:"jwtSecret"`
	APIKey    string `json:"apiKey"`
}

// KeysFile is the name of the generated secrets in the data directory.
const KeysFile = "keys.json"

// fillKeys completes the configuration with generated keys: those of the data directory or, when nodes share a
// database, those of the first of them, which are then written to each data directory.
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
				"the keys of this data directory gave way to those that the nodes share in the database; the old ones are kept",
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
		return own, errors.New("the keys in the database are damaged; set a JWT secret and API keys")
	}
	if k == own {
		return k, nil
	}
	return k, k.save(filepath.Join(dir, KeysFile), os.Rename)
}

// readKeys reads the generated secrets of a data directory.
func readKeys(dir string) (Keys, error) {
	var k Keys
	file := filepath.Join(dir, KeysFile)
	b, err := os.ReadFile(file)
	if err != nil {
		return k, err
	}
	if err := json.Unmarshal(b, &k); err != nil || len(k.JWTSecret) < 32 || len(k.APIKey) < 16 {
		return k, fmt.Errorf("%s is damaged; restore it, or remove it to make new keys and invalidate all tokens", file)
	}
	return k, nil
}

// LoadKeys reads the generated secrets of a data directory, and makes them the first time.
func LoadKeys(dir string) (Keys, error) {
	k, err := readKeys(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	file := filepath.Join(dir, KeysFile)
	k = Keys{JWTSecret: secret(32), APIKey: "bk_" + secret(24)}
	if err := k.save(file, os.Link); errors.Is(err, fs.ErrExist) { // a server and a command began at the same moment
		return LoadKeys(dir)
	} else if err != nil {
		return k, err
	}
	return k, nil
}

// save writes the keys whole: place moves the finished file to where it belongs.
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
	defer func() { _ = os.Remove(f.Name()) }() // it is gone where it was moved
	_, err = f.Write(append(b, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return place(f.Name(), file)
}

func secret(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

// MintToken makes a token for a device of a user without a running server: with the given secret, or the one that a
// server keeps in its data directory, which must be there. ttl 0 never expires.
func MintToken(dataDir, secret, userID, deviceID string, ttl time.Duration) (string, error) {
	if err := im.CheckUserID("user", userID); err != nil {
		return "", err
	}
	if secret == "" {
		k, err := readKeys(dataDir)
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("no server keeps its keys in %s; give the data directory of one, or its JWT secret", dataDir)
		}
		if err != nil {
			return "", err
		}
		secret = k.JWTSecret
	}
	a, err := api.NewAuthenticator(context.Background(), api.AuthOptions{JWTSecret: secret})
	if err != nil {
		return "", err
	}
	return a.Mint(userID, deviceID, ttl)
}
