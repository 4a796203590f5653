package beckon_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/beckon-im/beckon"
)

// TestNoTokenWithoutAServer: minting must not generate keys: the token would be useless, and the keys would later
// become a server's.
func TestNoTokenWithoutAServer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if token, err := beckon.MintToken(dir, "", "ann", "", 0); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("%q, %v", token, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
	if _, err := beckon.MintToken(dir, strings.Repeat("s", 32), "ann", "", 0); err != nil {
		t.Errorf("with a secret: %v", err)
	}
}

// TestKeysAreMadeOnce: a server and commands that begin at the same moment agree on the keys.
func TestKeysAreMadeOnce(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	made := make([]beckon.Keys, 16)
	for i := range made {
		all.Go(func() {
			var err error
			if made[i], err = beckon.LoadKeys(dir); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, k := range made {
		if k != made[0] {
			t.Fatal("there are two secrets")
		}
	}
}
