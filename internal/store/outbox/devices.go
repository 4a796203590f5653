package outbox

import (
	"slices"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// Connected are the connected devices of a user.
type Connected struct {
	Count int
	IDs   []string // those that are known: devices on other nodes may not be
}

// Has reports whether a device is connected. A token without a device is served by any device of its user.
func (c Connected) Has(device string) bool {
	if device == "" {
		return c.Count > 0
	}
	return slices.Contains(c.IDs, device)
}

// ConnectedOf returns the connected devices of a user, all of which are known.
func ConnectedOf(list []protocol.Device) Connected {
	c := Connected{Count: len(list)}
	for _, d := range list {
		c.IDs = append(c.IDs, d.DeviceID)
	}
	return c
}

// Devices caches the devices with push tokens, by user, so that transactions need not read the tokens. An entry is
// valid until the next registration. The zero value knows nothing.
type Devices struct {
	cache *lru.Cache[string, registered]
}

type registered struct {
	since   int64 // time of the last registration
	devices []string
}

// maxCached limits the cached users.
const maxCached = 1 << 17

// NewDevices returns an empty cache.
func NewDevices() Devices {
	cache, _ := lru.New[string, registered](maxCached) // fails only for a size below one
	return Devices{cache}
}

// Learn stores the devices with tokens of a user. since is the time of the last registration, read before the tokens.
func (d Devices) Learn(user string, since int64, tokens []Token) {
	if d.cache == nil {
		return
	}
	r := registered{since: since}
	for _, t := range tokens {
		if !slices.Contains(r.devices, t.DeviceID) {
			r.devices = append(r.devices, t.DeviceID)
		}
	}
	d.cache.Add(user, r)
}

// Unconnected reports whether a user may have a device with a token that is not connected: false is certain.
func (d Devices) Unconnected(u *txn.User, c Connected) bool {
	if u == nil || u.Pushes == 0 {
		return false
	}
	if d.cache == nil {
		return true
	}
	r, ok := d.cache.Get(u.UserID)
	return !ok || r.since != u.Pushes ||
		slices.ContainsFunc(r.devices, func(device string) bool { return !c.Has(device) })
}
