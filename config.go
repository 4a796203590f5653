package beckon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/address"
	"github.com/beckon-im/beckon/internal/gateway"
	"github.com/beckon-im/beckon/internal/hook"
	"github.com/beckon-im/beckon/internal/push"
	"github.com/beckon-im/beckon/internal/store"
)

// filesDir is the directory of uploaded files in the data directory.
const filesDir = "files"

// Config configures a Server. The zero value works: it keeps its database and keys in ./beckon-data.
type Config struct {
	// DataDir is the directory of the SQLite database, uploaded files and generated keys. Only one server at a time may
	// use it. Default: "beckon-data".
	DataDir string
	// Postgres is the URL of a PostgreSQL database that replaces SQLite, in libpq format:
	// postgres://user@host1,host2/name?target_session_attrs=read-write. Any number of servers may share it. Default: none.
	Postgres string
	// PostgresRead is the URL of standbys of Postgres, which serve history, search, the console and exports as new as the
	// primary would. It requires Postgres. Default: none; the primary serves them.
	PostgresRead string
	// NATS lists the NATS servers that connect the nodes of a cluster: nats://host1:4222,nats://host2:4222. It requires
	// Postgres. Default: none, for a single node.
	NATS string
	// Writers is the number of connections that commit to PostgreSQL concurrently. With more, batches are smaller and cost
	// more per action. Default: 2.
	Writers int
	// Sweep is the interval at which a node compares delivered events with the database while it does not reach all other
	// nodes over NATS, and so the maximum delay of an event then. Default: 2 s.
	Sweep time.Duration
	// Drain is the period over which a stopping node moves its devices to other nodes. Default: 10 s with NATS, else none.
	// Negative: none.
	Drain time.Duration
	// JWTSecret verifies the HS256 tokens of devices; at least 32 characters. Default: generated once, kept in
	// DataDir/keys.json.
	JWTSecret string
	// SecondaryJWTSecrets verify HS256 tokens too, during a rotation of the secret. Default: none.
	SecondaryJWTSecrets []string
	// JWKSURL is the URL of the public keys for RS256 and ES256 tokens. Default: none.
	JWKSURL string
	// JWTIssuer and JWTAudience, when set, must equal the claims of a token. Default: not checked.
	JWTIssuer, JWTAudience string
	// UserSigAppID and UserSigKey accept connections with a UserSig (TLSSigAPIv2), and so do SecondaryUserSigKeys during a
	// rotation of the key. Default: none.
	UserSigAppID         int64
	UserSigKey           string
	SecondaryUserSigKeys []string
	// Authenticate verifies the tokens of the embedding program, such as session IDs, when a device connects, renews its
	// token, or calls over HTTP. The server's own tokens and those of the settings above are verified first; only tokens
	// that none of their keys has signed are passed on. An *Error refuses the token, by default with 70009, and reaches
	// the device; any other error, and a panic, mean that the token cannot be verified now, and devices retry. The calls
	// are concurrent, and only the device waits; ctx ends after 10 s. Default: such tokens are refused.
	Authenticate func(ctx context.Context, token string) (Identity, error)
	// APIKeys authenticate app servers, which may act for any user; at least 16 characters each. Default: one generated,
	// kept in DataDir/keys.json.
	APIKeys []string
	// Origins are the web origins that may connect; "*" allows all. Default: the server's own host.
	Origins []string
	// UserRate and UserBurst limit the calls of one user, per second and at once. Default: 100 and 200.
	UserRate  float64
	UserBurst int
	// AddressRate and AddressBurst limit the connects and requests of one client address, per second and at once; a wrong
	// token or key counts as a hundred requests. Default: 1000 and 5000.
	AddressRate  float64
	AddressBurst int
	// TrustedProxies are the addresses and networks (10.0.0.0/8) of proxies in front of this server, trusted to report
	// client addresses in X-Forwarded-For. Without them all devices behind a proxy count as one address. Default: none.
	TrustedProxies []string
	// Full reports that the process is out of memory: new actions and connections are then refused, while open invitations
	// continue. Default: never.
	Full func() bool
	// Ping is the interval of connection checks. A dead connection is closed within four thirds of it plus one second.
	// Default: 10 s, so within 15 s.
	Ping time.Duration
	// Webhook is the URL for events after an action, https://HOST/PATH, nats://HOST:PORT/SUBJECT or
	// kafka://HOST:PORT/TOPIC, and BeforeHook the URL called before an action. HTTP requests are signed with
	// WebhookSecret: whsec_ and base64 of 24 to 64 bytes. Default: none.
	Webhook, BeforeHook, WebhookSecret string
	// SecondaryWebhookSecrets add signatures to the requests, during a rotation of the secret. Default: none.
	SecondaryWebhookSecrets []string
	// WebhookEvents filters webhooks and After by kind (invitation.created) or family (invitation). Default: all.
	WebhookEvents []string
	// BeforeHookVerbs are the methods that call the before-hook: invite, sendMessage, joinGroup, connect. Default: all of
	// these.
	BeforeHookVerbs []string
	// BeforeHookTime is the timeout for before-hook requests. BeforeHookRefuse refuses the action on a timeout or failure
	// instead of allowing it. Default: 2 s, false.
	BeforeHookTime   time.Duration
	BeforeHookRefuse bool
	// Before decides about calls of devices before they run, in this process, for the methods of BeforeHookVerbs and
	// within BeforeHookTime. It returns the request to run instead; nil = unchanged. An *Error refuses the call, by
	// default with 120001, and reaches the device; any other error, and a panic, refuse it so that the device may retry.
	// Only the device's next call waits. BeforeHook is called after it. Default: none.
	Before func(ctx context.Context, call BeforeCall) (json.RawMessage, error)
	// After receives the events of Webhook in this process: each committed event, filtered by WebhookEvents. Events are
	// written with the commit of their action, so that none is lost, and delivered at least once: After is called again,
	// later, after an error or a panic, and after a stop in between, for three days; a repeat has the same ID. Those of
	// one ordering key follow one after the other, those of others concurrently. In a cluster any node may call it, so
	// that all nodes need it. ctx ends after 15 s. It excludes Webhook. Default: none.
	After func(ctx context.Context, e Event) error
	// Push configures pushes to devices that are not connected. Default: Web Push only.
	Push PushConfig
	// Traces is the URL of an OpenTelemetry collector (OTLP over HTTP): http://127.0.0.1:4318. The invite, pushes and
	// answers of an invitation form one trace. Default: none.
	Traces string
	// Registerer receives the metrics of the server, for a program that serves its own: prometheus.DefaultRegisterer. New
	// registers them, and the end of Run or Close removes them. Several servers need different ones, such as those of
	// prometheus.WrapRegistererWith. /metrics serves them in any case. Default: none.
	Registerer prometheus.Registerer
	// AuditLog is the path of a file that receives each change by an app server as a line of JSON. Default: none.
	AuditLog string
	// DevicePolicy limits the connected devices of a user: "many", "one-per-platform", "single". The newest session stays.
	// Default: many.
	DevicePolicy DevicePolicy
	// DropBlocked makes messages and invitations to a user who blocks the sender appear to succeed. Default: they are
	// refused with 20007.
	DropBlocked bool
	// LargeGroup is the member count from which a group is large: members who are not invited receive digests of the
	// answers to an invitation. Default: 500.
	LargeGroup int
	// GroupsPerDay and MembersPerDay limit the groups a user may create and the users one may add to groups, per day and
	// node. App servers are not limited. Negative: no limit. Default: 100 and 1000.
	GroupsPerDay, MembersPerDay int
	// OpenPerPair, OpenPerInvitee and OpenPerInviter limit open invitations from one user to another, to one user, and
	// from one user. Beyond a limit invitations are refused with 9506. Negative: no limit. Defaults: 5, 500, 1,000.
	OpenPerPair, OpenPerInvitee, OpenPerInviter int
	// DefaultTimeout is the timeout of invitations without one, in whole seconds. Default: no timeout.
	DefaultTimeout time.Duration
	// MaxTimeout limits the timeout of invitations; it also refuses invitations without a timeout. Default: no limit.
	MaxTimeout time.Duration
	// RevokeWithin is the period during which senders may revoke a message. Default: 2 min.
	RevokeWithin time.Duration
	// Retention is the age at which messages, ended invitations, calls and unused files are removed. Default: never.
	Retention time.Duration
	// FilesURL is the storage of uploaded files: s3://bucket?region=…, or another URL of gocloud.dev/blob. Default:
	// DataDir/files.
	FilesURL string
	// LinkLife is the lifetime of a file link. Default: 1 h.
	LinkLife time.Duration
	// MaxImage, MaxSound, MaxVideo and MaxFile limit uploads, in bytes. Default: 28 MiB, 28 MiB, 100 MiB, 100 MiB.
	MaxImage, MaxSound, MaxVideo, MaxFile int64
	// DecodeMemory limits the memory for decoding uploaded images into thumbnails, in bytes. A larger image gets no
	// thumbnail. Default: 256 MiB.
	DecodeMemory int64
	// DatabaseCache limits each page cache of SQLite, in bytes. Default: 64 MiB for the writer and 16 MiB for each reader.
	DatabaseCache int64
	// KeepLocation keeps the metadata of uploaded images, including the location. Default: only the orientation is kept.
	KeepLocation bool
	// LiveKitURL is the address of LiveKit for clients: wss://media.example.com. Default: this server, which proxies /rtc
	// to LiveKitAPI.
	LiveKitURL string
	// LiveKitAPI is the address of LiveKit for this server: http://127.0.0.1:7880. Default: LiveKitURL.
	LiveKitAPI string
	// LiveKitKey and LiveKitSecret are an API key of LiveKit, the secret at least 32 characters. Configure LiveKit to send
	// its webhooks, signed with the same key, to /livekit/webhook of this server. Default: none, and no media rooms.
	LiveKitKey, LiveKitSecret string
	// MediaUDPPort and MediaTCPPort are the ports of LiveKit's audio and video; clients show them in the error for a
	// network that blocks both. Default: unknown.
	MediaUDPPort, MediaTCPPort int
	// MediaPackets returns the number of packets of audio and video that a LiveKit in this process has received from a
	// user in a room; 0 = none. While it grows, a user whose signaling is silent stays in the room. Default: unknown.
	MediaPackets func(room, user string) uint64
	// RoomPolicy controls admission to media rooms: "invited" users only, or "open" to all. Default: invited.
	RoomPolicy RoomPolicy
	// RoomTokenLife is the lifetime of a room token. Default: 60 s.
	RoomTokenLife time.Duration
	// Web serves the web app at /: conversations, calls, classroom, chat room. Default: false.
	Web bool
	// SeparateAdmin makes Handler refuse API keys, and serve neither the console nor /metrics: AdminHandler does, at an
	// address that devices cannot reach. Default: Handler serves everything.
	SeparateAdmin bool
	// Console serves the operators' console at /console; sign-in is with an API key. Default: false.
	Console bool
	// MaxBatch limits the actions that share one commit. Default: 256.
	MaxBatch int
	// NoSync omits the fsync of each commit: acknowledged actions are lost if the machine crashes. For measurements only.
	// Default: false.
	NoSync bool
	// Now is the clock for all decisions, in Unix milliseconds. Set it only in tests. Default: a clock that starts with
	// the wall clock, never jumps, and follows the wall clock slowly; with PostgreSQL, that of the database.
	Now func() int64
	// Wall is the wall clock of this machine in milliseconds, for tests that set it. Default: the system's.
	Wall func() int64
	// Log receives the server's log. Default: slog.Default().
	Log *slog.Logger
}

// PushConfig configures push providers.
type PushConfig struct {
	// APNsKey is the authentication key for APNs, the content of its .p8 file; APNsKeyID and APNsTeamID identify it, and
	// APNsApp is the bundle id for push tokens without one. Default: none, and no pushes to Apple devices.
	APNsKey                        []byte
	APNsKeyID, APNsTeamID, APNsApp string
	// FCMCredentials are the JSON credentials of a Firebase service account. Default: none, and no pushes over FCM.
	FCMCredentials []byte
	// APNsURL and FCMURL replace the providers' addresses, for example with a gateway. Default: the providers.
	APNsURL, FCMURL string
	// Subject is a contact for the operators of browser push services: mailto:ops@example.com. Apple requires a valid one.
	// Default: the address of this project.
	Subject string
	// Private allows Web Push and UnifiedPush endpoints at private addresses and without TLS. Such a registration lets a
	// user make this server call an internal address. Default: refused.
	Private bool
	// MessageDelay is the time that a user with a connected device has to read a message there before it is pushed to the
	// other devices. Default: 10 s.
	MessageDelay time.Duration
	// Templates override the built-in push texts, by language and kind. Default: English and Chinese.
	Templates PushTemplates
}

// PushTemplates are push texts by language (en, zh-CN) and kind (invitation, missed, message…).
type PushTemplates = push.Templates

// RoomPolicy controls admission to media rooms.
type RoomPolicy = im.RoomPolicy

// The room policies.
const (
	RoomInvited = im.RoomInvited
	RoomOpen    = im.RoomOpen
)

// DevicePolicy limits the connected devices of a user.
type DevicePolicy = gateway.Policy

// The device policies.
const (
	ManyDevices    = gateway.Many
	OnePerPlatform = gateway.OnePerPlatform
	SingleDevice   = gateway.Single
)

// shorter returns a function that reports whether a text has less than n bytes.
func shorter(n int) func(string) bool { return func(s string) bool { return len(s) < n } }

// Validate reports the first invalid setting. It connects to nothing, and does not check the settings of media.
func (c Config) Validate() error {
	if err := c.fill(); err != nil {
		return err
	}
	if err := c.auth().Validate(); err != nil {
		return err
	}
	if _, err := address.New(c.addresses()); err != nil {
		return err
	}
	if _, err := hook.New(c.hooks()); err != nil {
		return err
	}
	return store.CheckURLs(c.Postgres, c.PostgresRead)
}

func (c *Config) addresses() address.Options {
	return address.Options{Rate: c.AddressRate, Burst: c.AddressBurst, Proxies: c.TrustedProxies, Log: c.Log}
}

func (c *Config) hooks() hook.Options {
	return hook.Options{
		URL: c.Webhook, Before: c.BeforeHook, Secret: c.WebhookSecret, Kinds: c.WebhookEvents,
		SecondarySecrets: c.SecondaryWebhookSecrets, ObserveBefore: c.BeforeHookVerbs,
		BeforeTime: c.BeforeHookTime, RefuseUnanswered: c.BeforeHookRefuse, BeforeFunc: c.before(), Sink: c.after(),
		Log: c.Log,
	}
}

// fill applies defaults and validates the configuration.
func (c *Config) fill() error {
	if c.DataDir == "" {
		c.DataDir = "beckon-data"
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Full == nil {
		c.Full = func() bool { return false }
	}
	if c.JWTSecret != "" && len(c.JWTSecret) < 32 || slices.ContainsFunc(c.SecondaryJWTSecrets, shorter(32)) {
		return errors.New("each JWT secret must have at least 32 characters; a secondary one is empty or shorter")
	}
	if slices.ContainsFunc(c.SecondaryUserSigKeys, shorter(1)) {
		return errors.New("a secondary UserSig key is empty")
	}
	if c.PostgresRead != "" && c.Postgres == "" {
		return errors.New("PostgresRead has standbys of Postgres, which is missing: set Postgres too")
	}
	if c.NATS != "" && c.Postgres == "" {
		return errors.New("NATS requires a shared database: set Postgres too")
	}
	if c.Drain == 0 && c.NATS != "" {
		c.Drain = 10 * time.Second
	}
	switch c.DevicePolicy {
	case "", ManyDevices, OnePerPlatform, SingleDevice:
	default:
		return fmt.Errorf("device policy %q: must be one of: many, one-per-platform, single", c.DevicePolicy)
	}
	if c.RoomPolicy != "" && c.RoomPolicy != RoomInvited && c.RoomPolicy != RoomOpen {
		return fmt.Errorf("room policy %q: must be one of: invited, open", c.RoomPolicy)
	}
	if c.Retention < 0 || c.LinkLife < 0 || c.RevokeWithin < 0 || c.DefaultTimeout < 0 || c.MaxTimeout < 0 ||
		c.LargeGroup < 0 || c.RoomTokenLife < 0 {
		return errors.New("retention, timeouts, lifetimes and large group must not be negative")
	}
	if (c.UserSigAppID == 0) != (c.UserSigKey == "") {
		return errors.New("UserSig requires both the application id and the key")
	}
	return nil
}
