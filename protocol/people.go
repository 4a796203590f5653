package protocol

import "encoding/json"

// Profile is what people see of a user.
type Profile struct {
	UserID     string            `json:"userID" doc:"Whose."`
	Nick       string            `json:"nick,omitempty" doc:"At most 500 bytes."`
	FaceURL    string            `json:"faceURL,omitempty" doc:"At most 500 bytes."`
	Signature  string            `json:"signature,omitempty" doc:"At most 500 bytes."`
	Gender     int               `json:"gender,omitempty" doc:"0 unknown, 1 male, 2 female."`
	Birthday   int               `json:"birthday,omitempty" doc:"As 20001231."`
	Language   string            `json:"language,omitempty" doc:"As en or zh-CN, at most 35 bytes."`
	CustomInfo map[string]string `json:"customInfo,omitempty" doc:"At most 20 keys of 32 bytes, values of 500."`
}

// SetSelfInfoRequest changes the caller's profile. Fields that are left out stay as they are.
type SetSelfInfoRequest struct {
	Nick       *string           `json:"nick,omitempty" doc:"At most 500 bytes."`
	FaceURL    *string           `json:"faceURL,omitempty" doc:"At most 500 bytes."`
	Signature  *string           `json:"signature,omitempty" doc:"At most 500 bytes."`
	Gender     *int              `json:"gender,omitempty" doc:"0 unknown, 1 male, 2 female."`
	Birthday   *int              `json:"birthday,omitempty" doc:"As 20001231; 0 removes it."`
	Language   *string           `json:"language,omitempty" doc:"As en or zh-CN, at most 35 bytes."`
	CustomInfo map[string]string `json:"customInfo,omitempty" doc:"Keys to set; an empty value removes one."`
}

// ProfileResponse is a profile as it is now.
type ProfileResponse struct {
	Profile    Profile `json:"profile"`
	ServerTime int64   `json:"serverTime"`
}

// UsersRequest names people.
type UsersRequest struct {
	UserIDList []string `json:"userIDList" doc:"The people, at most 200."`
}

// ProfilesResponse is a list of profiles. Who has none has only an id.
type ProfilesResponse struct {
	Profiles []Profile `json:"profiles"`
}

// PeopleResponse acknowledges what was done about people.
type PeopleResponse struct {
	UserIDList []string `json:"userIDList"` // those for whom something changed
	ServerTime int64    `json:"serverTime"`
}

// BlockListRequest asks for a page of those whom the caller blocks.
type BlockListRequest struct {
	After string `json:"after,omitempty" doc:"The last userID of the page before."`
	Limit int    `json:"limit,omitempty" doc:"1–1000. Default: 100."`
}

// BlockListResponse is a page of people.
type BlockListResponse struct {
	UserIDList []string `json:"userIDList"`
	Next       string   `json:"next,omitempty"`
}

// The statuses.
const (
	StatusOnline  = "online"
	StatusOffline = "offline"
)

// UserStatus says whether a user has a connected device.
type UserStatus struct {
	UserID       string `json:"userID"`
	Status       string `json:"status"` // online, offline
	CustomStatus string `json:"customStatus,omitempty"`
}

// StatusResponse is the status of people.
type StatusResponse struct {
	Statuses []UserStatus `json:"statuses"`
}

// SetSelfStatusRequest sets the caller's custom status.
type SetSelfStatusRequest struct {
	CustomStatus string `json:"customStatus" doc:"At most 256 bytes; empty removes it."`
}

// DoNotDisturb says when a person wants no push and no ringing.
type DoNotDisturb struct {
	Until      int64  `json:"until,omitempty" doc:"Until this server time, in milliseconds. 0 = not."`
	DailyFrom  string `json:"dailyFrom,omitempty" doc:"Every day from this time, as 22:00."`
	DailyUntil string `json:"dailyUntil,omitempty" doc:"To this time, as 07:00; it may be of the next day."`
	ZoneOffset int    `json:"zoneOffset,omitempty" doc:"Minutes east of UTC that the daily times are meant in, -720 to 840."`
	Show       bool   `json:"show,omitempty" doc:"Whoever invites this person is told of it."`
}

// DoNotDisturbResponse is the caller's setting.
type DoNotDisturbResponse struct {
	DoNotDisturb DoNotDisturb `json:"doNotDisturb"`
	Active       bool         `json:"active"` // now
	ServerTime   int64        `json:"serverTime"`
}

// Empty asks for nothing more.
type Empty struct{}

// Device is a connected device of the caller.
type Device struct {
	DeviceID    string `json:"deviceID"`
	Platform    string `json:"platform,omitempty"`
	ConnectedAt int64  `json:"connectedAt"` // server time, milliseconds
	This        bool   `json:"this,omitempty"`
}

// DevicesResponse lists the caller's connected devices.
type DevicesResponse struct {
	Devices []Device `json:"devices"`
}

// KickDeviceRequest ends the connection of a device of the caller's.
type KickDeviceRequest struct {
	DeviceID string `json:"deviceID,omitempty" doc:"Which. Default: all but this one."`
}

// KickDeviceResponse says which devices were sent away.
type KickDeviceResponse struct {
	Devices []string `json:"devices"`
}

// PersonEvent tells of people: a user's own other devices of changes, and subscribers of presence.
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

// ImportUsersRequest writes profiles as they were elsewhere, over those that exist.
type ImportUsersRequest struct {
	Users []Profile `json:"users" doc:"At most 1000."`
}

// EraseUserRequest takes a person out of the house.
type EraseUserRequest struct {
	UserID string `json:"userID" doc:"Whom. Whoever owns a group hands it over first, or ends it."`
}

// ExportUserRequest asks for what is stored about a person.
type ExportUserRequest struct {
	UserID string `json:"userID" doc:"Whom."`
	After  string `json:"after,omitempty" doc:"The page before's next."`
	Limit  int    `json:"limit,omitempty" doc:"1–1000. Default: 100."`
}

// ExportUserResponse is a page of what is stored about a person. A page may have fewer entries than were asked for, and
// none, though more follows.
type ExportUserResponse struct {
	Entries []json.RawMessage `json:"entries"`        // objects, each with its kind
	Next    string            `json:"next,omitempty"` // absent: this is the last page
}

// EraseUserResponse says what was cleared.
type EraseUserResponse struct {
	Records int `json:"records"` // messages and signaling of others' timelines that were written anew
	Groups  int `json:"groups"`  // that the person was in
	Files   int `json:"files"`   // that the person had uploaded
}
