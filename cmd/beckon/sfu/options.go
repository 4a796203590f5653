// Package sfu runs a LiveKit server in this process, for development and small installations.
//
// It does not know Beckon: the server uses it over HTTP, like an external LiveKit. The build tag nosfu excludes it.
package sfu

import "net"

// Options configures the media server.
type Options struct {
	// IP is the address to which browsers send audio and video. Default: detected; a loopback address serves this machine
	// only.
	IP string
	// UDPPort and TCPPort carry audio and video. Default: free ports.
	UDPPort, TCPPort int
	// Port is the API port for this program and other nodes on this machine. Default: a free port.
	Port int
	// Key and Secret are its API key. The secret has at least 32 characters.
	Key, Secret string
	// TURN receives connections from networks that pass only TLS, without their TLS. Clients reach it by TLS at
	// TURNDomain and TURNPort. Default: none.
	TURN       net.Listener
	TURNDomain string
	TURNPort   int
	// Hook is the URL for webhooks.
	Hook string
	// LogLevel is debug, info, warn or error. Default: error.
	LogLevel string
}
