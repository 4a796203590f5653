// Package mediacheck joins a media room as a client does, by one transport at a time, and reports whether audio and
// video would pass.
//
// It speaks the signaling of LiveKit, and sends no audio and no video.
package mediacheck

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/pion/webrtc/v4"
)

// Transport is a way of audio and video to the media server.
type Transport string

// The transports, in the order in which clients prefer them.
const (
	UDP  Transport = "UDP"
	TCP  Transport = "TCP"
	TURN Transport = "TURN over TLS"
)

// ErrNotOffered is the error of a transport that the media server does not have.
var ErrNotOffered = errors.New("not offered by this server")

// limit is the time of one attempt. Clients give up after 8 s. addressTime is the time in which the media server names
// its addresses.
const (
	limit       = 8 * time.Second
	addressTime = 2 * time.Second
)

// Options are the room to join.
type Options struct {
	// URL is the address of the signaling, without /rtc.
	URL string
	// Token admits to the room.
	Token string
	// TLS configures connections to the server and to TURN. Default: the system's root certificates.
	TLS *tls.Config
}

// Result is the result of an attempt.
type Result struct {
	// Addresses are those of the media server for this transport.
	Addresses []string
	// Time is the duration until media was connected.
	Time time.Duration
	// Err is the reason why it was not: ErrNotOffered, or a failure.
	Err error
}

// Join joins the room by one transport and leaves it.
func Join(ctx context.Context, o Options, by Transport) Result {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	s, err := dial(ctx, o)
	if err != nil {
		return Result{Err: err}
	}
	defer s.close()
	join, err := s.join()
	if err != nil {
		return Result{Err: fmt.Errorf("the signaling of LiveKit failed: %w", err)}
	}
	a := &attempt{by: by, signaling: s, failed: make(chan error, 1)}
	begin := time.Now()
	if by == TURN {
		servers := turnServers(join.IceServers)
		if len(servers) == 0 {
			return Result{Err: ErrNotOffered}
		}
		a.addresses = servers[0].URLs
		if a.relay, err = openRelay(ctx, o.TLS, servers[0]); err != nil {
			return Result{Addresses: a.addresses, Err: err}
		}
		defer a.relay.close()
	}
	err = a.connect(ctx)
	return Result{Addresses: a.addresses, Time: time.Since(begin), Err: err}
}

// turnServers returns the servers of TURN over TLS.
func turnServers(list []*livekit.ICEServer) (servers []webrtc.ICEServer) {
	for _, s := range list {
		urls := slices.DeleteFunc(slices.Clone(s.Urls), func(u string) bool { return !strings.HasPrefix(u, "turns:") })
		if len(urls) > 0 {
			servers = append(servers, webrtc.ICEServer{URLs: urls, Username: s.Username, Credential: s.Credential})
		}
	}
	return servers
}

// attempt is one connection to the media server. Its fields belong to the goroutine of connect.
type attempt struct {
	by        Transport
	signaling *signaling
	addresses []string // of the media server
	relay     *relay   // nil without TURN
	failed    chan error
}

// networks returns the networks of a transport.
func (t Transport) networks() []webrtc.NetworkType {
	if t == TCP {
		return []webrtc.NetworkType{webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6}
	}
	return []webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6} // relays are of UDP too
}

// errBlocked is the failure of an attempt without any answer from the network.
var errBlocked = fmt.Errorf("no packets arrive within %v", limit)

// connect connects to the media server.
func (a *attempt) connect(ctx context.Context) error {
	var engine webrtc.SettingEngine
	engine.SetNetworkTypes(a.by.networks())
	engine.SetIncludeLoopbackCandidate(true)
	engine.LoggerFactory = silent()
	if a.relay != nil {
		mux := webrtc.NewICEUDPMux(nil, a.relay)
		defer func() { _ = mux.Close() }()
		engine.SetICEUDPMux(mux)
	}
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(engine)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	defer func() { _ = pc.GracefulClose() }()
	connected := make(chan struct{}, 1)
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			connected <- struct{}{}
		}
	})
	if err := a.offer(pc); err != nil {
		return err
	}
	addressed := time.NewTimer(addressTime)
	defer addressed.Stop()
	messages := make(chan *livekit.SignalResponse)
	a.signaling.reads.Go(func() { a.signaling.read(messages, a.failed) })
	for {
		select {
		case <-connected:
			return nil
		case m := <-messages:
			if err := a.handle(pc, m); err != nil {
				return err
			}
		case err := <-a.failed:
			return fmt.Errorf("the signaling of LiveKit failed: %w", err)
		case <-addressed.C:
			if len(a.addresses) == 0 {
				return ErrNotOffered
			}
		case <-ctx.Done():
			return errBlocked
		}
	}
}

// offer sends an offer of a data channel.
func (a *attempt) offer(pc *webrtc.PeerConnection) error {
	if _, err := pc.CreateDataChannel("_reliable", nil); err != nil {
		return err
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	if err := pc.SetLocalDescription(offer); err != nil {
		return err
	}
	return a.signaling.send(&livekit.SignalRequest{Message: &livekit.SignalRequest_Offer{
		Offer: &livekit.SessionDescription{Type: offer.Type.String(), Sdp: offer.SDP, Id: 1}}})
}

// handle processes a message of the media server.
func (a *attempt) handle(pc *webrtc.PeerConnection, m *livekit.SignalResponse) error {
	switch m := m.Message.(type) {
	case *livekit.SignalResponse_Answer:
		for line := range strings.SplitSeq(m.Answer.Sdp, "\r\n") {
			if c, ok := strings.CutPrefix(line, "a="); ok {
				a.note(c)
			}
		}
		return pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: m.Answer.Sdp})
	case *livekit.SignalResponse_Trickle:
		if m.Trickle.Target != livekit.SignalTarget_PUBLISHER {
			return nil
		}
		init, err := candidate(m.Trickle.CandidateInit)
		if err != nil {
			return err
		}
		a.note(init.Candidate)
		a.signaling.early = append(a.signaling.early, init)
	case *livekit.SignalResponse_Leave:
		return fmt.Errorf("the media server ended the connection: %v", m.Leave.Reason)
	}
	if pc.RemoteDescription() == nil {
		return nil
	}
	for _, c := range a.signaling.early {
		if err := pc.AddICECandidate(c); err != nil {
			return err
		}
	}
	a.signaling.early = nil
	return nil
}

// note notes the address in a candidate of the media server, if it is one of this transport.
func (a *attempt) note(text string) {
	f := strings.Fields(text)
	if len(f) < 6 || !strings.HasPrefix(f[0], "candidate:") || !strings.EqualFold(f[2], string(a.by)) {
		return
	}
	if addr := net.JoinHostPort(f[4], f[5]); !slices.Contains(a.addresses, addr) {
		a.addresses = append(a.addresses, addr)
	}
}
