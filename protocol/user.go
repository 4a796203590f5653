package protocol

// Profile is the public profile of a user.
type Profile struct {
	UserID     string            `json:"userID" doc:"The user."`
	Nick       string            `json:"nick,omitempty" limit:"500 bytes"`
	FaceURL    string            `json:"faceURL,omitempty" limit:"500 bytes"`
	Signature  string            `json:"signature,omitempty" limit:"500 bytes"`
	Gender     int               `json:"gender,omitempty" doc:"0 unknown, 1 male, 2 female."`
	Birthday   int               `json:"birthday,omitempty" limit:"0..99991231" doc:"As 20001231."`
	Language   string            `json:"language,omitempty" limit:"35 bytes" doc:"As en or zh-CN."`
	CustomInfo map[string]string `json:"customInfo,omitempty" limit:"20 keys of 32 bytes, values of 500 bytes"`
}

// SetSelfInfoRequest changes the caller's profile; omitted fields stay.
type SetSelfInfoRequest struct {
	Nick       *string           `json:"nick,omitempty" limit:"500 bytes"`
	FaceURL    *string           `json:"faceURL,omitempty" limit:"500 bytes"`
	Signature  *string           `json:"signature,omitempty" limit:"500 bytes"`
	Gender     *int              `json:"gender,omitempty" doc:"0 unknown, 1 male, 2 female."`
	Birthday   *int              `json:"birthday,omitempty" limit:"0..99991231" doc:"As 20001231; 0 removes it."`
	Language   *string           `json:"language,omitempty" limit:"35 bytes" doc:"As en or zh-CN."`
	CustomInfo map[string]string `json:"customInfo,omitempty" limit:"20 keys of 32 bytes, values of 500 bytes" doc:"Keys to set; an empty value removes one."`
}

// ProfileResponse is a profile after the change.
type ProfileResponse struct {
	Profile    Profile `json:"profile"`
	ServerTime int64   `json:"serverTime"`
}

// UsersRequest names users.
type UsersRequest struct {
	UserIDList []string `json:"userIDList" limit:"1..200 items" doc:"The users."`
}

// UnsubscribeRequest ends subscriptions to the presence of users.
type UnsubscribeRequest struct {
	UserIDList []string `json:"userIDList,omitempty" limit:"200 items" doc:"The users. Default: all."`
}

// ProfilesResponse is a list of profiles. A user without a profile has only an ID.
type ProfilesResponse struct {
	Profiles []Profile `json:"profiles"`
}

// PeopleResponse acknowledges a change concerning users.
type PeopleResponse struct {
	UserIDList []string `json:"userIDList"` // the users with a change
	ServerTime int64    `json:"serverTime"`
}

// BlockListRequest requests a page of users blocked by the caller.
type BlockListRequest struct {
	After string `json:"after,omitempty" doc:"next of the previous page."`
	Limit int    `json:"limit,omitempty"`
}

// BlockListResponse is a page of blocked users.
type BlockListResponse struct {
	UserIDList []string `json:"userIDList"`
	Next       string   `json:"next,omitempty"`
}

// The statuses.
const (
	StatusOnline  = "online"
	StatusOffline = "offline"
)

// UserStatus is the presence of a user.
type UserStatus struct {
	UserID       string `json:"userID"`
	Status       string `json:"status"` // online, offline
	CustomStatus string `json:"customStatus,omitempty"`
}

// StatusResponse is the presence of users.
type StatusResponse struct {
	Statuses []UserStatus `json:"statuses"`
}

// SetSelfStatusRequest sets the caller's custom status.
type SetSelfStatusRequest struct {
	CustomStatus string `json:"customStatus" limit:"256 bytes" doc:"At most 256 bytes; empty removes it."`
}

// DoNotDisturb is the period without pushes and ringing.
type DoNotDisturb struct {
	Until      int64  `json:"until,omitempty" limit:"0.." doc:"End of do-not-disturb, server time in Unix milliseconds. 0 = not set."`
	DailyFrom  string `json:"dailyFrom,omitempty" limit:"time of day" doc:"Start of the daily period, as 22:00."`
	DailyUntil string `json:"dailyUntil,omitempty" limit:"time of day" doc:"End of the daily period, as 07:00; may be on the next day."`
	ZoneOffset int    `json:"zoneOffset,omitempty" limit:"-720..840" doc:"Time zone of the daily period, minutes east of UTC."`
	Show       bool   `json:"show,omitempty" doc:"Inviters see that the user does not want to be disturbed."`
}

// DoNotDisturbResponse is the caller's setting.
type DoNotDisturbResponse struct {
	DoNotDisturb DoNotDisturb `json:"doNotDisturb"`
	Active       bool         `json:"active"` // in effect now
	ServerTime   int64        `json:"serverTime"`
}

// Empty is an empty request.
type Empty struct{}

// Device is a connected device of the caller.
type Device struct {
	DeviceID    string `json:"deviceID"`
	Platform    string `json:"platform,omitempty"`
	ConnectedAt int64  `json:"connectedAt"` // server time, Unix milliseconds
	This        bool   `json:"this,omitempty"`
}

// DevicesResponse lists the caller's connected devices.
type DevicesResponse struct {
	Devices []Device `json:"devices"`
}

// KickDeviceRequest disconnects a device of the caller.
type KickDeviceRequest struct {
	DeviceID string `json:"deviceID,omitempty" doc:"The device. Default: all except the calling one."`
}

// KickDeviceResponse lists the disconnected devices.
type KickDeviceResponse struct {
	Devices []string `json:"devices"`
}

// PersonEvent is a change concerning users: of the user's own data, to the user's other devices, or of presence, to
// subscribers.
type PersonEvent struct {
	Type      string        `json:"type"` // userChanged, userStatus
	UserID    string        `json:"userID"`
	Profile   *Profile      `json:"profile,omitempty"`
	Blocked   []string      `json:"blocked,omitempty"`
	Unblocked []string      `json:"unblocked,omitempty"`
	Disturb   *DoNotDisturb `json:"doNotDisturb,omitempty"`
	Followed  []string      `json:"followed,omitempty"`
	Left      []string      `json:"unfollowed,omitempty"`
	Status    *UserStatus   `json:"status,omitempty"` // userStatus
	Time      int64         `json:"time"`
}

// ImportUsersRequest writes profiles, over existing ones.
type ImportUsersRequest struct {
	Users []Profile `json:"users" limit:"1..1000 items"`
}

// Connection is a connected device.
type Connection struct {
	UserID string `json:"userID"`
	Device
}
