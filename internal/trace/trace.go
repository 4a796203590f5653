// Package trace records one OpenTelemetry trace per invitation. All spans of an invitation belong to the same trace, on
// whichever node and hours later, because the trace ID is derived from the invitation ID.
//
// Exporting spans is asynchronous and best effort.
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

// Tracer exports spans. A nil Tracer does nothing.
type Tracer struct {
	provider  *sdk.TracerProvider
	tracer    trace.Tracer
	clusterID string
}

// New returns a tracer that exports to a collector by OTLP over HTTP: http://127.0.0.1:4318. clusterID distinguishes
// the invitations of different databases.
func New(ctx context.Context, endpoint, clusterID string, log *slog.Logger) (*Tracer, error) {
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(strings.TrimRight(endpoint, "/")+"/v1/traces"))
	if err != nil {
		return nil, fmt.Errorf("traces to %s: %w", endpoint, err)
	}
	p := sdk.NewTracerProvider(sdk.WithBatcher(exporter, sdk.WithBatchTimeout(time.Second)), sdk.WithIDGenerator(ids{}),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "beckon"),
			attribute.String("service.instance.id", clusterID))))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("trace export failed", "error", err)
	}))
	log.Info("trace export enabled", "endpoint", endpoint)
	return &Tracer{provider: p, tracer: p.Tracer("github.com/beckon-im/beckon"), clusterID: clusterID}, nil
}

// Close flushes the remaining spans until ctx ends.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Span is one operation on an invitation.
type Span struct {
	InviteID string
	Name     string    // the method, or push
	Begin    time.Time // start; the end is now
	Root     bool      // the root span, which all others belong to: the invite
	Failed   string    // error message; empty = success
	With     []string  // additional attributes, alternating names and values
}

// Record exports a span that ends now.
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

// context returns the trace and root span of an invitation.
func (t *Tracer) context(inviteID string) trace.SpanContext {
	sum := sha256.Sum256([]byte(t.clusterID + "\n" + inviteID))
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID(sum[:16]), SpanID: trace.SpanID(sum[16:24]),
		TraceFlags: trace.FlagsSampled, Remote: true})
}

type rootKey struct{}

// ids generates span IDs. A root span gets the ID that the other spans refer to.
type ids struct{}

// NewIDs returns the IDs of a root span, or random ones.
func (i ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if c, ok := ctx.Value(rootKey{}).(trace.SpanContext); ok {
		return c.TraceID(), c.SpanID()
	}
	var id trace.TraceID
	_, _ = rand.Read(id[:]) // it never fails
	return id, i.NewSpanID(ctx, id)
}

// NewSpanID returns a random ID.
func (ids) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	_, _ = rand.Read(id[:]) // it never fails
	return id
}
