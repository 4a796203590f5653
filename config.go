package beckon

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/gateway"
	"github.com/beckon-im/beckon/internal/push"
)

// Config is everything that can be chosen. The zero value works: it keeps its data and its keys in ./beckon-data.
type Config struct {
	// DataDir is where the database and the generated keys are. One server at a time may use it. Default: "beckon-data".
	DataDir string
	// Postgres is the address of a PostgreSQL database to use instead of the one in DataDir, as libpq has it:
	// postgres://user@host1,host2/name?target_session_attrs=read-write. Any number of servers may share it. Default: none.
	Postgres string
	// NATS is the address of the servers by which the nodes of a house reach each other:
	// nats://host1:4222,nats://host2:4222. It needs Postgres. Default: none, which is right for one node.
	NATS string
	// Writers is how many connections commit to PostgreSQL side by side. With more, commits are smaller and cost more.
	// Default: 2.
	Writers int
	// Sweep is how often a node compares what it delivered with the log: an event whose hint was lost comes so late at
	// most. Default: 2 s.
	Sweep time.Duration
	// Drain is over how long devices are sent to other nodes when this one stops. Default: 10 s with NATS, else none.
	// Negative: none.
	Drain time.Duration
	// JWTSecret verifies the HS256 tokens of devices. Default: generated once, kept in DataDir/keys.json.
	JWTSecret string
	// JWKSURL is where the public keys for RS256 and ES256 tokens are. Default: none.
	JWKSURL string
	// JWTIssuer and JWTAudience must stand in a token when set. Default: not checked.
	JWTIssuer, JWTAudience string
	// UserSigAppID and UserSigKey let devices in with a UserSig (TLSSigAPIv2). Default: none.
	UserSigAppID int64
	UserSigKey   string
	// APIKeys let app servers act for any user; at least 16 characters each. Default: one generated, kept in
	// DataDir/keys.json.
	APIKeys []string
	// Origins are the web origins whose pages may connect; "*" allows all. Default: pages of the server's own host.
	Origins []string
	// UserRate and UserBurst bound the calls of one user, per second and at once. Default: 100 and 200.
	UserRate  float64
	UserBurst int
	// AddressRate and AddressBurst bound the connects and requests of one address; a wrong token or key costs as much as a
	// hundred of them. Default: 1000 and 5000.
	AddressRate  float64
	AddressBurst int
	// TrustedProxies are the addresses and networks (10.0.0.0/8) of proxies in front of this server, which say in
	// X-Forwarded-For whom they speak for. Without them all devices behind a proxy count as one address. Default: none.
	TrustedProxies []string
	// Full says that the process has no room for more: then nothing new is taken, nobody more connects, and what rings
	// goes on. Default: it always has.
	Full func() bool
	// Ping is how often a device's link is checked; a dead one is noticed within four thirds of it and the second that it
	// has to close. Default: 10 s, so within 15 s.
	Ping time.Duration
	// Webhook is where events are sent when something has happened, BeforeHook where is asked before something happens,
	// both signed with WebhookSecret: whsec_ and base64 of 24 to 64 bytes. Default: nowhere.
	Webhook, BeforeHook, WebhookSecret string
	// WebhookEvents are the kinds that are sent (invitation.created), or families of them (invitation). Default: all.
	WebhookEvents []string
	// BeforeHookVerbs are the verbs before which is asked: invite, sendMessage, joinGroup, connect. Default: all of these.
	BeforeHookVerbs []string
	// BeforeHookTime is how long is waited for the answer, and BeforeHookRefuse refuses what was asked about when none
	// came. Default: 2 s, and it goes on.
	BeforeHookTime   time.Duration
	BeforeHookRefuse bool
	// Push is how people are reached who have no connected device. Default: by Web Push alone.
	Push PushConfig
	// Traces is a collector of OpenTelemetry to which traces are sent by OTLP over HTTP: http://127.0.0.1:4318. Invite,
	// pushes and answers of an invitation are one trace. Default: none.
	Traces string
	// AuditLog is a file to which everything is added that app servers change, as lines of JSON. Default: none.
	AuditLog string
	// DevicePolicy says how many devices a user may have connected: "many", "one-per-platform", "single". The newest
	// stays. Default: many.
	DevicePolicy DevicePolicy
	// DropBlocked lets messages and invitations to somebody who blocks the sender seem to succeed. Default: they are
	// refused with 20007.
	DropBlocked bool
	// LargeGroup is how many members make a group large: its onlookers hear digests of the answers to an invitation.
	// Default: 500.
	LargeGroup int
	// GroupsPerDay and MembersPerDay are how many groups one user may create a day, and how many users one may bring into
	// groups, on each node. App servers have no bound. Negative: nobody has. Default: 100 and 1000.
	GroupsPerDay, MembersPerDay int
	// OpenPerPair, OpenPerInvitee and OpenPerInviter bound the open invitations of one user to another, to one user, and
	// of one user. Over a bound an invitation is refused with 9506. Negative: no bound. Defaults: 5, 500, 1,000.
	OpenPerPair, OpenPerInvitee, OpenPerInviter int
	// DefaultTimeout is the timeout of invitations that give none, in whole seconds. Default: they never time out.
	DefaultTimeout time.Duration
	// MaxTimeout bounds the timeout of invitations; one that never times out is above every bound. Default: none.
	MaxTimeout time.Duration
	// RevokeWithin is how long senders may take back a message. Default: 2 min.
	RevokeWithin time.Duration
	// Retention is how long messages and other records are kept. Default: for ever.
	Retention time.Duration
	// FilesURL says where uploaded files are: s3://bucket?region=…, or another of gocloud.dev/blob. Default:
	// DataDir/files.
	FilesURL string
	// LinkLife is how long a link to a file can be used. Default: 1 h.
	LinkLife time.Duration
	// MaxImage, MaxSound, MaxVideo and MaxFile bound uploads, in bytes. Default: 28 MiB, 28 MiB, 100 MiB, 100 MiB.
	MaxImage, MaxSound, MaxVideo, MaxFile int64
	// DecodeMemory limits the memory in which uploaded images are decoded for their thumbnails, in bytes. An image that
	// needs more has no thumbnail. Default: 256 MiB.
	DecodeMemory int64
	// DatabaseCache limits the page caches of SQLite, in bytes. Default: 64 MiB for the writer and 16 MiB for each reader.
	DatabaseCache int64
	// KeepLocation keeps the metadata of uploaded images: where they were taken, and all else. Default: the orientation
	// alone.
	KeepLocation bool
	// LiveKitURL is where people reach the media server: wss://media.example.com. Default: through this server, which
	// passes on /rtc to LiveKitAPI.
	LiveKitURL string
	// LiveKitAPI is where this server reaches it: http://127.0.0.1:7880. Default: LiveKitURL.
	LiveKitAPI string
	// LiveKitKey and LiveKitSecret are one of its API keys, the secret at least 32 characters. Let it send its webhooks,
	// signed with the same key, to /livekit/webhook of this server. Default: none, and no media rooms.
	LiveKitKey, LiveKitSecret string
	// RoomPolicy says who may enter media rooms: "invited", or "open" for everybody. Default: invited.
	RoomPolicy RoomPolicy
	// RoomTokenLife is for how long one may enter a room with a token. Default: 60 s.
	RoomTokenLife time.Duration
	// Web shows the pages at /: conversations, calls, classroom, chat room. Default: false.
	Web bool
	// Console shows the console for operators at /console, who sign in with an API key. Default: false.
	Console bool
	// MaxBatch bounds the actions that share one commit. Default: 256.
	MaxBatch int
	// NoSync leaves out the fsync at each commit: acknowledged actions are lost when the machine dies. For measuring
	// only. Default: false.
	NoSync bool
	// Now is the clock that decides, in milliseconds. Change it only in tests. Default: the system's.
	Now func() int64
	// Log receives what operators should know. Default: slog.Default().
	Log *slog.Logger
}

// PushConfig is everything that can be chosen about pushes.
type PushConfig struct {
	// APNsKey is the authentication key of APNs, as its .p8 file has it, APNsKeyID and APNsTeamID say whose it is, and
	// APNsApp is the bundle id of apps that do not say theirs. Default: none, and no pushes to Apple's devices.
	APNsKey                        []byte
	APNsKeyID, APNsTeamID, APNsApp string
	// FCMCredentials are those of a service account of Firebase, as its JSON file has them. Default: none, and no pushes
	// by FCM.
	FCMCredentials []byte
	// APNsURL and FCMURL replace the addresses of the providers, as of a gateway between. Default: theirs.
	APNsURL, FCMURL string
	// Subject is whom the operators of browsers' push services can write to: mailto:ops@example.com. Apple's wants a true
	// one. Default: the address of this project.
	Subject string
	// Private lets Web Push endpoints have private addresses, and be reached without TLS. Registering one makes this
	// server call it. Default: refused.
	Private bool
	// Templates are what pushes say, over what they say by themselves: by language and kind. Default: English and Chinese.
	Templates PushTemplates
}

// PushTemplates are what pushes say: by language (en, zh-CN) and kind (invitation, missed, message…).
type PushTemplates = push.Templates

// RoomPolicy says who may enter media rooms.
type RoomPolicy = im.RoomPolicy

// The room policies.
const (
	RoomInvited = im.RoomInvited
	RoomOpen    = im.RoomOpen
)

// DevicePolicy says how many devices a user may have connected.
type DevicePolicy = gateway.Policy

// The device policies.
const (
	ManyDevices    = gateway.Many
	OnePerPlatform = gateway.OnePerPlatform
	SingleDevice   = gateway.Single
)

// fill completes the configuration with defaults and generated keys.
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
	if c.JWTSecret != "" && len(c.JWTSecret) < 32 {
		return errors.New("the JWT secret is shorter than 32 characters, which can be guessed; use a longer one")
	}
	if c.NATS != "" && c.Postgres == "" {
		return errors.New("several nodes (NATS) need a database that they share: set Postgres too")
	}
	if c.Drain == 0 && c.NATS != "" {
		c.Drain = 10 * time.Second
	}
	switch c.DevicePolicy {
	case "", ManyDevices, OnePerPlatform, SingleDevice:
	default:
		return fmt.Errorf("the device policy %q is none of many, one-per-platform, single", c.DevicePolicy)
	}
	if c.RoomPolicy != "" && c.RoomPolicy != RoomInvited && c.RoomPolicy != RoomOpen {
		return fmt.Errorf("the room policy %q is none of invited, open", c.RoomPolicy)
	}
	if c.Retention < 0 || c.LinkLife < 0 || c.RevokeWithin < 0 || c.DefaultTimeout < 0 || c.MaxTimeout < 0 ||
		c.LargeGroup < 0 || c.RoomTokenLife < 0 {
		return errors.New("retention, link life, room token life, revoke time and large group may not be negative")
	}
	if (c.UserSigAppID == 0) != (c.UserSigKey == "") {
		return errors.New("UserSig needs both the application id and the key")
	}
	return nil
}
