// Command conference puts participants into a LiveKit room that send and receive as browsers do, without the cost of
// browsers: make bench-conference.
//
// Usage: conference -url ws://HOST:PORT -users N -audio FILE [-video FILE]. It reads N room tokens from its standard
// input, a line each, joins, writes a line when all are in the room and their tracks are published, and stays until
// its input ends. Then it writes the bits per second that each participant received. The files are IVF with Opus
// packets and VP8 frames, and are sent again and again. The video starts again, with its key frame, when a receiver
// asks for one.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
	"github.com/pion/webrtc/v4/pkg/media/ivfreader"
	"golang.org/x/sync/errgroup"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "conference:", err)
		os.Exit(1)
	}
}

func run() error {
	url := flag.String("url", "", "address of the server")
	users := flag.Int("users", 0, "number of participants")
	audio := flag.String("audio", "", "file with Opus packets")
	video := flag.String("video", "", "file with VP8 frames; empty = no video")
	flag.Parse()
	sound, err := readClip(*audio)
	if err != nil {
		return err
	}
	var picture *clip
	if *video != "" {
		if picture, err = readClip(*video); err != nil {
			return err
		}
	}
	lksdk.SetLogger(logger.GetDiscardLogger())
	in := bufio.NewScanner(os.Stdin)
	var group errgroup.Group
	var received atomic.Int64
	for range *users {
		if !in.Scan() {
			return errors.New("a token is missing")
		}
		token := in.Text()
		group.Go(func() error { return join(*url, token, sound, picture, &received) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	fmt.Println("joined")
	began, before := time.Now(), received.Load()
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	fmt.Printf("%.0f\n", float64(8*(received.Load()-before))/time.Since(began).Seconds()/float64(*users))
	return nil
}

// join enters the room with one participant, which ends with the program. It counts the bytes that arrive.
func join(url, token string, sound, picture *clip, received *atomic.Int64) error {
	callback := lksdk.NewRoomCallback()
	callback.OnTrackSubscribed = func(track *webrtc.TrackRemote, _ *lksdk.RemoteTrackPublication,
		_ *lksdk.RemoteParticipant) {
		go receive(track, received)
	}
	room, err := lksdk.ConnectToRoomWithToken(url, token, callback, lksdk.WithDisableRegionDiscovery())
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	err = publish(room, sound, webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2},
		lksdk.TrackPublicationOptions{Source: livekit.TrackSource_MICROPHONE})
	if err == nil && picture != nil {
		err = publish(room, picture, webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000},
			lksdk.TrackPublicationOptions{Source: livekit.TrackSource_CAMERA, VideoWidth: picture.width,
				VideoHeight: picture.height})
	}
	return err
}

// receive reads the packets of a track until it ends.
func receive(track *webrtc.TrackRemote, received *atomic.Int64) {
	buf := make([]byte, 1500)
	for {
		n, _, err := track.Read(buf)
		if err != nil {
			return
		}
		received.Add(int64(n))
	}
}

// publish sends a clip.
func publish(room *lksdk.Room, c *clip, codec webrtc.RTPCodecCapability, opt lksdk.TrackPublicationOptions) error {
	p := &player{clip: c}
	track, err := lksdk.NewLocalTrack(codec, lksdk.WithRTCPHandler(func(packet rtcp.Packet) {
		switch packet.(type) {
		case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
			p.restart.Store(true)
		}
	}))
	if err != nil {
		return err
	}
	bound := make(chan struct{})
	track.OnBind(func() {
		close(bound)
		_ = track.StartWrite(p, nil) // it fails only without a provider
	})
	if _, err := room.LocalParticipant.PublishTrack(track, &opt); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	select {
	case <-bound:
		return nil
	case <-time.After(20 * time.Second):
		return errors.New("a track was not connected within 20 s")
	}
}

// clip is a recording.
type clip struct {
	width, height int
	samples       []media.Sample
}

func readClip(name string) (*clip, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, header, err := ivfreader.NewWith(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	frame := time.Second * time.Duration(header.TimebaseNumerator) / time.Duration(header.TimebaseDenominator)
	c := &clip{width: int(header.Width), height: int(header.Height)}
	for {
		data, _, err := r.ParseNextFrame()
		if errors.Is(err, io.EOF) && len(c.samples) > 0 {
			return c, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		c.samples = append(c.samples, media.Sample{Data: data, Duration: frame})
	}
}

// player plays a clip for one track.
type player struct {
	lksdk.BaseSampleProvider
	clip    *clip
	next    int
	restart atomic.Bool
}

// NextSample returns the next frame; after the last, or a request for a key frame, the first.
func (p *player) NextSample(context.Context) (media.Sample, error) {
	if p.restart.Swap(false) || p.next == len(p.clip.samples) {
		p.next = 0
	}
	p.next++
	return p.clip.samples[p.next-1], nil
}
