package storetest

import (
	"testing"
	"time"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/outbox"
	"github.com/beckon-im/beckon/internal/store/personaldata"
	"github.com/beckon-im/beckon/internal/store/retention"
	"github.com/beckon-im/beckon/internal/txn"
)

// pushHealth: a push token keeps its health when its user registers it again and across a restart, and loses it to
// another user. Changes of several nodes may come in any order.
func pushHealth(t *testing.T, open Engine) {
	s := open(t)
	stop := Run(t, s, nil)
	register := func(user string) {
		t.Helper()
		write := func(tx *txn.Tx) error {
			outbox.PutToken(tx, outbox.Token{Key: "k", UserID: user, DeviceID: "d", Provider: "fcm", Body: "{}", At: tx.Now})
			return nil
		}
		if err := Do(t, s, txn.ReadSet{}, write); err != nil {
			t.Fatal(err)
		}
	}
	change := func(user string, v outbox.Health) {
		t.Helper()
		list := []outbox.HealthChange{{Key: "k", UserID: user, Health: v}, {Key: "gone", UserID: user, Health: v}}
		if err := Do(t, s, txn.ReadSet{}, func(tx *txn.Tx) error { outbox.ChangeHealth(tx, list); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what, user string, want outbox.Health) {
		t.Helper()
		list, err := outbox.Tokens(t.Context(), s, user)
		if err != nil || len(list) != 1 || list[0].Health != want {
			t.Errorf("%s: %+v %v; want %+v", what, list, err, want)
		}
	}
	register("bob")
	change("bob", outbox.Health{AcceptedAt: 100, AcknowledgedAt: 110})
	change("bob", outbox.Health{FailedAt: 200, Failures: 1, Error: "first"})
	change("bob", outbox.Health{FailedAt: 300, Failures: 2, Error: "second"})
	failing := outbox.Health{AcceptedAt: 100, AcknowledgedAt: 110, FailedAt: 300, Failures: 3, Error: "second"}
	expect("after failures", "bob", failing)
	change("bob", outbox.Health{AcceptedAt: 250})
	failing.AcceptedAt = 250
	expect("after an older acceptance of another node", "bob", failing)
	change("bob", outbox.Health{FailedAt: 260, Failures: 1, Error: "older"})
	failing.Failures = 4
	expect("after an older failure of another node", "bob", failing)
	stop()
	s = open(t)
	Run(t, s, nil)
	register("bob")
	expect("after a restart and a registration", "bob", failing)
	change("bob", outbox.Health{AcceptedAt: 400, AcknowledgedAt: 90})
	healthy := failing
	healthy.AcceptedAt, healthy.Failures = 400, 0
	expect("after an acceptance", "bob", healthy)
	register("eve")
	expect("of another user", "eve", outbox.Health{})
	change("bob", outbox.Health{AcceptedAt: 500})
	expect("after a change of the user before", "eve", outbox.Health{})
}

// pushTests: the first acknowledgement of a test and its acceptance stay, in any order, until the rows are removed.
func pushTests(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	do := func(f func(tx *txn.Tx)) {
		t.Helper()
		if err := Do(t, s, txn.ReadSet{}, func(tx *txn.Tx) error { f(tx); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	do(func(tx *txn.Tx) {
		outbox.PutTests(tx, []outbox.TestPush{{TestID: "t", Key: "a", UserID: "bob", DeviceID: "d", Provider: "fcm", At: 1},
			{TestID: "t", Key: "b", UserID: "bob", At: 1}, {TestID: "other", Key: "a", UserID: "bob", At: tx.Now}})
	})
	do(func(tx *txn.Tx) { outbox.TestAcknowledged(tx, "t", []string{"a"}, 30) })
	do(func(tx *txn.Tx) { outbox.TestAcknowledged(tx, "t", []string{"a"}, 40) })
	do(func(tx *txn.Tx) { outbox.TestAccepted(tx, "t", "a", 0, "failed first") })
	do(func(tx *txn.Tx) { outbox.TestAccepted(tx, "t", "a", 20, "") })
	do(func(tx *txn.Tx) { outbox.TestAccepted(tx, "t", "a", 50, "sent twice") })
	list := testsOf(t, s, "t")
	want := outbox.TestPush{TestID: "t", Key: "a", UserID: "bob", DeviceID: "d", Provider: "fcm", At: 1, AcceptedAt: 20,
		AcknowledgedAt: 30}
	if len(list) != 2 || list[0] != want || list[1].AcceptedAt != 0 || list[1].AcknowledgedAt != 0 {
		t.Errorf("the test has the rows %+v", list)
	}
	apply(t, s, retention.Options{Age: 24 * time.Hour})
	if old, fresh := testsOf(t, s, "t"), testsOf(t, s, "other"); len(old) != 0 || len(fresh) != 1 {
		t.Errorf("retention leaves %+v of an old test, and %+v of a new one", old, fresh)
	}
	if err := personaldata.RemoveRows(t.Context(), s, &personaldata.Erasure{UserID: "bob"}); err != nil {
		t.Fatal(err)
	}
	if left := testsOf(t, s, "other"); len(left) != 0 {
		t.Errorf("an erasure leaves %+v", left)
	}
}

func testsOf(t testing.TB, s *store.Store, id string) []outbox.TestPush {
	t.Helper()
	list, err := outbox.TestPushes(t.Context(), s, id)
	if err != nil {
		t.Fatal(err)
	}
	return list
}
