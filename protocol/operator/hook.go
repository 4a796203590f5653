package operator

import "encoding/json"

// Queue names an outbox queue.
type Queue string

// The queues.
const (
	QueueWebhook Queue = "webhook"
	QueuePush    Queue = "push"
)

// HookState is the delivery state of an event.
type HookState string

// The states of an event.
const (
	HookWaiting   HookState = "waiting"
	HookDelivered HookState = "delivered"
	HookDead      HookState = "dead" // given up after about three days, or because the receiver responded that it is gone
)

// ListHookEventsRequest requests events of a queue.
type ListHookEventsRequest struct {
	Queue Queue     `json:"queue,omitempty" enum:"webhook,push" doc:"The queue. Default: webhook."`
	State HookState `json:"state" enum:"waiting,delivered,dead" doc:"The state; delivered events are kept for 7 days, dead ones for 30."`
	From  int64     `json:"from,omitempty" limit:"0.." doc:"Only events at or after this time, Unix milliseconds."`
	Until int64     `json:"until,omitempty" limit:"0.." doc:"Only events up to this time, Unix milliseconds. Default: no end."`
	After string    `json:"after,omitempty" doc:"next of the previous page."`
	Limit int       `json:"limit,omitempty"`
}

// HookEvent is a webhook event or a push, with its delivery state.
type HookEvent struct {
	ID    string          `json:"id"` // sent as webhook-id
	Kind  string          `json:"kind"`
	State HookState       `json:"state"`
	At    int64           `json:"at"`            // Unix milliseconds
	Due   int64           `json:"due,omitempty"` // waiting: time of the next attempt, Unix milliseconds
	Tries int64           `json:"tries"`
	Error string          `json:"error,omitempty"` // of the last attempt
	Event json.RawMessage `json:"event"`
}

// ListHookEventsResponse is a page of events, oldest first.
type ListHookEventsResponse struct {
	Events        []HookEvent `json:"events"`
	Next          string      `json:"next,omitempty"`
	Waiting       int64       `json:"waiting"`                 // waiting events, counted up to 10,000
	OldestWaiting int64       `json:"oldestWaiting,omitempty"` // time of the oldest waiting event, Unix milliseconds
	Dead          int64       `json:"dead"`                    // dead events, counted up to 10,000
}

// ReplayHookEventsRequest queues events for delivery again.
type ReplayHookEventsRequest struct {
	Queue Queue     `json:"queue,omitempty" enum:"webhook,push" doc:"The queue. Default: webhook."`
	State HookState `json:"state" enum:"delivered,dead" doc:"The state of the events to replay."`
	From  int64     `json:"from,omitempty" limit:"0.." doc:"Only events at or after this time, Unix milliseconds."`
	Until int64     `json:"until,omitempty" limit:"0.." doc:"Only events up to this time, Unix milliseconds. Default: now."`
	After string    `json:"after,omitempty" doc:"next of the previous call."`
}

// ReplayHookEventsResponse is the result of one call.
type ReplayHookEventsResponse struct {
	Replayed int    `json:"replayed"`
	Next     string `json:"next,omitempty"` // more events may remain: repeat the call with after = next
}
