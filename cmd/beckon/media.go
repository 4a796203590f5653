package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/cmd/beckon/listener"
	"github.com/beckon-im/beckon/cmd/beckon/sfu"
)

// mediaServer is one in this process.
type mediaServer struct {
	*sfu.SFU
	hooks net.Listener       // for its webhooks, without TLS; nil = that of the server
	turn  *listener.Accepted // nil = no TURN
}

// close closes an idle server.
func (m *mediaServer) close() (err error) {
	if m != nil && m.hooks != nil {
		err = m.hooks.Close()
	}
	if m != nil && m.turn != nil {
		err = errors.Join(err, m.turn.Close())
	}
	return err
}

// connections returns turn.
func (m *mediaServer) connections() *listener.Accepted {
	if m == nil {
		return nil
	}
	return m.turn
}

// media prepares the media server selected by --media, and sets its address and keys in cfg. It returns nil unless it
// runs in this process.
func (f *serverFlags) media(ctx context.Context, cfg *beckon.Config, listen net.Addr) (*mediaServer, error) {
	turn, port, err := f.turn().Open(ctx, listen)
	if err != nil {
		return nil, err
	}
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
	m := &mediaServer{turn: turn}
	opt, err := f.embedded(ctx, m, listen)
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	if turn != nil {
		opt.TURN, opt.TURNDomain, opt.TURNPort = turn, f.TURNDomain, port
	}
	if m.SFU, err = sfu.New(opt); err != nil {
		return nil, errors.Join(err, m.close())
	}
	cfg.MediaUDPPort, cfg.MediaTCPPort = m.Ports()
	cfg.MediaPackets = m.Packets
	cfg.LiveKitURL, cfg.LiveKitAPI, cfg.LiveKitKey, cfg.LiveKitSecret = "", m.URL(), opt.Key, opt.Secret
	return m, nil
}

// turn returns the settings of TURN.
func (f *serverFlags) turn() listener.TURN {
	return listener.TURN{Domain: f.TURNDomain, Listen: f.TURNListen, Port: f.TURNPort,
		Embedded: f.Media == "embedded", Cert: f.TLSCert, Key: f.TLSKey}
}

// embedded returns the options of the media server in this process, and opens m.hooks if needed.
func (f *serverFlags) embedded(ctx context.Context, m *mediaServer, listen net.Addr) (opt sfu.Options, err error) {
	host, port, err := net.SplitHostPort(listen.String())
	if err != nil {
		return opt, err
	}
	opt = sfu.Options{IP: f.MediaIP, UDPPort: f.MediaUDPPort, TCPPort: f.MediaTCPPort, Key: "beckon",
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
	if f.TLSCert != "" { // it does not trust the certificate
		if m.hooks, err = (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return opt, err
		}
		host, port, _ = net.SplitHostPort(m.hooks.Addr().String())
	}
	opt.Hook = "http://" + net.JoinHostPort(host, port) + beckon.PathLiveKitHook
	return opt, nil
}
