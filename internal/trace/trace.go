// Package trace owns the traces of invitations: what was asked for, pushed and answered, on whichever node and hours
// later, is one trace, because its id is made of the invitation's.
//
// It sends to a collector of OpenTelemetry, and nobody waits for that.
package trace

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Tracer sends spans. A nil one sends none.
type Tracer struct {
	provider  *sdk.TracerProvider
	tracer    trace.Tracer
	clusterID string
}

// New makes a tracer that sends to a collector by OTLP over HTTP: http://127.0.0.1:4318. house tells the invitations of
// one database from those of another.
func New(ctx context.Context, endpoint, house string, log *slog.Logger) (*Tracer, error) {
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(strings.TrimRight(endpoint, "/")+"/v1/traces"))
	if err != nil {
		return nil, fmt.Errorf("traces to %s: %w", endpoint, err)
	}
	p := sdk.NewTracerProvider(sdk.WithBatcher(exporter, sdk.WithBatchTimeout(time.Second)), sdk.WithIDGenerator(ids{}),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "beckon"),
			attribute.String("service.instance.id", house))))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("traces could not be sent; they are lost",
			"error", err)
	}))
	log.Info("traces are sent", "to", endpoint)
	return &Tracer{provider: p, tracer: p.Tracer("github.com/beckon-im/beckon"), clusterID: house}, nil
}

// Close sends what is left, for as long as ctx.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Span is one thing that was done about an invitation.
type Span struct {
	InviteID string
	Name     string    // a verb, or push
	Begin    time.Time // until now
	Root     bool      // it is the one that all others belong to: the invite
	Failed   string    // why it failed; empty = it did not
	With     []string  // more that is known, as names and values
}

// Record sends a span.
func (t *Tracer) Record(s Span) {
	if t == nil || s.InviteID == "" {
		return
	}
	ctx, own := context.Background(), t.context(s.InviteID)
	if s.Root {
		ctx = context.WithValue(ctx, rootKey{}, own)
	} else {
		ctx = trace.ContextWithRemoteSpanContext(ctx, own)
	}
	attributes := []attribute.KeyValue{attribute.String("beckon.invite_id", s.InviteID)}
	for i := 0; i+1 < len(s.With); i += 2 {
		if s.With[i+1] != "" {
			attributes = append(attributes, attribute.String("beckon."+s.With[i], s.With[i+1]))
		}
	}
	_, span := t.tracer.Start(ctx, s.Name, trace.WithTimestamp(s.Begin), trace.WithAttributes(attributes...),
		trace.WithSpanKind(trace.SpanKindServer))
	if s.Failed != "" {
		span.SetStatus(codes.Error, s.Failed)
	}
	span.End()
}

// context names the trace of an invitation and its root.
func (t *Tracer) context(inviteID string) trace.SpanContext {
	sum := sha256.Sum256([]byte(t.clusterID + "\n" + inviteID))
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID(sum[:16]), SpanID: trace.SpanID(sum[16:24]),
		TraceFlags: trace.FlagsSampled, Remote: true})
}

type rootKey struct{}

// ids makes the ids of spans: a root has the one that the others know it by.
type ids struct{}

// NewIDs names a root.
func (i ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if c, ok := ctx.Value(rootKey{}).(trace.SpanContext); ok {
		return c.TraceID(), c.SpanID()
	}
	var id trace.TraceID
	_, _ = rand.Read(id[:]) // it never fails
	return id, i.NewSpanID(ctx, id)
}

// NewSpanID names any other.
func (ids) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	_, _ = rand.Read(id[:]) // it never fails
	return id
}
