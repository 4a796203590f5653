package beckon_test

import (
	"sync"
	"testing"

	"github.com/beckon-im/beckon"
)

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
