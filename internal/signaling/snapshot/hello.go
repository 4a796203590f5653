package snapshot

import (
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// maxPositions limits the positions in a connect request.
const maxPositions = 20_000

// maxHeld limits the held invitations in a connect request.
const maxHeld = 200

// CheckHello validates a connect request.
func CheckHello(h *protocol.Hello) error {
	for _, id := range h.Held {
		if err := im.CheckInviteID(id); err != nil {
			return im.Bad("held", "must contain only invitation IDs")
		}
	}
	switch {
	case len(h.Held) > maxHeld:
		return im.Bad("held", "must have at most 200 invitations")
	case len(h.Positions) > maxPositions:
		return im.Bad("positions", "must have at most 20000 topics")
	case len(h.Platform) > im.MaxDeviceID:
		return im.Bad("platform", "must be at most 64 bytes")
	case h.DeviceID != "":
		return im.CheckDeviceID(h.DeviceID)
	}
	return nil
}
