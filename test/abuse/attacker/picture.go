//go:build linux

package main

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"

	"github.com/beckon-im/beckon/protocol"
)

// progressive returns a small JPEG with many pixels: its first scan has the mean of each block, the others refine it.
func progressive(w, h, scans int) []byte {
	segment := func(b []byte, marker byte, payload ...byte) []byte {
		b = binary.BigEndian.AppendUint16(append(b, 0xff, marker), uint16(len(payload)+2))
		return append(b, payload...)
	}
	table := make([]byte, 65)
	for i := range 64 {
		table[1+i] = 1
	}
	b := segment([]byte{0xff, 0xd8}, 0xdb, table...)
	b = segment(b, 0xc2, 8, byte(h>>8), byte(h), byte(w>>8), byte(w), 3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0)
	codes := make([]byte, 18)
	codes[1] = 1 // one code of one bit
	b = segment(b, 0xc4, codes...)
	blocks := ((w + 15) / 16) * ((h + 15) / 16) * 6
	for i := range scans {
		approximation := byte(0x0d)
		if i > 0 {
			approximation = byte(14-i)<<4 | byte(13-i)
		}
		b = segment(b, 0xda, 3, 1, 0, 2, 0, 3, 0, 0, 0, approximation)
		b = append(b, make([]byte, blocks/8+1)...)
	}
	return append(b, 0xff, 0xd9)
}

// pushKeys returns the keys of a browser's subscription.
func pushKeys() (protocol.WebPushKeys, error) {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return protocol.WebPushKeys{}, err
	}
	public := base64.RawURLEncoding.EncodeToString(key.PublicKey().Bytes())
	return protocol.WebPushKeys{P256dh: public, Auth: base64.RawURLEncoding.EncodeToString(make([]byte, 16))}, nil
}
