//go:build nosfu

package sfu

import (
	"context"
	"errors"
)

// SFU is excluded from this build.
type SFU struct{}

// New returns an error: this build has no media server.
func New(Options) (*SFU, error) {
	return nil, errors.New(
		"built without the embedded media server (build tag nosfu); use --media external")
}

// URL returns "".
func (*SFU) URL() string { return "" }

// Ports returns 0.
func (*SFU) Ports() (udp, tcp int) { return 0, 0 }

// Packets returns 0.
func (*SFU) Packets(room, user string) uint64 { return 0 }

// Run returns immediately.
func (*SFU) Run(context.Context) error { return nil }
