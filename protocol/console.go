package protocol

// ListConnectionsRequest asks for a page of the connections of all nodes.
type ListConnectionsRequest struct {
	UserID string `json:"userID,omitempty" doc:"Only of people whose id begins with this."`
	After  string `json:"after,omitempty" doc:"The next of the page before."`
	Limit  int    `json:"limit,omitempty" doc:"1–1000. Default: 100."`
}

// Connection is a connected device.
type Connection struct {
	UserID string `json:"userID"`
	Device
}

// ListConnectionsResponse is a page of connections, by person and device.
type ListConnectionsResponse struct {
	Connections []Connection `json:"connections"`
	Next        string       `json:"next,omitempty"`
	Total       int          `json:"total"` // connections of all nodes that answered in time
	Nodes       int          `json:"nodes"` // of the house
	ServerTime  int64        `json:"serverTime"`
}

// ListOpenInvitationsRequest asks for a page of the invitations that are open for anybody.
type ListOpenInvitationsRequest struct {
	After string `json:"after,omitempty" doc:"The next of the page before."`
	Limit int    `json:"limit,omitempty" doc:"1–1000. Default: 100."`
}

// ListOpenInvitationsResponse is a page of invitations, by inviter.
type ListOpenInvitationsResponse struct {
	Invitations []Invitation `json:"invitations"`
	Next        string       `json:"next,omitempty"`
	Total       int64        `json:"total"` // that are open
	ServerTime  int64        `json:"serverTime"`
}

// TraceInvitationRequest asks what became of an invitation.
type TraceInvitationRequest struct {
	InviteID string `json:"inviteID" doc:"Which."`
	UserID   string `json:"userID,omitempty" doc:"Only of this invitee. Default: of the first 100."`
}

// TraceInvitationResponse is an invitation with everything that is known to have happened, in the order of time.
type TraceInvitationResponse struct {
	Invitation Invitation   `json:"invitation"`
	Events     []TraceEvent `json:"events"`
	ServerTime int64        `json:"serverTime"`
}

// TraceEvent is one thing that happened to an invitation.
type TraceEvent struct {
	At int64 `json:"at"` // milliseconds
	// invited, ringing, accepted, rejected, cancelled, timedOut, pushed, pushWaits, pushFailed, deadline
	Event  string `json:"event"`
	UserID string `json:"userID,omitempty"` // about whom; empty = all
	Device string `json:"device,omitempty"` // which device acted
	Detail string `json:"detail,omitempty"` // the reason, what a provider said
}

// GetStatsRequest asks for figures over time.
type GetStatsRequest struct {
	From  int64 `json:"from,omitempty" doc:"Milliseconds. Default: a day before until."`
	Until int64 `json:"until,omitempty" doc:"Milliseconds. Default: now."`
	Step  int64 `json:"step,omitempty" doc:"Seconds from one point to the next: a multiple of 300, at most 1000 points. Default: 300, or as many as that takes."`
}

// GetStatsResponse is figures over time.
type GetStatsResponse struct {
	Step       int64       `json:"step"`   // seconds
	Points     []StatPoint `json:"points"` // the oldest first, one for each step, also where nothing happened
	ServerTime int64       `json:"serverTime"`
}

// StatPoint is what happened in a step of time.
type StatPoint struct {
	At       int64 `json:"at"`      // its beginning, milliseconds
	Invited  int64 `json:"invited"` // people, each for each invitation
	Accepted int64 `json:"accepted"`
	// declined, busy, cancelled, answered (by others first), left (the group), timedOut
	Failures    map[string]int64 `json:"failures,omitempty"`
	AnswerMs    *Percentiles     `json:"answerMs,omitempty"` // from the invitation to the acceptance
	Calls       int64            `json:"calls"`              // that went on, the most at a time
	Connections int64            `json:"connections"`        // the most at a time
}

// Percentiles are bounds below which so many of a hundred lie, in milliseconds.
type Percentiles struct {
	P50 int64 `json:"p50"`
	P90 int64 `json:"p90"`
}

// ListUsersRequest asks for a page of people.
type ListUsersRequest struct {
	UserID string `json:"userID,omitempty" doc:"Only people whose id begins with this."`
	After  string `json:"after,omitempty" doc:"The last userID of the page before."`
	Limit  int    `json:"limit,omitempty" doc:"1–1000. Default: 100."`
}

// ListedUser is somebody who took part in anything.
type ListedUser struct {
	UserID  string `json:"userID"`
	Nick    string `json:"nick,omitempty"`
	Devices int    `json:"devices"`          // connected now, to any node
	Pushes  bool   `json:"pushes,omitempty"` // may be reached when away
}

// ListUsersResponse is a page of people.
type ListUsersResponse struct {
	Users []ListedUser `json:"users"`
	Next  string       `json:"next,omitempty"`
}

// ListGroupsRequest asks for a page of groups.
type ListGroupsRequest struct {
	Find  string `json:"find,omitempty" doc:"Only groups whose id or name contains this."`
	After string `json:"after,omitempty" doc:"The last groupID of the page before."`
	Limit int    `json:"limit,omitempty" doc:"1–1000. Default: 100."`
}

// ListGroupsResponse is a page of groups.
type ListGroupsResponse struct {
	Groups []Group `json:"groups"`
	Next   string  `json:"next,omitempty"`
}
