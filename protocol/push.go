package protocol

// PushProvider is a push service.
type PushProvider string

// The providers.
const (
	PushAPNs     PushProvider = "apns"        // Apple, alerts
	PushAPNsVoIP PushProvider = "apnsVoIP"    // Apple PushKit: calls only
	PushFCM      PushProvider = "fcm"         // Firebase Cloud Messaging, v1
	PushWeb      PushProvider = "webPush"     // RFC 8030, with VAPID
	PushUnified  PushProvider = "unifiedPush" // the same, by a distributor
)

// SetPushTokenRequest registers a push token of the calling device.
type SetPushTokenRequest struct {
	Provider     PushProvider         `json:"provider" enum:"apns,apnsVoIP,fcm,webPush,unifiedPush" doc:"The push service. A device may have one token per provider."`
	Token        string               `json:"token,omitempty" limit:"4096 bytes" doc:"apns and apnsVoIP: the device token in hex; fcm: the registration token."`
	Subscription *WebPushSubscription `json:"subscription,omitempty" doc:"webPush: the result of pushManager.subscribe. unifiedPush: the endpoint and keys of the distributor."`
	App          string               `json:"app,omitempty" doc:"apns: the bundle id of the app. Default: the one in the server's configuration."`
	Sandbox      bool                 `json:"sandbox,omitempty" doc:"apns: the token belongs to a development build."`
	Language     string               `json:"language,omitempty" limit:"35 bytes" doc:"Language of push texts, as en or zh-CN. Default: the language of the profile."`
}

// WebPushSubscription is a PushSubscription.
type WebPushSubscription struct {
	Endpoint string      `json:"endpoint" limit:"https address" doc:"An https URL."`
	Keys     WebPushKeys `json:"keys"`
}

// WebPushKeys are the encryption keys of a subscription, in base64url.
type WebPushKeys struct {
	P256dh string `json:"p256dh" limit:"87 of base64url"`
	Auth   string `json:"auth" limit:"22 of base64url"`
}

// SetPushTokenResponse acknowledges a token.
type SetPushTokenResponse struct {
	ServerTime int64 `json:"serverTime"`
}

// DeletePushTokenRequest removes the push tokens of the calling device.
type DeletePushTokenRequest struct {
	Provider PushProvider `json:"provider,omitempty" enum:"apns,apnsVoIP,fcm,webPush,unifiedPush" doc:"Only the token of this provider."`
	All      bool         `json:"all,omitempty" doc:"The tokens of all devices of the user."`
}

// DeletePushTokenResponse is the number of removed tokens.
type DeletePushTokenResponse struct {
	Deleted    int   `json:"deleted"`
	ServerTime int64 `json:"serverTime"`
}

// PushConfigResponse lists the push services of this server.
type PushConfigResponse struct {
	Providers  []PushProvider `json:"providers"`
	WebPushKey string         `json:"webPushKey,omitempty"` // the applicationServerKey for pushManager.subscribe
}

// PushKind is the kind of a push.
type PushKind string

// The kinds of pushes.
const (
	PushInvitation PushKind = "invitation" // start ringing
	PushEnded      PushKind = "ended"      // stop ringing: State has the outcome
	PushMessage    PushKind = "message"
	PushRead       PushKind = "read" // remove those of MessageIDList
	PushRevoked    PushKind = "revoked"
	PushTest       PushKind = "test" // acknowledge it
)

// PushNotice is the payload of a push for the app: the body of a Web Push, the key "beckon" of an APNs payload, and the
// key "beckon" of the data of an FCM message, there as text.
type PushNotice struct {
	Kind   PushKind `json:"kind"`
	UserID string   `json:"userID"` // the recipient; a device that has another user by now ignores the push
	Title  string   `json:"title,omitempty"`
	Body   string   `json:"body,omitempty"`
	Ext    string   `json:"ext,omitempty"` // of offlinePush
	// invitation: the argument of getSignalingInfo and addInvitedSignaling
	Signaling *Signaling `json:"signaling,omitempty"`
	// the data of the invitation is too long for a push; use getInvitation
	Cut bool `json:"cut,omitempty"`
	// authorizes accept, reject, ring and getInvitation of this invitation, or ackPushTest of this test
	AnswerToken string `json:"answerToken,omitempty"`
	TestID      string `json:"testID,omitempty"`
	State       string `json:"state,omitempty"` // ended: accepted, rejected, cancelled, timedOut
	MessageID   string `json:"messageID,omitempty"`
	// read, revoked: at most 30
	MessageIDList []string `json:"messageIDList,omitempty"`
	From          string   `json:"from,omitempty"`
	GroupID       string   `json:"groupID,omitempty"`
	Time          int64    `json:"time"` // server time, Unix milliseconds
}
