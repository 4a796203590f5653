package sink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// topic publishes to a topic, which the operator creates.
type topic struct {
	options []kgo.Opt
	client  *kgo.Client
}

func newTopic(a target, opt Options) (Sink, error) {
	options := []kgo.Opt{kgo.SeedBrokers(a.hosts...), kgo.DefaultProduceTopic(a.name), kgo.ClientID("beckon"),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordDeliveryTimeout(opt.Time), kgo.RetryTimeout(opt.Time),
		kgo.RequestTimeoutOverhead(opt.Time), kgo.ProducerLinger(0),
		// an idempotent producer cannot give a record up, and the outbox repeats anyway
		kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1)}
	if a.query.Has("tls") || a.query.Has("ca") {
		config := &tls.Config{MinVersion: tls.VersionTLS12}
		if file := a.query.Get("ca"); file != "" {
			pem, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			config.RootCAs = x509.NewCertPool()
			if !config.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("the file %s has no certificate", file)
			}
		}
		options = append(options, kgo.DialTLSConfig(config))
	}
	if a.query.Has("sasl") || a.query.Has("user") {
		mechanism, err := mechanismOf(a)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(mechanism))
	}
	return &topic{options: options}, kgo.ValidateOpts(options...)
}

// Connect makes the client, which connects when it publishes.
func (t *topic) Connect() (err error) {
	t.client, err = kgo.NewClient(t.options...)
	return err
}

// mechanismOf returns the authentication of an address.
func mechanismOf(a target) (sasl.Mechanism, error) {
	user := a.query.Get("user")
	if user == "" || a.query.Get("passwordFile") == "" {
		return nil, errors.New("sasl needs the parameters user and passwordFile")
	}
	password, err := secret(a.query.Get("passwordFile"))
	if err != nil {
		return nil, err
	}
	login := scram.Auth{User: user, Pass: password}
	switch name := a.query.Get("sasl"); name {
	case "scram-sha-256":
		return login.AsSha256Mechanism(), nil
	case "scram-sha-512":
		return login.AsSha512Mechanism(), nil
	case "plain":
		if !a.query.Has("tls") && !a.query.Has("ca") {
			return nil, errors.New("sasl=plain sends the password: it needs tls")
		}
		return plain.Auth{User: user, Pass: password}.AsMechanism(), nil
	default:
		return nil, fmt.Errorf("has the unknown parameter sasl=%s; known are scram-sha-256, scram-sha-512, plain", name)
	}
}

// Publish stores an event with its ordering key, so that a partition has the events of a key in order.
func (t *topic) Publish(ctx context.Context, e *Event) error {
	stored := make(chan error, 1)
	t.client.Produce(ctx, &kgo.Record{Key: []byte(e.Key), Value: e.Body, Headers: []kgo.RecordHeader{
		{Key: HeaderID, Value: []byte(e.ID)}, {Key: HeaderKind, Value: []byte(e.Kind)}}},
		func(_ *kgo.Record, err error) { stored <- err })
	select {
	case err := <-stored:
		return err
	case <-ctx.Done(): // the client may wait for a response to the request
		return ctx.Err()
	}
}

// Close ends the connections.
func (t *topic) Close() { t.client.Close() }
