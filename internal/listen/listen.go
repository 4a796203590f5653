// Package listen encodes the changes of subscriptions that records carry.
package listen

import (
	"strconv"
	"strings"
)

// A device that reconnects is also subscribed by the changes shortly before its position, because its old session may
// not have applied them: those in the last UnappliedRecords records of its user's topic, less than UnappliedTime older
// than the last one. So the gateway sends no record beyond these limits while a change is unapplied.
const (
	UnappliedRecords = 20
	UnappliedTime    = 1000 // milliseconds
)

// Change is a subscription change carried by a record, so that it is applied exactly at the record's position, never
// lost and never early. On a user topic it subscribes that user's sessions to another topic, or unsubscribes them; on
// any topic it may end the topic.
type Change struct {
	Topic string
	From  uint64 // subscribe after this sequence
	Stop  bool
	End   bool // the topic ends: all subscribers unsubscribe
}

// To encodes a subscription to topic after a sequence.
func To(topic string, from uint64) string {
	return "+" + topic + "@" + strconv.FormatUint(from, 10)
}

// Stop encodes the end of a subscription to topic.
func Stop(topic string) string { return "-" + topic }

// EndOfTopic encodes the end of the record's own topic.
const EndOfTopic = "."

// Parse parses a subscription change; ok is false if there is none.
func Parse(s string) (c Change, ok bool) {
	switch {
	case s == EndOfTopic:
		return Change{End: true}, true
	case strings.HasPrefix(s, "-"):
		return Change{Topic: s[1:], Stop: true}, true
	case strings.HasPrefix(s, "+"):
		at := strings.LastIndexByte(s, '@') // IDs may contain an @ too
		if at < 0 {
			return Change{}, false
		}
		topic, from := s[1:at], s[at+1:]
		seq, err := strconv.ParseUint(from, 10, 64)
		return Change{Topic: topic, From: seq}, err == nil
	}
	return Change{}, false
}
