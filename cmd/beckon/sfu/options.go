// Package sfu runs a LiveKit server in this process, for development and small installations.
//
// It does not know Beckon: the server reaches it over HTTP, like an external LiveKit. The build tag nosfu leaves it
// out.
package sfu

// Options configures the media server.
type Options struct {
	// IP is the address under which browsers send it sound and pictures. Default: found out; a loopback address serves
	// this machine alone.
	IP string
	// UDPPort and TCPPort carry sound and pictures. Default: free ones.
	UDPPort, TCPPort int
	// Port is where the rest of the program, and other nodes on this machine, reach it. Default: a free one.
	Port int
	// Key and Secret let the rest of the program in. The secret has at least 32 characters.
	Key, Secret string
	// Hook is the URL that hears what happens.
	Hook string
	// LogLevel is debug, info, warn or error. Default: error.
	LogLevel string
}
