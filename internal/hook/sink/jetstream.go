package sink

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// stream publishes to subjects of a stream, which the operator creates.
type stream struct {
	servers string
	options []nats.Option
	subject string // before the kind
	conn    *nats.Conn
	js      jetstream.JetStream
}

func newStream(a target, opt Options) (Sink, error) {
	s := &stream{subject: a.name, options: []nats.Option{nats.Name("beckon webhooks"), nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1), nats.Timeout(opt.Time), nats.NoCallbacksAfterClientClose(),
		nats.ReconnectBufSize(-1),   // an attempt that failed must not be stored later
		nats.IgnoreAuthErrorAbort(), // the credentials may be replaced
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			opt.Log.Warn("webhook broker disconnected, reconnecting", "error", err)
		})}}
	for name, option := range map[string]func(string) nats.Option{
		"creds": func(file string) nats.Option { return nats.UserCredentials(file) },
		"ca":    func(file string) nats.Option { return nats.RootCAs(file) },
	} {
		if file := a.query.Get(name); file != "" {
			if _, err := secret(file); err != nil {
				return nil, err
			}
			s.options = append(s.options, option(file))
		}
	}
	servers := make([]string, len(a.hosts))
	for i, host := range a.hosts {
		servers[i] = a.scheme + "://" + host
	}
	s.servers = strings.Join(servers, ",")
	return s, nil
}

// Connect begins to connect.
func (s *stream) Connect() (err error) {
	if s.conn, err = nats.Connect(s.servers, s.options...); err != nil {
		return err
	}
	s.js, err = jetstream.New(s.conn)
	return err
}

// Publish stores an event. Within the stream's window for duplicates, a repetition is not stored again.
func (s *stream) Publish(ctx context.Context, e *Event) error {
	if !s.conn.IsConnected() {
		return errors.Join(fmt.Errorf("the broker %s is not connected", s.servers), s.conn.LastError())
	}
	m := nats.NewMsg(s.subject + "." + e.Kind)
	m.Data = e.Body
	m.Header.Set(HeaderID, e.ID)
	m.Header.Set(HeaderKind, e.Kind)
	m.Header.Set(HeaderKey, e.Key)
	_, err := s.js.PublishMsg(ctx, m, jetstream.WithMsgID(e.ID))
	return err
}

// Close ends the connection.
func (s *stream) Close() { s.conn.Close() }
