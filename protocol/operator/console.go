// Package operator holds the requests and responses of the methods for operators: the pages of the console, erasures.
package operator

import "github.com/beckon-im/beckon/protocol"

// ListConnectionsRequest requests a page of the connections of all nodes.
type ListConnectionsRequest struct {
	UserID string `json:"userID,omitempty" limit:"any" doc:"Only of users with this ID prefix."`
	After  string `json:"after,omitempty" doc:"next of the previous page."`
	Limit  int    `json:"limit,omitempty"`
}

// ListConnectionsResponse is a page of connections, by user and device.
type ListConnectionsResponse struct {
	Connections []protocol.Connection `json:"connections"`
	Next        string                `json:"next,omitempty"`
	Total       int                   `json:"total"` // connections of all nodes that responded in time
	Nodes       int                   `json:"nodes"` // in the cluster
	ServerTime  int64                 `json:"serverTime"`
}

// ListOpenInvitationsRequest requests invitations with an open invitee.
type ListOpenInvitationsRequest struct {
	After string `json:"after,omitempty" doc:"next of the previous page."`
	Limit int    `json:"limit,omitempty"`
}

// ListOpenInvitationsResponse is a page of invitations, ordered by inviter.
type ListOpenInvitationsResponse struct {
	Invitations []protocol.Invitation `json:"invitations"`
	Next        string                `json:"next,omitempty"`
	Total       int64                 `json:"total"` // open invitations in all
	ServerTime  int64                 `json:"serverTime"`
}

// TraceInvitationRequest requests the known events of an invitation.
type TraceInvitationRequest struct {
	InviteID string `json:"inviteID" doc:"The invitation."`
	UserID   string `json:"userID,omitempty" doc:"Only events of this invitee. Default: of the first 100 invitees."`
}

// TraceInvitationResponse has the events of an invitation, the oldest first.
type TraceInvitationResponse struct {
	Invitation protocol.Invitation `json:"invitation"`
	Events     []TraceEvent        `json:"events"`
	ServerTime int64               `json:"serverTime"`
}

// TraceEvent is one event of an invitation.
type TraceEvent struct {
	At int64 `json:"at"` // server time, Unix milliseconds
	// invited, ringing, accepted, rejected, cancelled, timedOut, pushed, pushWaits, pushFailed, deadline
	Event  string `json:"event"`
	UserID string `json:"userID,omitempty"` // the invitee concerned; empty = all
	Device string `json:"device,omitempty"` // the acting device
	Detail string `json:"detail,omitempty"` // a reason, or a provider's response
}

// GetStatsRequest requests statistics over time.
type GetStatsRequest struct {
	From  int64 `json:"from,omitempty" limit:"0.." doc:"Unix milliseconds. Default: a day before until."`
	Until int64 `json:"until,omitempty" limit:"0.." doc:"Unix milliseconds. Default: now."`
	Step  int64 `json:"step,omitempty" limit:"multiple of 300" doc:"Interval of points in seconds: a multiple of 300, at most 1000 points. Default: 300, or the smallest that fits."`
}

// GetStatsResponse is statistics over time.
type GetStatsResponse struct {
	Step       int64       `json:"step"`   // seconds
	Points     []StatPoint `json:"points"` // oldest first, one per step, including empty steps
	ServerTime int64       `json:"serverTime"`
}

// StatPoint is the statistics of one step.
type StatPoint struct {
	At       int64 `json:"at"`      // start of the step, Unix milliseconds
	Invited  int64 `json:"invited"` // invitees, counted per invitation
	Accepted int64 `json:"accepted"`
	// declined, busy, cancelled, answered (acceptLimit reached by others), left (the group), timedOut
	Failures    map[string]int64 `json:"failures,omitempty"`
	AnswerMs    *Percentiles     `json:"answerMs,omitempty"` // from the invitation to the acceptance
	RingMs      *Percentiles     `json:"ringMs,omitempty"`   // from the invitation to the first ring of an invitee
	Calls       int64            `json:"calls"`              // maximum of concurrent calls
	Connections int64            `json:"connections"`        // maximum of concurrent connections
}

// Percentiles are percentiles of a duration, in milliseconds.
type Percentiles struct {
	P50 int64 `json:"p50"`
	P90 int64 `json:"p90"`
}

// ListUsersRequest requests a page of users.
type ListUsersRequest struct {
	UserID string `json:"userID,omitempty" limit:"any" doc:"Only users with this ID prefix."`
	After  string `json:"after,omitempty" doc:"next of the previous page."`
	Limit  int    `json:"limit,omitempty"`
}

// ListedUser is a user with any stored activity.
type ListedUser struct {
	UserID  string `json:"userID"`
	Nick    string `json:"nick,omitempty"`
	Devices int    `json:"devices"`          // connected to any node
	Pushes  bool   `json:"pushes,omitempty"` // has a push token
}

// ListUsersResponse is a page of users.
type ListUsersResponse struct {
	Users []ListedUser `json:"users"`
	Next  string       `json:"next,omitempty"`
}

// ListGroupsRequest requests a page of groups.
type ListGroupsRequest struct {
	Find  string `json:"find,omitempty" doc:"Only groups with this text in the ID or name."`
	After string `json:"after,omitempty" doc:"next of the previous page."`
	Limit int    `json:"limit,omitempty"`
}

// ListGroupsResponse is a page of groups.
type ListGroupsResponse struct {
	Groups []protocol.Group `json:"groups"`
	Next   string           `json:"next,omitempty"`
}

// ListErasuresRequest requests erasures that are running, or that ended in the last 30 days.
type ListErasuresRequest struct {
	After string `json:"after,omitempty" doc:"next of the previous page."`
	Limit int    `json:"limit,omitempty"`
}

// ListErasuresResponse is a page of erasures, by user.
type ListErasuresResponse struct {
	Erasures []Erasure `json:"erasures"`
	Next     string    `json:"next,omitempty"`
}
