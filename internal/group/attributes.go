package group

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// InitAttributes replaces all attributes of a group.
func (g *Groups) InitAttributes(ctx context.Context, by rpc.Caller,
	req protocol.AttributesRequest) (rpc.Txn[protocol.AttributesResponse], error) {
	return g.attributes(ctx, by, req.GroupID, req.Version, checkAttributes(req.Attributes, true),
		func(map[string]string) map[string]string { return req.Attributes })
}

// SetAttributes sets some attributes of a group.
func (g *Groups) SetAttributes(ctx context.Context, by rpc.Caller,
	req protocol.AttributesRequest) (rpc.Txn[protocol.AttributesResponse], error) {
	return g.attributes(ctx, by, req.GroupID, req.Version, checkAttributes(req.Attributes, false),
		func(now map[string]string) map[string]string {
			maps.Copy(now, req.Attributes)
			return now
		})
}

// DeleteAttributes removes some attributes of a group, or all.
func (g *Groups) DeleteAttributes(ctx context.Context, by rpc.Caller,
	req protocol.DeleteAttributesRequest) (rpc.Txn[protocol.AttributesResponse], error) {
	return g.attributes(ctx, by, req.GroupID, req.Version, checkKeys(req.Keys),
		func(now map[string]string) map[string]string {
			if len(req.Keys) == 0 {
				clear(now)
			}
			for _, k := range req.Keys {
				delete(now, k)
			}
			return now
		})
}

// attributes returns the transaction of a change of attributes. It refuses a change based on an older version.
func (g *Groups) attributes(_ context.Context, by rpc.Caller, id string, seen *int64, err error,
	change func(map[string]string) map[string]string) (rpc.Txn[protocol.AttributesResponse], error) {
	if err != nil {
		return rpc.Txn[protocol.AttributesResponse]{}, err
	}
	return onGroup(g, by, id, nil, txn.ReadSet{Extras: []string{id}}, func(s *scene) (protocol.AttributesResponse, error) {
		var res protocol.AttributesResponse
		if err := s.MayRead(s.me); err != nil {
			return res, err
		}
		x := s.tx.Extra(id)
		if seen != nil && *seen != x.Version {
			return res, &im.Error{Code: im.CodeConflict, Field: "version",
				Message: fmt.Sprintf("the attributes have version %d; read them and retry", x.Version)}
		}
		now := maps.Clone(x.Attributes)
		if now == nil {
			now = map[string]string{}
		}
		if now = change(now); now == nil {
			now = map[string]string{}
		}
		if err := checkAttributes(now, true); err != nil {
			return res, err
		}
		if !maps.Equal(now, x.Attributes) {
			x.Attributes, x.Version = now, x.Version+1
			s.tx.PutExtra(x)
			s.announce(protocol.GroupEvent{Tip: protocol.TipAttributes, Attributes: now, AttrVersion: x.Version})
		}
		return protocol.AttributesResponse{Attributes: now, Version: x.Version}, nil
	})
}

func checkAttributes(a map[string]string, mayBeEmpty bool) error {
	total := 0
	switch {
	case len(a) == 0 && !mayBeEmpty:
		return im.Bad("attributes", "is empty")
	case len(a) > im.MaxAttributes:
		return &im.Error{Code: im.CodeTooMany, Field: "attributes",
			Message: fmt.Sprintf("the group would have %d attributes; the limit is %d", len(a), im.MaxAttributes)}
	}
	for k, v := range a {
		if err := rpc.FirstError(checkKey("attributes", k), im.CheckText("attributes", v, im.MaxAttributeValue)); err != nil {
			return err
		}
		total += len(k) + len(v)
	}
	if total > im.MaxAttributeTotal {
		return &im.Error{Code: im.CodeTooLong, Field: "attributes",
			Message: fmt.Sprintf("attributes have %d bytes together; the limit is %d", total, im.MaxAttributeTotal)}
	}
	return nil
}

func checkKey(field, key string) error {
	if key == "" {
		return im.Bad(field, "has an empty key")
	}
	return im.CheckText(field, key, im.MaxAttributeKey)
}

// maxKeys limits the keys of a request, to those that a group can have.
const maxKeys = 20

func checkKeys(keys []string) error {
	if len(keys) > maxKeys {
		return im.Bad("keys", fmt.Sprintf("has %d keys; the limit is %d", len(keys), maxKeys))
	}
	for _, k := range keys {
		if err := checkKey("keys", k); err != nil {
			return err
		}
	}
	return nil
}

// SetCounters sets counters of a group.
func (g *Groups) SetCounters(ctx context.Context, by rpc.Caller,
	req protocol.SetCountersRequest) (rpc.Txn[protocol.CountersResponse], error) {
	var err error
	switch n := len(req.Counters); {
	case n == 0:
		err = im.Bad("counters", "is empty")
	case n > im.MaxCounters:
		err = tooManyCounters(n)
	}
	for k := range req.Counters {
		err = rpc.FirstError(err, checkKey("counters", k))
	}
	return g.count(ctx, by, req.GroupID, "", err,
		func(map[string]int64) (map[string]int64, error) { return req.Counters, nil })
}

// IncreaseCounter adds to a counter of a group.
func (g *Groups) IncreaseCounter(ctx context.Context, by rpc.Caller,
	req protocol.CountRequest) (rpc.Txn[protocol.CountersResponse], error) {
	return g.move(ctx, by, req, 1)
}

// DecreaseCounter subtracts from a counter of a group.
func (g *Groups) DecreaseCounter(ctx context.Context, by rpc.Caller,
	req protocol.CountRequest) (rpc.Txn[protocol.CountersResponse], error) {
	return g.move(ctx, by, req, -1)
}

// maxCounter limits counters to the whole numbers that are exact in a 64-bit float.
const maxCounter = 1<<53 - 1

func (g *Groups) move(ctx context.Context, by rpc.Caller, req protocol.CountRequest,
	sign int64) (rpc.Txn[protocol.CountersResponse], error) {
	err := rpc.FirstError(checkKey("key", req.Key), im.CheckRequestID(req.RequestID))
	if err == nil && req.Value < 1 {
		err = im.Bad("value", "must be at least 1")
	}
	request := ""
	if req.RequestID != "" {
		request = fmt.Sprint(by.UserID, " ", req.RequestID, " ", req.Key, " ", sign*req.Value)
	}
	return g.count(ctx, by, req.GroupID, request, err, func(now map[string]int64) (map[string]int64, error) {
		old := now[req.Key]
		if sign > 0 && old > maxCounter-req.Value || sign < 0 && old < -maxCounter+req.Value {
			return nil, im.Bad("value", "takes the counter beyond 2^53-1, to which numbers are exact in all languages")
		}
		return map[string]int64{req.Key: old + sign*req.Value}, nil
	})
}

// maxRecent bounds the counter requests that a group remembers, to recognize retries.
const maxRecent = 128

// count returns the transaction of a change of counters, unless the request is a retry. It returns the counters in
// the change.
func (g *Groups) count(_ context.Context, by rpc.Caller, id, request string, err error,
	change func(map[string]int64) (map[string]int64, error)) (rpc.Txn[protocol.CountersResponse], error) {
	if err != nil {
		return rpc.Txn[protocol.CountersResponse]{}, err
	}
	return onGroup(g, by, id, nil, txn.ReadSet{Extras: []string{id}}, func(s *scene) (protocol.CountersResponse, error) {
		var res protocol.CountersResponse
		if err := s.MayRead(s.me); err != nil {
			return res, err
		}
		x := s.tx.Extra(id)
		set, err := change(x.Counters)
		if err != nil {
			return res, err
		}
		if request != "" && slices.Contains(x.Recent, request) {
			for k := range set {
				set[k] = x.Counters[k]
			}
			return protocol.CountersResponse{Counters: set, Repeat: true}, nil
		}
		now := maps.Clone(x.Counters)
		if now == nil {
			now = map[string]int64{}
		}
		if maps.Copy(now, set); len(now) > im.MaxCounters {
			return res, tooManyCounters(len(now))
		}
		for k, v := range set {
			if old, ok := x.Counters[k]; !ok || old != v {
				s.announce(protocol.GroupEvent{Tip: protocol.TipCounter, Key: k, Value: v})
			}
		}
		x.Counters = now
		if request != "" {
			x.Recent = append(slices.Clone(x.Recent[max(0, len(x.Recent)-maxRecent+1):]), request)
		}
		s.tx.PutExtra(x)
		return protocol.CountersResponse{Counters: set}, nil
	})
}

func tooManyCounters(n int) error {
	return &im.Error{Code: im.CodeTooMany, Field: "counters",
		Message: fmt.Sprintf("the group would have %d counters; the limit is %d", n, im.MaxCounters)}
}

// GetAttributes returns attributes of a group.
func (g *Groups) GetAttributes(ctx context.Context, by rpc.Caller,
	req protocol.KeysRequest) (protocol.AttributesResponse, error) {
	x, err := g.extra(ctx, by, req)
	return protocol.AttributesResponse{Attributes: only(x.Attributes, req.Keys), Version: x.Version}, err
}

// GetCounters returns counters of a group.
func (g *Groups) GetCounters(ctx context.Context, by rpc.Caller, req protocol.KeysRequest) (protocol.CountersResponse,
	error) {
	x, err := g.extra(ctx, by, req)
	return protocol.CountersResponse{Counters: only(x.Counters, req.Keys)}, err
}

func (g *Groups) extra(ctx context.Context, by rpc.Caller, req protocol.KeysRequest) (txn.Extra, error) {
	if err := checkKeys(req.Keys); err != nil {
		return txn.Extra{}, err
	}
	if _, err := g.visible(ctx, by, req.GroupID); err != nil {
		return txn.Extra{}, err
	}
	x, err := g.store.Extra(ctx, req.GroupID)
	if err != nil {
		return x, im.Internal(err)
	}
	return x, nil
}

func only[V any](all map[string]V, keys []string) map[string]V {
	out := map[string]V{}
	for k, v := range all {
		out[k] = v
	}
	if len(keys) == 0 {
		return out
	}
	some := map[string]V{}
	for _, k := range keys {
		if v, ok := out[k]; ok {
			some[k] = v
		}
	}
	return some
}
