package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon"
)

// serverFlags are the flags that serve and dev share.
type serverFlags struct {
	Listen   string        `help:"Address to listen on." default:"127.0.0.1:8787" placeholder:"ADDR"`
	Data     string        `help:"Directory of the database and the generated keys." default:"beckon-data" placeholder:"DIR"`
	Postgres string        `help:"PostgreSQL to use instead of a database in the data directory: postgres://user@host/name. Several nodes may share it." placeholder:"URL"`
	NATS     string        `help:"NATS servers by which the nodes of a house reach each other: nats://host1:4222,nats://host2:4222." name:"nats" placeholder:"URL"`
	Writers  int           `help:"Connections that commit to PostgreSQL side by side." default:"2"`
	Sweep    time.Duration `help:"How often a node compares what it delivered with the database: an event whose hint was lost comes so late at most." default:"2s"`
	Drain    time.Duration `help:"Over how long devices are sent to other nodes when this one stops. Default: 10s with --nats, else none."`
	NoFsync  bool          `help:"Do not wait for the disk at each commit. For measuring only: acknowledged actions can be lost." name:"no-fsync"`
	LogJSON  bool          `help:"Log as JSON." name:"log-json"`

	TLSCert string `help:"File with the certificate, for TLS without a proxy. It is read anew when it changes." name:"tls-cert" placeholder:"FILE"`
	TLSKey  string `help:"File with the certificate's key." name:"tls-key" placeholder:"FILE"`

	JWTSecret    string   `help:"Secret of HS256 tokens, at least 32 characters. Default: generated, kept in the data directory." name:"jwt-secret"`
	JWKSURL      string   `help:"Where the public keys of RS256 and ES256 tokens are." name:"jwks-url"`
	JWTIssuer    string   `help:"Issuer that tokens must have." name:"jwt-issuer"`
	JWTAudience  string   `help:"Audience that tokens must have." name:"jwt-audience"`
	UserSigAppID int64    `help:"Application id of UserSig tokens." name:"usersig-app-id"`
	UserSigKey   string   `help:"Key of UserSig tokens." name:"usersig-key"`
	APIKey       []string `help:"Keys of app servers. Default: one generated, kept in the data directory." name:"api-key"`
	Origins      []string `help:"Web origins whose pages may connect; * for all. Default: the server's own host."`

	UserRate     float64 `help:"Calls per second of one user. Default: 100." name:"user-rate"`
	UserBurst    int     `help:"Calls at once of one user. Default: 200." name:"user-burst"`
	AddressRate  float64 `help:"Connects and requests per second of one address. Default: 1000." name:"address-rate"`
	AddressBurst int     `help:"Connects and requests at once of one address. Default: 5000." name:"address-burst"`

	TrustedProxies []string `help:"Addresses and networks of proxies in front of this server, whose X-Forwarded-For is believed: 10.0.0.0/8." name:"trusted-proxies" placeholder:"NETWORK"`

	DevicePolicy   string        `help:"How many devices a user may have connected; the newest stays." enum:"many,one-per-platform,single" default:"many" name:"device-policy"`
	DropBlocked    bool          `help:"Let messages and invitations to somebody who blocks the sender seem to succeed, instead of refusing them." name:"drop-blocked"`
	OpenPerPair    int           `help:"Open invitations from one user to another outside of groups; -1 = no bound." default:"5" name:"open-per-pair"`
	OpenPerInvitee int           `help:"Open invitations that wait for one user; -1 = no bound." default:"500" name:"open-per-invitee"`
	OpenPerInviter int           `help:"Open invitations of one inviter; -1 = no bound." default:"1000" name:"open-per-inviter"`
	DefaultTimeout time.Duration `help:"Timeout of invitations that give none; 0 = they never time out." default:"0" name:"default-timeout"`
	MaxTimeout     time.Duration `help:"Longest timeout of an invitation; 0 = no bound." default:"0" name:"max-timeout"`

	LargeGroup    int           `help:"Members that make a group large: its onlookers hear digests of answers." default:"500" name:"large-group"`
	GroupsPerDay  int           `help:"Groups that one user may create a day; -1 for no limit." default:"100" name:"groups-per-day"`
	MembersPerDay int           `help:"Users that one user may bring into groups a day; -1 for no limit." default:"1000" name:"members-per-day"`
	RevokeWithin  time.Duration `help:"How long senders may take back a message." default:"2m" name:"revoke-within"`
	RetentionDays int           `help:"Days for which messages are kept; 0 keeps them for ever." default:"0" name:"retention-days"`
	FilesURL      string        `help:"Where uploaded files are, as s3://bucket?region=… Default: in the data directory." name:"files-url"`
	LinkLife      time.Duration `help:"How long a link to a file can be used." default:"1h" name:"link-life"`
	MaxUploadMB   int64         `help:"Largest upload in MiB. Default: 28 for images and sounds, 100 for videos and files." name:"max-upload-mb"`
	KeepLocation  bool          `help:"Keep the metadata of uploaded images, as where they were taken. Default: the orientation alone." name:"keep-location"`

	Traces           string        `help:"Collector of OpenTelemetry to which traces are sent by OTLP over HTTP: http://127.0.0.1:4318." placeholder:"URL"`
	AuditLog         string        `help:"File to which everything is added that app servers change, as lines of JSON." name:"audit-log" placeholder:"FILE"`
	Webhook          string        `help:"Where events are sent when something has happened." placeholder:"URL"`
	WebhookSecret    string        `help:"Signs webhooks: whsec_ and base64 of 24 to 64 bytes. Better in the environment or a file than here." name:"webhook-secret"`
	WebhookEvents    []string      `help:"Which events are sent: kinds like invitation.created, or families like invitation. Default: all." name:"webhook-events"`
	BeforeHook       string        `help:"Where is asked before something happens." placeholder:"URL" name:"before-hook"`
	BeforeHookVerbs  []string      `help:"Before what is asked: invite, sendMessage, joinGroup, connect. Default: all of these." name:"before-hook-verbs"`
	BeforeHookTime   time.Duration `help:"How long is waited for the answer of the before-hook." default:"2s" name:"before-hook-time"`
	BeforeHookRefuse bool          `help:"Refuse what was asked about when the before-hook does not answer, instead of going on." name:"before-hook-refuse"`

	Push pushFlags `embed:""`

	Media         string        `help:"The media server for rooms: embedded runs one in this program; external uses the LiveKit at --livekit-url; off has no rooms. Default: external when --livekit-key is given, else embedded for dev and off for serve." enum:",off,embedded,external" default:""`
	MediaIP       string        `help:"Embedded media: the address under which browsers reach this machine. Default: the listening address, or found out." name:"media-ip" placeholder:"IP"`
	MediaPort     int           `help:"Embedded media: the port on 127.0.0.1 for this program and other nodes. With it give --livekit-key and --livekit-secret. Default: a free one." name:"media-port"`
	MediaUDPPort  int           `help:"Embedded media: the UDP port for sound and pictures. Default: a free one." name:"media-udp-port"`
	MediaTCPPort  int           `help:"Embedded media: the TCP port for who cannot use UDP. Default: a free one." name:"media-tcp-port"`
	LiveKitURL    string        `help:"Where people reach LiveKit, as wss://media.example.com. Default: through this server." name:"livekit-url" placeholder:"URL"`
	LiveKitAPI    string        `help:"Where this server reaches LiveKit, as http://127.0.0.1:7880. Default: --livekit-url." name:"livekit-api" placeholder:"URL"`
	LiveKitKey    string        `help:"LiveKit's API key; with embedded media, the one it is to have." name:"livekit-key"`
	LiveKitSecret string        `help:"The secret of LiveKit's API key, at least 32 characters." name:"livekit-secret"`
	RoomPolicy    string        `help:"Who may enter media rooms: those invited, or everybody." enum:"invited,open" default:"invited" name:"room-policy"`
	RoomTokenLife time.Duration `help:"For how long one may enter a room with a token." default:"60s" name:"room-token-life"`
	Web           bool          `help:"Show the pages at /: conversations, calls, classroom, chat room. Always on in dev."`

	Console bool `help:"Show the console for operators at /console; they sign in with an API key. Always on in dev."`

	ClockSkew   time.Duration `help:"Set this node's clock wrong, to test a house of several nodes." hidden:"" name:"clock-skew"`
	Ping        time.Duration `help:"How often a link is checked." default:"10s"`
	MemoryLimit string        `help:"How much memory this program may hold, such as 600MiB: before it holds more it takes nothing new. Default: nine tenths of the container's limit, if there is one." name:"memory-limit" placeholder:"SIZE"`

	Pprof    string `help:"Address of the Go profiler, for operators only; keep it on a private address. Default: off." placeholder:"ADDR"`
	MaxBatch int    `help:"Actions that may share one commit." default:"256" name:"max-batch"`
}

func (f *serverFlags) config(log *slog.Logger) beckon.Config {
	cfg := beckon.Config{
		DataDir: f.Data, Postgres: f.Postgres, NATS: f.NATS, Writers: f.Writers, Sweep: f.Sweep, Drain: f.Drain,
		JWTSecret: f.JWTSecret, JWKSURL: f.JWKSURL, JWTIssuer: f.JWTIssuer, JWTAudience: f.JWTAudience,
		UserSigAppID: f.UserSigAppID, UserSigKey: f.UserSigKey, APIKeys: f.APIKey, Origins: f.Origins,
		UserRate: f.UserRate, UserBurst: f.UserBurst, AddressRate: f.AddressRate, AddressBurst: f.AddressBurst, TrustedProxies: f.TrustedProxies,
		DevicePolicy: beckon.DevicePolicy(f.DevicePolicy), DropBlocked: f.DropBlocked, LargeGroup: f.LargeGroup, OpenPerPair: f.OpenPerPair, OpenPerInvitee: f.OpenPerInvitee,
		OpenPerInviter: f.OpenPerInviter, DefaultTimeout: f.DefaultTimeout, MaxTimeout: f.MaxTimeout, GroupsPerDay: f.GroupsPerDay, MembersPerDay: f.MembersPerDay, RevokeWithin: f.RevokeWithin,
		Retention: time.Duration(f.RetentionDays) * 24 * time.Hour, FilesURL: f.FilesURL, LinkLife: f.LinkLife,
		MaxImage: f.MaxUploadMB << 20, MaxSound: f.MaxUploadMB << 20, MaxVideo: f.MaxUploadMB << 20, MaxFile: f.MaxUploadMB << 20, KeepLocation: f.KeepLocation,
		LiveKitURL: f.LiveKitURL, LiveKitAPI: f.LiveKitAPI, LiveKitKey: f.LiveKitKey, LiveKitSecret: f.LiveKitSecret,
		AuditLog: f.AuditLog, Traces: f.Traces, Webhook: f.Webhook, WebhookSecret: f.WebhookSecret, WebhookEvents: f.WebhookEvents,
		BeforeHook: f.BeforeHook, BeforeHookVerbs: f.BeforeHookVerbs, BeforeHookTime: f.BeforeHookTime, BeforeHookRefuse: f.BeforeHookRefuse,
		RoomPolicy: beckon.RoomPolicy(f.RoomPolicy), RoomTokenLife: f.RoomTokenLife, Web: f.Web, Console: f.Console,
		Ping: f.Ping, MaxBatch: f.MaxBatch, NoSync: f.NoFsync, Log: log,
	}
	if f.ClockSkew != 0 {
		cfg.Now = func() int64 { return time.Now().Add(f.ClockSkew).UnixMilli() }
	}
	return cfg
}

func (f *serverFlags) logger() *slog.Logger {
	if f.LogJSON {
		return slog.New(slog.NewJSONHandler(os.Stderr, nil))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil))
}

type serveCmd struct{ serverFlags }

// Run serves until a signal.
func (c *serveCmd) Run(ctx context.Context) error {
	return c.run(ctx, c.config(c.logger()), (*beckon.Server).Handler, func(_ *beckon.Server, url string) {
		fmt.Println("beckon listens on", url)
	})
}

// headerTime bounds how long a client may take for its request headers, idleTime how long it may keep a connection without one, and
// maxHeader their bytes: a token has 8 KiB at most.
const (
	headerTime = 10 * time.Second
	idleTime   = 2 * time.Minute
	maxHeader  = 32 << 10
)

// run serves with a configuration and tells when it is ready.
func (f *serverFlags) run(ctx context.Context, cfg beckon.Config, handler func(*beckon.Server) http.Handler, ready func(*beckon.Server, string)) error {
	listen := net.ListenConfig{KeepAlive: -1} // the server's own listener turns it on for those that it keeps
	ln, err := listen.Listen(ctx, "tcp", f.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; choose another address with --listen", f.Listen, err)
	}
	secure, scheme, err := f.secure()
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	media, err := f.media(&cfg, ln.Addr())
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	if cfg.Push, err = f.Push.config(); err != nil {
		return errors.Join(err, ln.Close())
	}
	room, err := newMemory(f.MemoryLimit)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	cfg.Full, cfg.DecodeMemory, cfg.DatabaseCache = room.busy, room.sixth(), room.sixth()
	srv, err := beckon.New(ctx, cfg)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	web := &http.Server{Handler: handler(srv), ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { collect(gctx); return nil })
	g.Go(func() error { room.keep(gctx); return nil })
	if media != nil {
		g.Go(func() error { return media.Run(gctx) })
	}
	if f.Pprof != "" {
		g.Go(func() error { return profile(gctx, f.Pprof) })
	}
	g.Go(func() error { return srv.Run(gctx) })
	g.Go(func() error {
		if err := web.Serve(secure(srv.Listener(ln))); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-gctx.Done()
		<-srv.Drained() // until then the doors are open
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return web.Shutdown(end)
	})
	g.Go(func() error {
		select {
		case <-srv.Ready():
			ready(srv, scheme+ln.Addr().String())
		case <-gctx.Done():
		}
		return nil
	})
	return g.Wait()
}

// profile serves the Go profiler on an address of its own.
func profile(ctx context.Context, addr string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	srv := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: headerTime}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type openAPICmd struct{}

// Run prints the description.
func (*openAPICmd) Run() error {
	_, err := os.Stdout.Write(append(beckon.OpenAPI(), '\n'))
	return err
}

type tokenCmd struct {
	User   string        `arg:"" help:"The user."`
	Device string        `help:"Bind the token to this device."`
	TTL    time.Duration `help:"How long it is valid; 0 never expires." default:"24h" name:"ttl"`
	Data   string        `help:"The server's data directory, for its secret." default:"beckon-data"`
	Secret string        `help:"The server's JWT secret, instead of the one in the data directory." name:"jwt-secret"`
}

// Run prints a token.
func (c *tokenCmd) Run() error {
	token, err := beckon.MintToken(c.Data, c.Secret, c.User, c.Device, c.TTL)
	if err == nil {
		fmt.Println(token)
	}
	return err
}
