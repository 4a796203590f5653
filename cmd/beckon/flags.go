package main

import (
	"log/slog"
	"os"
	"time"

	"github.com/beckon-im/beckon"
)

// serverFlags are the flags of serve and dev, one struct per component. docs/configuration.md is generated from them.
type serverFlags struct {
	listenFlags  `embed:"" group:"Listening"`
	storageFlags `embed:"" group:"Storage and nodes"`
	authFlags    `embed:"" group:"Authentication"`
	limitFlags   `embed:"" group:"Limits"`
	policyFlags  `embed:"" group:"Policies"`
	fileFlags    `embed:"" group:"Files"`
	hookFlags    `embed:"" group:"Webhooks and hooks"`
	pushFlags    `embed:"" group:"Pushes"`
	mediaFlags   `embed:"" group:"Media"`
	opsFlags     `embed:"" group:"Operation"`

	level *slog.LevelVar // of the logger; nil = there is none
	// reads the settings again, and applies them; nil = SIGHUP only reopens log files
	reread func(apply func(next *serverFlags) error) (changed []string, err error)
}

// listenFlags configure the listener and access to it.
type listenFlags struct {
	Listen         string   `help:"Address to listen on." default:"127.0.0.1:8787" placeholder:"ADDR"`
	AdminListen    string   `help:"Private address for app servers (API keys), the console and /metrics. The address of --listen then refuses these. Default: --listen serves all." name:"admin-listen" placeholder:"ADDR"`
	TLSCert        string   `help:"Certificate file for TLS without a proxy. Reloaded when it changes." name:"tls-cert" placeholder:"FILE"`
	TLSKey         string   `help:"Key file of the certificate." name:"tls-key" placeholder:"FILE"`
	Origins        []string `help:"Web origins that may connect; * for all. Default: the server's own host."`
	TrustedProxies []string `help:"Addresses and networks of proxies whose X-Forwarded-For is trusted, such as 10.0.0.0/8." name:"trusted-proxies" placeholder:"NETWORK"`
	Web            bool     `help:"Serve the web app at /. Always on in dev."`
	Console        bool     `help:"Serve the operators' console at /console; sign-in with an API key. Always on in dev."`
}

func (f *listenFlags) apply(c *beckon.Config) {
	c.SeparateAdmin = f.AdminListen != ""
	c.Origins, c.TrustedProxies, c.Web, c.Console = f.Origins, f.TrustedProxies, f.Web, f.Console
}

// storageFlags configure the database and the links between nodes.
type storageFlags struct {
	Data          string        `help:"Directory of the database and the generated keys." default:"beckon-data" placeholder:"DIR"`
	Postgres      string        `help:"PostgreSQL database, as postgres://user@host/name, instead of SQLite in the data directory. Nodes may share it. Through PgBouncer in transaction mode, with ?pgbouncer=true." placeholder:"URL" secret:"url"`
	PostgresRead  string        `help:"Standbys of the PostgreSQL database, as postgres://user@host/name, which serve history, search, the console and exports." name:"postgres-read" placeholder:"URL" secret:"url"`
	NATS          string        `help:"NATS servers that connect the nodes of a cluster, as nats://host1:4222,nats://host2:4222." name:"nats" placeholder:"URL" secret:"url"`
	Writers       int           `help:"Connections that commit to PostgreSQL in parallel." default:"2"`
	MaxBatch      int           `help:"Transactions per commit, at most." default:"256" name:"max-batch"`
	NoFsync       bool          `help:"Do not fsync commits. For measurements only: acknowledged actions can be lost." name:"no-fsync"`
	RetentionDays int           `help:"Days that messages, ended invitations, calls and unused files are kept; 0 = forever." default:"0" name:"retention-days"`
	Sweep         time.Duration `help:"Interval of comparing delivered topics with the database while messages of other nodes may be lost: the longest delay of an event then." default:"2s"`
	Drain         time.Duration `help:"Time over which a stopping node moves its devices to others. Default: 10s with --nats, else none."`
	ClockSkew     time.Duration `help:"Offset of this node's clock, for tests of clusters." hidden:"" name:"clock-skew"`
	ClockFile     string        `help:"File with the offset of this machine's clock, which is read with each reading of the clock, for tests that set it." hidden:"" name:"clock-file"`
}

func (f *storageFlags) apply(c *beckon.Config) {
	c.DataDir, c.Postgres, c.PostgresRead, c.NATS, c.Writers = f.Data, f.Postgres, f.PostgresRead, f.NATS, f.Writers
	c.MaxBatch, c.NoSync = f.MaxBatch, f.NoFsync
	c.Retention, c.Sweep, c.Drain = time.Duration(f.RetentionDays)*24*time.Hour, f.Sweep, f.Drain
	if f.ClockSkew != 0 {
		c.Now = func() int64 { return time.Now().Add(f.ClockSkew).UnixMilli() }
	}
	if f.ClockFile != "" {
		c.Wall = wallClock(f.ClockFile)
	}
}

// wallClock returns the clock of this machine with the offset in a file: a duration; none = 0.
func wallClock(file string) func() int64 {
	return func() int64 {
		text, _ := os.ReadFile(file)
		offset, _ := time.ParseDuration(string(text))
		return time.Now().Add(offset).UnixMilli()
	}
}

// authFlags configure tokens and API keys.
type authFlags struct {
	JWTSecret    string   `help:"Secret of HS256 tokens, at least 32 characters. Default: generated, in the data directory." name:"jwt-secret" secret:""`
	JWTSecondary []string `help:"Further secrets that verify HS256 tokens, during a rotation." name:"jwt-secondary-secrets" secret:""`
	JWKSURL      string   `help:"URL of the public keys of RS256 and ES256 tokens." name:"jwks-url" secret:"url"`
	JWTIssuer    string   `help:"Required issuer of tokens." name:"jwt-issuer"`
	JWTAudience  string   `help:"Required audience of tokens." name:"jwt-audience"`
	UserSigAppID int64    `help:"Application ID of UserSig tokens." name:"usersig-app-id"`
	UserSigKey   string   `help:"Key of UserSig tokens." name:"usersig-key" secret:""`
	UserSigMore  []string `help:"Further keys that verify UserSig tokens, during a rotation." name:"usersig-secondary-keys" secret:""`
	APIKey       []string `help:"API keys of app servers. Default: one, generated, in the data directory." name:"api-key" secret:""`
}

func (f *authFlags) apply(c *beckon.Config) {
	c.JWTSecret, c.JWKSURL, c.JWTIssuer, c.JWTAudience = f.JWTSecret, f.JWKSURL, f.JWTIssuer, f.JWTAudience
	c.UserSigAppID, c.UserSigKey, c.APIKeys = f.UserSigAppID, f.UserSigKey, f.APIKey
	c.SecondaryJWTSecrets, c.SecondaryUserSigKeys = f.JWTSecondary, f.UserSigMore
}

// limitFlags limit rates, counts and memory.
type limitFlags struct {
	UserRate       float64 `help:"Calls per second of one user. Default: 100." name:"user-rate"`
	UserBurst      int     `help:"Calls at once of one user. Default: 200." name:"user-burst"`
	AddressRate    float64 `help:"Connects and requests per second of one address. Default: 1000." name:"address-rate"`
	AddressBurst   int     `help:"Connects and requests at once of one address. Default: 5000." name:"address-burst"`
	OpenPerPair    int     `help:"Open invitations from one user to another outside of groups; -1 = no limit." default:"5" name:"open-per-pair"`
	OpenPerInvitee int     `help:"Open invitations to one user; -1 = no limit." default:"500" name:"open-per-invitee"`
	OpenPerInviter int     `help:"Open invitations of one inviter; -1 = no limit." default:"1000" name:"open-per-inviter"`
	GroupsPerDay   int     `help:"Groups that one user may create per day; -1 = no limit." default:"100" name:"groups-per-day"`
	MembersPerDay  int     `help:"Users that one user may add to groups per day; -1 = no limit." default:"1000" name:"members-per-day"`
	MemoryLimit    string  `help:"Memory limit of the process, such as 600MiB; near it new work is refused. Default: 9/10 of the container's limit, if any." name:"memory-limit" placeholder:"SIZE"`
}

func (f *limitFlags) apply(c *beckon.Config) {
	c.UserRate, c.UserBurst, c.AddressRate, c.AddressBurst = f.UserRate, f.UserBurst, f.AddressRate, f.AddressBurst
	c.OpenPerPair, c.OpenPerInvitee, c.OpenPerInviter = f.OpenPerPair, f.OpenPerInvitee, f.OpenPerInviter
	c.GroupsPerDay, c.MembersPerDay = f.GroupsPerDay, f.MembersPerDay
}

// policyFlags select between behaviours.
type policyFlags struct {
	DevicePolicy   string        `help:"Connected devices per user: many, one-per-platform or single; the newest stays." enum:"many,one-per-platform,single" default:"many" name:"device-policy"`
	DropBlocked    bool          `help:"Silently drop messages and invitations to a user who blocks the sender, instead of refusing them." name:"drop-blocked"`
	DefaultTimeout time.Duration `help:"Timeout of invitations without one; 0 = none." default:"0" name:"default-timeout"`
	MaxTimeout     time.Duration `help:"Longest timeout of an invitation; 0 = no limit." default:"0" name:"max-timeout"`
	LargeGroup     int           `help:"Members from which a group is large: members who are not invited get digests instead of every answer." default:"500" name:"large-group"`
	RevokeWithin   time.Duration `help:"Time within which senders may revoke a message." default:"2m" name:"revoke-within"`
}

func (f *policyFlags) apply(c *beckon.Config) {
	c.DevicePolicy, c.DropBlocked = beckon.DevicePolicy(f.DevicePolicy), f.DropBlocked
	c.DefaultTimeout, c.MaxTimeout = f.DefaultTimeout, f.MaxTimeout
	c.LargeGroup, c.RevokeWithin = f.LargeGroup, f.RevokeWithin
}

// fileFlags configure uploads.
type fileFlags struct {
	FilesURL     string        `help:"Storage of uploaded files, such as s3://bucket?region=…. Default: the data directory." name:"files-url" secret:"url"`
	LinkLife     time.Duration `help:"Validity of links to files." default:"1h" name:"link-life"`
	MaxUploadMB  int64         `help:"Largest upload in MiB. Default: 28 for images and sounds, 100 for videos and files." name:"max-upload-mb"`
	KeepLocation bool          `help:"Keep the metadata of uploaded images, such as the location. Default: only the orientation." name:"keep-location"`
}

func (f *fileFlags) apply(c *beckon.Config) {
	c.FilesURL, c.LinkLife, c.KeepLocation = f.FilesURL, f.LinkLife, f.KeepLocation
	limit := f.MaxUploadMB << 20
	c.MaxImage, c.MaxSound, c.MaxVideo, c.MaxFile = limit, limit, limit, limit
}

// hookFlags configure webhooks and the before-hook.
type hookFlags struct {
	Webhook          string        `help:"URL that receives events: https://HOST/PATH, nats://HOST:PORT/SUBJECT (JetStream) or kafka://HOST:PORT/TOPIC." placeholder:"URL" secret:"url"`
	WebhookSecret    string        `help:"Signing secret of webhooks: whsec_ and base64 of 24 to 64 bytes. Prefer the environment or a file to the command line." name:"webhook-secret" secret:""`
	WebhookSecondary []string      `help:"Further signing secrets of webhooks, during a rotation." name:"webhook-secondary-secrets" secret:""`
	WebhookEvents    []string      `help:"Kinds (invitation.created) or families (invitation) of events to send. Default: all." name:"webhook-events"`
	BeforeHook       string        `help:"URL called before an action; it may reject or rewrite it." placeholder:"URL" name:"before-hook" secret:"url"`
	BeforeHookVerbs  []string      `help:"Methods that call the before-hook: invite, sendMessage, joinGroup, connect. Default: all of these." name:"before-hook-verbs"`
	BeforeHookTime   time.Duration `help:"Timeout of before-hook requests." default:"2s" name:"before-hook-time"`
	BeforeHookRefuse bool          `help:"Refuse the action when the before-hook does not respond. Default: allow it." name:"before-hook-refuse"`
}

func (f *hookFlags) apply(c *beckon.Config) {
	c.Webhook, c.WebhookSecret, c.WebhookEvents = f.Webhook, f.WebhookSecret, f.WebhookEvents
	c.SecondaryWebhookSecrets = f.WebhookSecondary
	c.BeforeHook, c.BeforeHookVerbs = f.BeforeHook, f.BeforeHookVerbs
	c.BeforeHookTime, c.BeforeHookRefuse = f.BeforeHookTime, f.BeforeHookRefuse
}

// mediaFlags configure media rooms.
type mediaFlags struct {
	Media         string        `help:"Media server: embedded runs one in this process, external uses the LiveKit at --livekit-url, off has no rooms. Default: external with --livekit-key, else embedded in dev and off in serve." enum:",off,embedded,external" default:""`
	MediaIP       string        `help:"Embedded media: address at which browsers reach this machine. Default: the listening address, or detected." name:"media-ip" placeholder:"IP"`
	MediaPort     int           `help:"Embedded media: port on 127.0.0.1 for this process and other nodes; needs --livekit-key and --livekit-secret. Default: a free port." name:"media-port"`
	MediaUDPPort  int           `help:"UDP port of audio and video. Embedded media opens it (default: a free port); an external LiveKit has its own, and clients name this one when their network blocks it." name:"media-udp-port"`
	MediaTCPPort  int           `help:"TCP port for clients without UDP. Embedded media opens it (default: a free port); an external LiveKit has its own, and clients name this one when their network blocks it." name:"media-tcp-port"`
	TURNDomain    string        `help:"Embedded media: host name of TURN over TLS, for clients in networks that pass nothing else: another name than the server's, in the certificate of --tls-cert, and served at --listen." name:"media-turn-domain" placeholder:"DOMAIN"`
	TURNPort      int           `help:"Port of TURN over TLS for clients. Default: that of --listen with --tls-cert, else 443." name:"media-turn-port"`
	TURNListen    string        `help:"Address for TURN from a proxy that ends TLS for --media-turn-domain; only without --tls-cert." name:"media-turn-listen" placeholder:"ADDR"`
	LiveKitURL    string        `help:"URL at which clients reach LiveKit, such as wss://media.example.com. Default: through this server." name:"livekit-url" placeholder:"URL"`
	LiveKitAPI    string        `help:"URL at which this server reaches LiveKit, such as http://127.0.0.1:7880. Default: --livekit-url." name:"livekit-api" placeholder:"URL"`
	LiveKitKey    string        `help:"API key of LiveKit." name:"livekit-key"`
	LiveKitSecret string        `help:"API secret of LiveKit, at least 32 characters." name:"livekit-secret" secret:""`
	RoomPolicy    string        `help:"Users who may enter media rooms: invited, or open for all." enum:"invited,open" default:"invited" name:"room-policy"`
	RoomTokenLife time.Duration `help:"Time within which a room token can be used to join." default:"60s" name:"room-token-life"`
}

func (f *mediaFlags) apply(c *beckon.Config) {
	c.LiveKitURL, c.LiveKitAPI, c.LiveKitKey, c.LiveKitSecret = f.LiveKitURL, f.LiveKitAPI, f.LiveKitKey, f.LiveKitSecret
	c.MediaUDPPort, c.MediaTCPPort = f.MediaUDPPort, f.MediaTCPPort
	c.RoomPolicy, c.RoomTokenLife = beckon.RoomPolicy(f.RoomPolicy), f.RoomTokenLife
}

// opsFlags configure logs, traces and pings.
type opsFlags struct {
	LogJSON  bool          `help:"Log as JSON." name:"log-json"`
	LogLevel string        `help:"Least level of log entries. Reloaded on SIGHUP." enum:"debug,info,warn,error" default:"info" name:"log-level"`
	AuditLog string        `help:"File of the audit log: every change by app servers, as lines of JSON. Reopened on SIGHUP." name:"audit-log" placeholder:"FILE"`
	Traces   string        `help:"OpenTelemetry collector for traces by OTLP over HTTP, such as http://127.0.0.1:4318." placeholder:"URL" secret:"url"`
	Ping     time.Duration `help:"Interval of pings to connections." default:"10s"`
	Pprof    string        `help:"Address of the Go profiler, which asks for no key: keep it private. admin serves it at --admin-listen, under /debug/pprof/. Default: off." placeholder:"ADDR"`
}

func (f *opsFlags) apply(c *beckon.Config) {
	c.AuditLog, c.Traces, c.Ping = f.AuditLog, f.Traces, f.Ping
}
