package client

import (
	"encoding/json"

	"github.com/beckon-im/beckon/client/internal/failure"
	"github.com/beckon-im/beckon/client/internal/filestore"
	"github.com/beckon-im/beckon/client/internal/ledger"
	"github.com/beckon-im/beckon/protocol"
)

// Store persists a small text between runs of a program.
type Store interface {
	// Load returns the text of the last Save; nil if there is none.
	Load() ([]byte, error)
	// Save replaces the text. It is called from the callback goroutine.
	Save(text []byte) error
}

// FileStore returns a store in a file with mode 0600. A missing directory is created.
func FileStore(path string) Store { return filestore.File(path) }

// kept is the stored state of a device.
type kept struct {
	Epoch     string            `json:"epoch"`
	Positions map[string]uint64 `json:"positions"`
	Held      []ledger.Held     `json:"held,omitempty"`
}

// restore resumes at the stored state of an earlier run. An invalid text is ignored.
func (c *Client) restore(hello *protocol.Hello) error {
	if c.opt.Store == nil {
		return nil
	}
	text, err := c.opt.Store.Load()
	if err != nil {
		return failure.New("load the store", err)
	}
	var k kept
	if json.Unmarshal(text, &k) != nil {
		return nil
	}
	if len(hello.Positions) == 0 {
		hello.Epoch, hello.Positions = k.Epoch, k.Positions
	}
	for _, h := range k.Held {
		hello.Held = append(hello.Held, h.InviteID)
	}
	c.ledger.Restore(k.Held)
	return nil
}

// saveSoon saves after the callbacks in progress.
func (c *Client) saveSoon() {
	if c.opt.Store != nil {
		c.events.Put(func() {})
	}
}

// save stores the position of the callbacks if it has changed.
func (c *Client) save() {
	if c.opt.Store == nil {
		return
	}
	c.mu.Lock()
	greeted := c.greeted
	text, err := json.Marshal(kept{c.epoch, c.seen, c.ledger.Held()})
	c.mu.Unlock()
	if !greeted || string(text) == c.saved {
		return // before the first connect reply the stored state is more complete
	}
	if err == nil {
		err = c.opt.Store.Save(text)
	}
	if err != nil {
		c.opt.Log.Warn("store failed", "error", err)
		call1(c.opt.Listener.OnStoreError, err)
		return
	}
	c.saved = string(text)
}
