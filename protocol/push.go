package protocol

// PushProvider names who carries pushes to a device.
type PushProvider string

// The providers.
const (
	PushAPNs     PushProvider = "apns"     // Apple, alerts
	PushAPNsVoIP PushProvider = "apnsVoIP" // Apple, PushKit: calls alone
	PushFCM      PushProvider = "fcm"      // Firebase Cloud Messaging, v1
	PushWeb      PushProvider = "webPush"  // RFC 8030, with VAPID
)

// SetPushTokenRequest registers where this device is reached when it is not connected.
type SetPushTokenRequest struct {
	Provider     PushProvider         `json:"provider" enum:"apns,apnsVoIP,fcm,webPush" doc:"Who carries pushes to it. A device may have one token of each."`
	Token        string               `json:"token,omitempty" doc:"apns and apnsVoIP: the device token in hex; fcm: the registration token. At most 4096 bytes."`
	Subscription *WebPushSubscription `json:"subscription,omitempty" doc:"webPush: what pushManager.subscribe gave, as JSON."`
	App          string               `json:"app,omitempty" doc:"apns: the bundle id of the app. Default: the one that the server is configured with."`
	Sandbox      bool                 `json:"sandbox,omitempty" doc:"apns: the token is of a development build."`
	Language     string               `json:"language,omitempty" doc:"As en or zh-CN, at most 35 bytes: of what pushes say. Default: the language of the profile."`
}

// WebPushSubscription is a PushSubscription of a browser.
type WebPushSubscription struct {
	Endpoint string      `json:"endpoint" doc:"An https address."`
	Keys     WebPushKeys `json:"keys"`
}

// WebPushKeys are those that pushes are encrypted with, in base64url.
type WebPushKeys struct {
	P256dh string `json:"p256dh"`
	Auth   string `json:"auth"`
}

// SetPushTokenResponse acknowledges a token.
type SetPushTokenResponse struct {
	ServerTime int64 `json:"serverTime"`
}

// DeletePushTokenRequest forgets the tokens of this device.
type DeletePushTokenRequest struct {
	Provider PushProvider `json:"provider,omitempty" enum:"apns,apnsVoIP,fcm,webPush" doc:"Only the one of this provider."`
	All      bool         `json:"all,omitempty" doc:"Those of all devices of the user."`
}

// DeletePushTokenResponse says how many tokens were forgotten.
type DeletePushTokenResponse struct {
	Deleted    int   `json:"deleted"`
	ServerTime int64 `json:"serverTime"`
}

// PushConfigResponse says which pushes this server sends.
type PushConfigResponse struct {
	Providers  []PushProvider `json:"providers"`
	WebPushKey string         `json:"webPushKey,omitempty"` // the applicationServerKey of pushManager.subscribe
}

// PushKind says what a push tells.
type PushKind string

// The kinds of pushes.
const (
	PushInvitation PushKind = "invitation" // ring
	PushEnded      PushKind = "ended"      // ring no longer: state says why
	PushMessage    PushKind = "message"
)

// PushNotice is what an app receives by a push: the whole of a Web Push, the key "beckon" of an APNs payload, and the
// key "beckon" of the data of an FCM message, there as text.
type PushNotice struct {
	Kind      PushKind   `json:"kind"`
	UserID    string     `json:"userID"` // who it is for; a device that is somebody else's by now ignores it
	Title     string     `json:"title,omitempty"`
	Body      string     `json:"body,omitempty"`
	Ext       string     `json:"ext,omitempty"`       // of offlinePush
	Signaling *Signaling `json:"signaling,omitempty"` // invitation: what getSignalingInfo and addInvitedSignaling take
	// the data of the invitation was too long for a push; getInvitation has it
	Cut bool `json:"cut,omitempty"`
	// lets accept, reject, ring and getInvitation of this invitation be called, and nothing else
	AnswerToken string `json:"answerToken,omitempty"`
	State       string `json:"state,omitempty"` // ended: accepted, rejected, cancelled, timedOut
	MessageID   string `json:"messageID,omitempty"`
	From        string `json:"from,omitempty"`
	GroupID     string `json:"groupID,omitempty"`
	Time        int64  `json:"time"` // server time, milliseconds
}
