package health

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/relay"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
	"github.com/beckon-im/beckon/protocol/pushcheck"
)

// AckWait is the time in which a device acknowledges a test push. A later acknowledgement counts too, while the rows of
// the test are kept.
const AckWait = 30 * time.Second

// GetHealth lists the push tokens of the caller, with the outcomes of pushes.
func (h *Health) GetHealth(ctx context.Context, by rpc.Caller, _ protocol.Empty) (res pushcheck.PushHealthResponse,
	err error) {
	tokens, err := outbox.Tokens(ctx, h.store, by.UserID)
	if err != nil {
		return res, im.Internal(err)
	}
	connected := outbox.ConnectedOf(h.opt.Connected(by.UserID))
	res.ServerTime, res.Devices = h.store.Now(), make([]pushcheck.PushHealth, len(tokens))
	for i := range tokens {
		t := &tokens[i]
		var registered protocol.SetPushTokenRequest
		if err := json.Unmarshal([]byte(t.Body), &registered); err != nil {
			return res, im.Internal(err)
		}
		res.Devices[i] = pushcheck.PushHealth{
			DeviceID: t.DeviceID, Provider: protocol.PushProvider(t.Provider), App: registered.App,
			Language: registered.Language, Connected: connected.Has(t.DeviceID), RegisteredAt: t.At,
			LastAcceptedAt: t.AcceptedAt, LastAcknowledgedAt: t.AcknowledgedAt, LastFailedAt: t.FailedAt, LastError: t.Error,
			Failures: t.Failures,
		}
	}
	h.addUnwritten(by.UserID, tokens, res.Devices)
	return res, nil
}

// addUnwritten adds the outcomes that this node has not written yet.
func (h *Health) addUnwritten(user string, tokens []outbox.Token, list []pushcheck.PushHealth) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range tokens {
		c, v := h.changes[changeKey{tokens[i].Key, user}], &list[i]
		if c == nil {
			continue
		}
		if v.Failures += c.Failures; c.AcceptedAt > v.LastFailedAt {
			v.Failures = c.Failures
		}
		if c.FailedAt > v.LastFailedAt {
			v.LastFailedAt, v.LastError = c.FailedAt, c.Error
		}
		v.LastAcceptedAt = max(v.LastAcceptedAt, c.AcceptedAt)
		v.LastAcknowledgedAt = max(v.LastAcknowledgedAt, c.AcknowledgedAt)
	}
}

// Test sends a test push to one or all registered devices of the caller, also to connected ones.
func (h *Health) Test(ctx context.Context, by rpc.Caller,
	req pushcheck.TestPushRequest) (t rpc.Txn[pushcheck.PushTestResponse], err error) {
	if req.DeviceID != "" {
		if err := im.CheckDeviceID(req.DeviceID); err != nil {
			return t, err
		}
	}
	tokens, err := outbox.Tokens(ctx, h.store, by.UserID)
	if err != nil {
		return t, im.Internal(err)
	}
	rows := testsOf(tokens, req.DeviceID, uuid.NewString())
	switch {
	case len(rows) == 0 && req.DeviceID == "":
		return t, im.NotFound("deviceID", "is not given, and no device of this user has a push token that can be tested: "+
			"register one with setPushToken")
	case len(rows) == 0:
		return t, im.NotFound("deviceID", "has no push token that can be tested: register one with setPushToken")
	}
	slots := outbox.TestKeys(by.UserID, h.store.Now())
	t.Reads = txn.ReadSet{Topics: []string{im.UserTopic(by.UserID)}, Outbox: slots[:]}
	t.Decide = func(tx *txn.Tx) (res pushcheck.PushTestResponse, err error) {
		if err := tooSoon(tx, slots); err != nil {
			return res, err
		}
		keys := make([]string, len(rows))
		for i := range rows {
			keys[i], rows[i].At = rows[i].Key, tx.Now
		}
		outbox.PutTests(tx, rows)
		tx.Enqueue(outbox.Test(slots[0], by.UserID, rows[0].TestID, keys, tx.Now))
		return resultsOf(rows, tx.Now), nil
	}
	t.After = func(res pushcheck.PushTestResponse, err error) (pushcheck.PushTestResponse, error) {
		if err == nil {
			h.opt.Enqueued()
		}
		return res, err
	}
	return t, nil
}

// testsOf returns the rows of a test of the tokens of a device, or of all devices. PushKit tokens are left out: iOS
// ends apps that PushKit wakes without a call.
func testsOf(tokens []outbox.Token, device, id string) (rows []outbox.TestPush) {
	for i := range tokens {
		t := &tokens[i]
		if t.Provider != string(protocol.PushAPNsVoIP) && (device == "" || t.DeviceID == device) {
			rows = append(rows, outbox.TestPush{TestID: id, Key: t.Key, UserID: t.UserID, DeviceID: t.DeviceID,
				Provider: t.Provider})
		}
	}
	return rows
}

// tooSoon refuses a test whose event, or the one before, is not old enough.
func tooSoon(tx *txn.Tx, slots [2]txn.OutboxKey) error {
	for _, k := range slots {
		o := tx.OutboxEvent(k)
		if o == nil || k != slots[0] && tx.Now-o.At >= outbox.TestEvery.Milliseconds() {
			continue
		}
		return &im.Error{Code: im.CodeTooOften,
			Message:    "a test push was sent a moment ago; one is permitted every 10 s, retry later",
			RetryAfter: int(max(1000, o.At+outbox.TestEvery.Milliseconds()-tx.Now))}
	}
	return nil
}

// Tested records the outcome of a test push at the provider of a token.
func (h *Health) Tested(testID string, t *outbox.Token, failure error) {
	at, text := h.store.Now(), ""
	if failure != nil {
		at, text = 0, relay.Clip(failure.Error())
	}
	rpc.WriteLater(h.store, txn.ReadSet{}, func(tx *txn.Tx) error {
		outbox.TestAccepted(tx, testID, t.Key, at, text)
		return nil
	}, func(err error) {
		if err != nil {
			h.opt.Log.Warn("writing the outcome of a test push failed", "user", t.UserID, "error", err)
		}
	})
}

// GetTest returns the results of a test push of the caller.
func (h *Health) GetTest(ctx context.Context, by rpc.Caller,
	req pushcheck.GetPushTestRequest) (pushcheck.PushTestResponse, error) {
	rows, err := h.test(ctx, by.UserID, req.TestID)
	if err != nil {
		return pushcheck.PushTestResponse{}, err
	}
	return resultsOf(rows, h.store.Now()), nil
}

// AckTest acknowledges a test push for the calling device.
func (h *Health) AckTest(ctx context.Context, by rpc.Caller,
	req pushcheck.AckPushTestRequest) (t rpc.Txn[pushcheck.AckPushTestResponse], err error) {
	rows, err := h.test(ctx, by.UserID, req.TestID)
	if err != nil {
		return t, err
	}
	rows = slices.DeleteFunc(rows, func(r outbox.TestPush) bool { return r.DeviceID != by.DeviceID })
	if len(rows) == 0 {
		return t, im.NotFound("testID", "is a test of other devices of this user: only the tested device acknowledges it")
	}
	rows = slices.DeleteFunc(rows, func(r outbox.TestPush) bool { return r.AcknowledgedAt != 0 })
	if len(rows) == 0 { // a repeat
		return rpc.Answer(pushcheck.AckPushTestResponse{ServerTime: h.store.Now()}), nil
	}
	keys := make([]string, len(rows))
	for i := range rows {
		keys[i] = rows[i].Key
	}
	t.Decide = func(tx *txn.Tx) (pushcheck.AckPushTestResponse, error) {
		outbox.TestAcknowledged(tx, req.TestID, keys, tx.Now)
		return pushcheck.AckPushTestResponse{ServerTime: tx.Now}, nil
	}
	t.After = func(res pushcheck.AckPushTestResponse, err error) (pushcheck.AckPushTestResponse, error) {
		for i := range rows {
			if err == nil {
				h.acknowledged(&outbox.Token{Key: rows[i].Key, UserID: by.UserID}, res.ServerTime)
			}
		}
		return res, err
	}
	return t, nil
}

// test reads the rows of a test of a user.
func (h *Health) test(ctx context.Context, user, id string) ([]outbox.TestPush, error) {
	if id == "" {
		return nil, im.Bad("testID", "is required: the testID of testPush, or of the push")
	}
	if err := im.CheckText("testID", id, maxTestID); err != nil {
		return nil, err
	}
	rows, err := outbox.TestPushes(ctx, h.store, id)
	if err != nil {
		return nil, im.Internal(err)
	}
	if len(rows) == 0 || rows[0].UserID != user {
		return nil, im.NotFound("testID", "is no test of this user; tests are kept for an hour")
	}
	return rows, nil
}

// maxTestID limits the bytes of a test ID in requests.
const maxTestID = 64

// resultsOf returns the results of a test.
func resultsOf(rows []outbox.TestPush, now int64) pushcheck.PushTestResponse {
	res := pushcheck.PushTestResponse{TestID: rows[0].TestID, StartedAt: rows[0].At, Over: true, ServerTime: now,
		Devices: make([]pushcheck.PushTestResult, len(rows))}
	for i := range rows {
		res.Devices[i] = resultOf(&rows[i], now)
		if s := res.Devices[i].State; s == pushcheck.PushTestWaiting || s == pushcheck.PushTestAccepted {
			res.Over = false
		}
	}
	return res
}

func resultOf(r *outbox.TestPush, now int64) pushcheck.PushTestResult {
	v := pushcheck.PushTestResult{DeviceID: r.DeviceID, Provider: protocol.PushProvider(r.Provider), Error: r.Error,
		State: pushcheck.PushTestWaiting}
	since := func(at int64) int64 { return max(1, at-r.At) }
	if r.AcceptedAt != 0 {
		v.AcceptedMs, v.State = since(r.AcceptedAt), pushcheck.PushTestAccepted
	}
	late := now-r.At >= AckWait.Milliseconds()
	switch {
	case r.AcknowledgedAt != 0:
		v.AcknowledgedMs, v.State, v.Error = since(r.AcknowledgedAt), pushcheck.PushTestAcknowledged, ""
	case r.Error != "":
		v.State = pushcheck.PushTestFailed
	case late && r.AcceptedAt != 0:
		v.State, v.Error = pushcheck.PushTestUnacknowledged, "the device did not acknowledge the push within "+
			strconv.Itoa(int(AckWait.Seconds()))+" s"
	case late:
		v.State, v.Error = pushcheck.PushTestFailed, "the push was not sent within "+strconv.Itoa(int(AckWait.Seconds()))+" s"
	}
	return v
}
