package operator

import "encoding/json"

// EraseUserRequest erases a user from the cluster.
type EraseUserRequest struct {
	UserID string `json:"userID" doc:"The user. The owner of a group must transfer or dismiss it first."`
}

// ExportUserRequest requests a page of the stored data about a user.
type ExportUserRequest struct {
	UserID string `json:"userID" doc:"The user."`
	After  string `json:"after,omitempty" doc:"next of the previous page."`
	Limit  int    `json:"limit,omitempty"`
}

// ExportUserResponse is a page of the stored data about a user. A page may have fewer entries than the limit, even
// none, although more pages follow.
type ExportUserResponse struct {
	Entries []json.RawMessage `json:"entries"`        // objects, each with its kind
	Next    string            `json:"next,omitempty"` // absent = last page
}

// Erasure is the erasure of a user.
type Erasure struct {
	UserID    string `json:"userID"`
	Done      bool   `json:"done"`               // true = nothing of the user's content is left
	Stage     string `json:"stage"`              // sessions, groups, files, timeline, conversations, rows, copies or done
	Position  string `json:"position,omitempty"` // in the stage, for people
	StartedAt int64  `json:"startedAt"`          // milliseconds
	EndedAt   int64  `json:"endedAt,omitempty"`  // milliseconds; absent = it is running
	Records   int64  `json:"records"`            // rewritten messages and signaling on timelines of others
	Groups    int64  `json:"groups"`             // memberships removed
	Files     int64  `json:"files"`              // uploads removed
	Error     string `json:"error,omitempty"`    // of the last attempt; it is repeated within 30 s
}

// EraseUserResponse is the state of the erasure after at most five seconds.
type EraseUserResponse struct{ Erasure }
