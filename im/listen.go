package im

import (
	"strconv"
	"strings"
)

// Listen is an order to whoever delivers a record: it travels with the record, so that it is never lost and never
// early. On a user topic it makes that person's devices listen to another topic, or stop; on any topic it may end the
// topic.
type Listen struct {
	Topic string
	From  uint64 // the last sequence that is not to be heard
	Stop  bool
	End   bool // nothing will follow on this topic: everybody stops
}

// ListenTo orders to listen to topic after a sequence.
func ListenTo(topic string, from uint64) string {
	return "+" + topic + "@" + strconv.FormatUint(from, 10)
}

// StopListening orders to stop listening to topic.
func StopListening(topic string) string { return "-" + topic }

// EndOfTopic orders everybody to stop listening to the record's own topic.
const EndOfTopic = "."

// ParseListen reads an order; ok is false when there is none.
func ParseListen(s string) (l Listen, ok bool) {
	switch {
	case s == EndOfTopic:
		return Listen{End: true}, true
	case strings.HasPrefix(s, "-"):
		return Listen{Topic: s[1:], Stop: true}, true
	case strings.HasPrefix(s, "+"):
		at := strings.LastIndexByte(s, '@') // a topic may have the sign in its id
		if at < 0 {
			return Listen{}, false
		}
		topic, from := s[1:at], s[at+1:]
		seq, err := strconv.ParseUint(from, 10, 64)
		return Listen{Topic: topic, From: seq}, err == nil
	}
	return Listen{}, false
}
