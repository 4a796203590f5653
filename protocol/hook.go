package protocol

import "encoding/json"

// Queue names where events wait to leave the house.
type Queue string

// The queues.
const (
	QueueWebhook Queue = "webhook"
	QueuePush    Queue = "push"
)

// HookState is what became of an event.
type HookState string

// The states of an event.
const (
	HookWaiting   HookState = "waiting"
	HookDelivered HookState = "delivered"
	HookDead      HookState = "dead" // given up after about three days, or because the receiver said that it is gone
)

// ListHookEventsRequest asks for events of a queue.
type ListHookEventsRequest struct {
	Queue Queue     `json:"queue,omitempty" enum:"webhook,push" doc:"Where they wait. Default: webhook."`
	State HookState `json:"state" enum:"waiting,delivered,dead" doc:"Those that wait, were delivered (for 7 days), or were given up (for 30 days)."`
	From  int64     `json:"from,omitempty" doc:"Milliseconds: that happened at this time or later."`
	Until int64     `json:"until,omitempty" doc:"Milliseconds: and not later than this. Default: no end."`
	After string    `json:"after,omitempty" doc:"The next of the page before."`
	Limit int       `json:"limit,omitempty" doc:"At most 1000. Default: 100."`
}

// HookEvent is an event for the webhook, or a push, and what became of it.
type HookEvent struct {
	ID    string          `json:"id"` // webhook-id
	Kind  string          `json:"kind"`
	State HookState       `json:"state"`
	At    int64           `json:"at"`            // milliseconds
	Due   int64           `json:"due,omitempty"` // of those that wait: when it is tried next, milliseconds
	Tries int64           `json:"tries"`
	Error string          `json:"error,omitempty"` // of the last try
	Event json.RawMessage `json:"event"`
}

// ListHookEventsResponse is a page of events, the oldest first.
type ListHookEventsResponse struct {
	Events        []HookEvent `json:"events"`
	Next          string      `json:"next,omitempty"`
	Waiting       int64       `json:"waiting"`                 // how many wait in all
	OldestWaiting int64       `json:"oldestWaiting,omitempty"` // when the oldest of them happened, milliseconds
	Dead          int64       `json:"dead"`                    // how many were given up
}

// ReplayHookEventsRequest asks to send events again.
type ReplayHookEventsRequest struct {
	Queue Queue     `json:"queue,omitempty" enum:"webhook,push" doc:"Whose. Default: webhook."`
	State HookState `json:"state" enum:"delivered,dead" doc:"Those that were delivered, or those that were given up."`
	From  int64     `json:"from,omitempty" doc:"Milliseconds: that happened at this time or later."`
	Until int64     `json:"until,omitempty" doc:"Milliseconds: and not later than this. Default: until now."`
	After string    `json:"after,omitempty" doc:"The next of the call before."`
}

// ReplayHookEventsResponse says how many are sent again.
type ReplayHookEventsResponse struct {
	Replayed int    `json:"replayed"`
	Next     string `json:"next,omitempty"` // there may be more than one call replays: call again with it as after
}
