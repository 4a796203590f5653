// Package sink publishes events to message brokers instead of an app server: a stream of NATS JetStream, or a topic of
// a Kafka-compatible broker; or to a function in this process.
//
// It makes one attempt for each event; the outbox orders and repeats.
package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// Event is an event to publish.
type Event struct {
	ID   string // the same for all attempts
	Key  string // the ordering key
	Kind string // such as invitation.created
	Body []byte // JSON
}

// The headers of a message, beside those of the broker's own.
const (
	HeaderID   = "webhook-id"
	HeaderKind = "beckon-kind"
	HeaderKey  = "beckon-key" // JetStream; Kafka has a key of its own
)

// Sink is a connection to a broker, or a function in this process.
type Sink interface {
	// Connect begins to connect; a broker that cannot be reached is no error.
	Connect() error
	// Publish returns when the broker has stored an event, as it stores acknowledged messages.
	Publish(ctx context.Context, e *Event) error
	// Close ends the connection, after Connect.
	Close()
}

// Func is a Sink in this process. An error makes the outbox repeat the event.
type Func func(ctx context.Context, e *Event) error

// Connect does nothing.
func (Func) Connect() error { return nil }

// Publish calls the function.
func (f Func) Publish(ctx context.Context, e *Event) error { return f(ctx, e) }

// Close does nothing.
func (Func) Close() {}

// Options configures a Sink.
type Options struct {
	// Time is the timeout of one attempt. Required.
	Time time.Duration
	// Log is the logger. Default: slog.Default().
	Log *slog.Logger
}

// IsBroker reports whether an address is that of a broker.
func IsBroker(address string) bool {
	scheme, _, _ := strings.Cut(address, "://")
	return slices.Contains([]string{"nats", "tls", "kafka"}, scheme)
}

// New checks an address, which has the form nats://HOST:PORT/SUBJECT, tls://HOST:PORT/SUBJECT or
// kafka://HOST:PORT,HOST:PORT/TOPIC.
func New(address string, opt Options) (Sink, error) {
	opt.Log = cmp.Or(opt.Log, slog.Default())
	a, err := parse(address)
	if err != nil {
		return nil, fmt.Errorf("the webhook URL %q: %w", address, err)
	}
	var s Sink
	if a.scheme == "kafka" {
		s, err = newTopic(a, opt)
	} else {
		s, err = newStream(a, opt)
	}
	if err != nil {
		return nil, fmt.Errorf("the webhook URL %q: %w", address, err)
	}
	return s, nil
}

// target is a parsed address.
type target struct {
	scheme string
	hosts  []string
	name   string // subject or topic
	query  url.Values
}

// parse splits an address. net/url accepts one host only.
func parse(address string) (a target, err error) {
	scheme, rest, _ := strings.Cut(address, "://")
	rest, query, _ := strings.Cut(rest, "?")
	hosts, name, _ := strings.Cut(rest, "/")
	a = target{scheme: scheme, hosts: strings.Split(hosts, ","), name: name}
	if strings.Contains(hosts, "@") {
		return a, errors.New("must not contain a user or a password; use the parameters creds (NATS), or user and " +
			"passwordFile (Kafka)")
	}
	if hosts == "" || slices.Contains(a.hosts, "") || name == "" || strings.ContainsAny(name, "/ \t*>") {
		return a, errors.New("must have the form nats://HOST:PORT/SUBJECT or kafka://HOST:PORT,HOST:PORT/TOPIC")
	}
	if a.query, err = url.ParseQuery(query); err != nil {
		return a, errors.New("has parameters that cannot be read")
	}
	known := []string{"ca", "creds"}
	if scheme == "kafka" {
		known = []string{"tls", "ca", "sasl", "user", "passwordFile"}
	}
	for name := range a.query {
		if !slices.Contains(known, name) {
			return a, fmt.Errorf("has the unknown parameter %q; known are %s", name, strings.Join(known, ", "))
		}
	}
	return a, nil
}

// secret reads a file with a secret.
func secret(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
