package main

import (
	"crypto/rand"
	"errors"
	"net"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/cmd/beckon/sfu"
)

// media prepares the media server selected by --media, and sets its address and keys in cfg. It returns nil unless it
// runs in this process.
func (f *serverFlags) media(cfg *beckon.Config, listen net.Addr) (*sfu.SFU, error) {
	switch {
	case f.Media == "" && f.LiveKitKey != "" || f.Media == "external":
		if f.LiveKitKey == "" || f.LiveKitSecret == "" || f.LiveKitURL == "" && f.LiveKitAPI == "" {
			return nil, errors.New(
				"--media external requires --livekit-url or --livekit-api, --livekit-key and --livekit-secret")
		}
		return nil, nil
	case f.Media != "embedded":
		cfg.LiveKitKey = ""
		return nil, nil
	}
	host, port, err := net.SplitHostPort(listen.String())
	if err != nil {
		return nil, err
	}
	opt := sfu.Options{IP: f.MediaIP, UDPPort: f.MediaUDPPort, TCPPort: f.MediaTCPPort, Key: "beckon",
		Secret: rand.Text() + rand.Text()}
	ip := net.ParseIP(host)
	if opt.Port = f.MediaPort; f.LiveKitKey != "" && f.LiveKitSecret != "" { // shared with other nodes
		opt.Key, opt.Secret = f.LiveKitKey, f.LiveKitSecret
	}
	if opt.IP == "" && ip != nil && !ip.IsUnspecified() {
		opt.IP = host
	}
	if ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	opt.Hook = "http://" + net.JoinHostPort(host, port) + beckon.PathLiveKitHook
	s, err := sfu.New(opt)
	if err != nil {
		return nil, err
	}
	cfg.MediaUDPPort, cfg.MediaTCPPort = s.Ports()
	cfg.LiveKitURL, cfg.LiveKitAPI, cfg.LiveKitKey, cfg.LiveKitSecret = "", s.URL(), opt.Key, opt.Secret
	return s, nil
}
