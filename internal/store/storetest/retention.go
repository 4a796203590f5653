package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/holder"
	"github.com/beckon-im/beckon/internal/store/retention"
	"github.com/beckon-im/beckon/internal/tables"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
)

const day = 24 * time.Hour

// run runs statements behind the writer's cache.
func run(t testing.TB, s *store.Store, texts ...string) {
	t.Helper()
	if err := s.MaintainRows(t.Context(), func(ctx context.Context, sess *sqldb.Session, _ int64) error {
		for _, text := range texts {
			if err := sess.Exec(ctx, text); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// list returns the rows of a query of one column.
func list(t testing.TB, s *store.Store, query string) string {
	t.Helper()
	var rows []string
	if err := s.View(t.Context(), func(r sqldb.Reader) (err error) {
		rows, err = sqldb.All(t.Context(), r, sqldb.Text, query)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(rows, " ")
}

// age makes everything in the database older.
func age(t testing.TB, s *store.Store, by time.Duration) {
	t.Helper()
	var texts []string
	for table, columns := range map[string]string{"record": "at", "topic": "oldest", "file": "at used_at",
		"invitation": "created_at ended_at", "invitee": "decided_at", "media_call": "opened_at ended_at",
		"application": "applied_at handled_at", "outgoing": "at due", "stat": "at", "room": "created_at ended_at"} {
		for c := range strings.FieldsSeq(columns) {
			texts = append(texts, fmt.Sprintf("UPDATE %s SET %s = %s - %d WHERE %s > 0", table, c, c, by.Milliseconds(), c))
		}
	}
	run(t, s, texts...)
}

func apply(t testing.TB, s *store.Store, opt retention.Options) {
	t.Helper()
	if err := retention.New(s, opt).Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// fill writes rows of each kind that retention removes, and of those that it keeps. Names begin with a letter.
func fill(t testing.TB, s *store.Store, p string) {
	t.Helper()
	user, group, several := im.UserTopic(p+"a"), im.GroupTopic(p+"g"), im.InvitationTopic(p+"several")
	key := func(queue string, n int64) txn.OutboxKey { return txn.OutboxKey{Queue: queue, OrderingKey: p, Seq: n} }
	reads := txn.ReadSet{Topics: []string{user, group, several}, Rooms: []string{p + "r", p + "lives"},
		Applications: []txn.MemberKey{{GroupID: p + "g", UserID: "done"}, {GroupID: p + "g", UserID: "waits"}}}
	ids := []string{"one", "several", "open", "inroom", "undated", "online"}
	for _, id := range ids {
		reads.Invitations = append(reads.Invitations, p+id)
	}
	for n := range int64(4) {
		reads.Outbox = append(reads.Outbox, key(txn.QueueHook, n), key(txn.QueuePush, n))
	}
	if err := Do(t, s, reads, func(tx *txn.Tx) error {
		tx.Append(user, txn.Draft{Body: &note{"plain"}})
		tx.Append(user, txn.Draft{Body: &note{"picture"}, Peer: "x", Message: p + "m", Sender: "x", Words: "hello",
			Finders: []string{user}})
		tx.Append(group, txn.Draft{Body: &note{"of all"}, Peer: txn.GroupPeer, Message: p + "gm", Sender: "x"})
		tx.PutReceipt(txn.Receipt{Topic: group, ID: p + "gm", UserID: "y", At: tx.Now})
		tx.PutReaction(txn.Reaction{ReactionKey: txn.ReactionKey{Topic: group, ID: p + "gm", UserID: "y", Reaction: "+1"}})
		tx.Upsert(tables.Deletions, "y", group, 1)
		for _, id := range ids {
			fillInvitation(tx, p, id)
		}
		tx.Append(several, txn.Draft{Body: &note{"answer"}})
		tx.PutRoom(im.Room{ID: p + "r", Owner: "x", CreatedAt: tx.Now, EndedAt: tx.Now})
		tx.PutRoom(im.Room{ID: p + "lives", Owner: "x", InviteID: p + "inroom", CreatedAt: tx.Now})
		tx.PutSeat(im.Seat{RoomID: p + "r", UserID: "x", Role: im.RoomAnchor, At: tx.Now})
		tx.PutLink(txn.Link{RoomID: p + "r", UserID: "x", ID: "k", At: tx.Now})
		tx.PutCall(im.Call{ID: p + "c", RoomID: p + "r", OpenedAt: tx.Now, EndedAt: tx.Now})
		tx.PutCall(im.Call{ID: p + "goes", RoomID: p + "lives", OpenedAt: tx.Now})
		for _, c := range []string{p + "c", p + "goes"} {
			tx.PutParticipant(im.Participant{CallID: c, UserID: "x", FirstAt: tx.Now})
		}
		for _, f := range []string{"held", "unused", "forwarded"} {
			tx.PutFile(txn.File{ID: p + f, Owner: "x", At: tx.Now})
		}
		holder.Hold(tx, holder.Holder{File: p + "held", Topic: user, Message: p + "m"})
		holder.Hold(tx, holder.Holder{File: p + "forwarded", Topic: user, Message: p + "m"})
		tx.PutApplication(txn.Application{GroupID: p + "g", UserID: "done", State: txn.Agreed, AppliedAt: tx.Now,
			HandledAt: tx.Now})
		tx.PutApplication(txn.Application{GroupID: p + "g", UserID: "waits", AppliedAt: tx.Now})
		for n, state := range []txn.OutboxState{txn.OutgoingDone, txn.OutgoingDead, txn.OutgoingWaits} {
			for _, queue := range []string{txn.QueueHook, txn.QueuePush} {
				tx.PutOutboxEvent(txn.OutboxEvent{OutboxKey: key(queue, int64(n)), At: tx.Now, Due: tx.Now, State: state})
			}
		}
		tx.Upsert(tables.Stats, tx.Now, p, "calls", 1)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// fillInvitation writes an invitation to b and c, and the answer of b, and of c unless it is to stay open.
func fillInvitation(tx *txn.Tx, p, id string) {
	v, invitees := invite.New(invite.Terms{ID: p + id, Inviter: "a", OnlineUserOnly: id == "online"}, []string{"b", "c"},
		invite.Actor{User: "a"}, "print", tx.Now)
	if v.OwnTopic = id == "several"; id == "inroom" {
		v.RoomID = p + "lives"
	}
	var list []*invite.Invitee
	for i := range invitees {
		list = append(list, &invitees[i])
	}
	if id == "open" {
		list = list[:1]
	}
	done := invite.Leave(v, list, tx.Now)
	tx.PutInvitation(done.Invitation)
	for i, w := range invitees {
		if i < len(done.Invitees) {
			w = done.Invitees[i]
		}
		tx.PutInvitee(w)
	}
}

// retained checks that everything past its retention is removed, and nothing else.
func retained(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	fill(t, s, "o")
	if s.Shared() { // a refused unit leaves the row of its lock
		_ = Do(t, s, txn.ReadSet{Topics: []string{"user:ghost", "invitation:ghost", "lock"}},
			func(*txn.Tx) error { return fmt.Errorf("refused") })
	}
	age(t, s, 450*day)
	fill(t, s, "n")
	run(t, s, "UPDATE invitation SET ended_at = 0 WHERE id IN ('oundated', 'nundated')") // of an earlier version
	if err := Do(t, s, txn.ReadSet{Topics: []string{"user:na"}}, func(tx *txn.Tx) error {
		holder.Hold(tx, holder.Holder{File: "oforwarded", Topic: "user:na", Message: "nm"})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var contents []string
	opt := retention.Options{Age: day, RemoveFiles: func(_ context.Context, ids []string) error {
		contents = append(contents, ids...)
		return nil
	}}
	r := retention.New(s, opt)
	if lag := r.Lag(t.Context()); lag != -time.Second {
		t.Errorf("with rows of an earlier version the lag is %v, want -1 s", lag)
	}
	apply(t, s, opt)
	if lag := r.Lag(t.Context()); lag != 0 {
		t.Errorf("after retention the lag is %v", lag)
	}
	slices.Sort(contents)
	if got := strings.Join(contents, " "); got != "oheld ounused" {
		t.Errorf("the contents of %q were removed", got)
	}
	const kept = "ninroom none nonline nopen nseveral nundated oinroom oopen"
	for query, want := range map[string]string{
		"SELECT topic || '/' || seq FROM record WHERE topic NOT LIKE 'invitation:%' ORDER BY 1": "group:ng/1 user:na/1 " +
			"user:na/2",
		"SELECT topic FROM record WHERE topic LIKE 'invitation:%'": "invitation:nseveral",
		"SELECT name FROM topic WHERE name LIKE '%:%' ORDER BY name": "group:ng group:og invitation:nseveral user:na " +
			"user:oa",
		"SELECT id FROM invitation ORDER BY id":                     kept,
		"SELECT DISTINCT invite_id FROM invitee ORDER BY invite_id": kept,
		"SELECT id FROM media_call ORDER BY id":                     "nc ngoes ogoes",
		"SELECT call_id FROM participant ORDER BY call_id":          "nc ngoes ogoes",
		"SELECT id FROM file ORDER BY id":                           "nforwarded nheld nunused oforwarded",
		"SELECT file_id || '/' || msg FROM file_holder ORDER BY 1":  "nforwarded/nm nheld/nm oforwarded/nm",
		"SELECT topic || '/' || msg FROM receipt":                   "group:ng/ngm",
		"SELECT topic || '/' || msg FROM reaction":                  "group:ng/ngm",
		"SELECT topic FROM deleted":                                 "group:ng",
		"SELECT topic || '/' || msg FROM phrase":                    "user:na/nm",
		"SELECT group_id || user_id FROM application ORDER BY 1":    "ngdone ngwaits ogwaits",
		"SELECT queue || line || num FROM outgoing ORDER BY 1":      "hookn0 hookn1 hookn2 pushn0 pushn1 pushn2",
		"SELECT node FROM stat":                                     "n",
		"SELECT id FROM room ORDER BY id":                           "nlives nr olives",
		"SELECT room_id FROM seat":                                  "nr",
		"SELECT room_id FROM room_link":                             "nr",
		"SELECT id FROM invitation WHERE open = 0 AND ended_at = 0": "",
		"SELECT name FROM topic WHERE oldest = 0":                   "",
	} {
		if got := list(t, s, query); got != want {
			t.Errorf("%s:\n%q, want\n%q", query, got, want)
		}
	}
}

// emptyTimelines follows a timeline through retention: it is looked at when its oldest record is due, once more after
// its last was removed, and then not before it has a record again. Its sequences go on.
func emptyTimelines(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	add := func() {
		t.Helper()
		if err := Do(t, s, txn.ReadSet{Topics: []string{"user:a"}}, func(tx *txn.Tx) error {
			tx.Append("user:a", txn.Draft{Body: &note{"x"}})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want string) {
		t.Helper()
		if got := list(t, s, `SELECT head || ' ' || floor || ' ' || CASE WHEN oldest > 0 THEN 'has' WHEN oldest = 0
			THEN 'unknown' ELSE 'none' END FROM topic WHERE name = 'user:a'`); got != want {
			t.Errorf("head, floor and oldest are %q, want %q", got, want)
		}
	}
	opt := retention.Options{Age: day}
	for n := 2; n <= 6; n += 4 { // the second time with a timeline that was empty
		add()
		add()
		check(fmt.Sprintf("%d %d has", n, n-2))
		age(t, s, 2*day)
		apply(t, s, opt)
		check(fmt.Sprintf("%d %d has", n, n))
		age(t, s, 2*day)
		apply(t, s, opt)
		check(fmt.Sprintf("%d %d none", n, n))
		add()
		check(fmt.Sprintf("%d %d has", n+1, n))
		age(t, s, 2*day)
		add()
		apply(t, s, opt)
		check(fmt.Sprintf("%d %d has", n+2, n+1))
		age(t, s, 2*day)
		apply(t, s, opt)
		check(fmt.Sprintf("%d %d has", n+2, n+2))
	}
}

// reusedIDs checks that the timeline of an invitation with the ID of a removed one continues behind the positions in
// the first one, also in the caches of a node.
func reusedIDs(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	topic := im.InvitationTopic("i")
	var heads []uint64
	for range 2 {
		v, invitees := newInvitation("i", "b")
		v.OwnTopic = true
		done := invite.Leave(v, []*invite.Invitee{&invitees[0]}, 1)
		if err := Do(t, s, txn.ReadSet{Topics: []string{topic}, Invitations: []string{"i"}}, func(tx *txn.Tx) error {
			put(tx, done.Invitation, done.Invitees)
			tx.Append(topic, txn.Draft{Body: &note{"x"}})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		head, err := s.Head(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := s.Records(t.Context(), topic, 0, 10, 1<<20); err != nil || len(p.Records) != 1 || p.Floor != head-1 ||
			p.Records[0].Seq != head {
			t.Errorf("the head is %d, the records %+v, %v", head, p, err)
		}
		heads = append(heads, head)
		age(t, s, 2*day)
		apply(t, s, retention.Options{Age: day})
		if n, err := s.Head(t.Context(), topic); n != 0 || err != nil {
			t.Errorf("the head of a removed timeline is %d, %v", n, err)
		}
	}
	if heads[1] <= heads[0] {
		t.Errorf("the heads are %v", heads)
	}
}

// chunks checks that retention removes a bounded number of rows in each commit, and commits nothing when nothing is
// due.
func chunks(t *testing.T, open Engine) {
	s := open(t)
	Run(t, s, nil)
	const timelines, each, invitations = 60, 40, 1200
	for i := range timelines {
		topic := fmt.Sprintf("user:%d", i)
		if err := Do(t, s, txn.ReadSet{Topics: []string{topic}}, func(tx *txn.Tx) error {
			for range each {
				tx.Append(topic, txn.Draft{Body: &note{"x"}})
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	var reads txn.ReadSet
	for i := range invitations {
		reads.Invitations = append(reads.Invitations, fmt.Sprint("i", i))
	}
	if err := Do(t, s, reads, func(tx *txn.Tx) error {
		for _, id := range reads.Invitations {
			fillInvitation(tx, "", id)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	opt := retention.Options{Age: day}
	commits := func(what string, most int64) {
		t.Helper()
		before := s.Stats().Batches
		apply(t, s, opt)
		n := s.Stats().Batches - before
		if t.Logf("%-55s %4d commits", what, n); n > most {
			t.Errorf("%s took %d commits, at most %d", what, n, most)
		}
	}
	commits("nothing is due", 0)
	age(t, s, 2*day)
	rows := timelines*each + 3*invitations
	commits(fmt.Sprintf("%d records of %d timelines, %d invitations to two", timelines*each, timelines, invitations),
		int64(2*rows/store.TrimChunk))
	commits("nothing is due any more", 0)
	age(t, s, 2*day)
	commits(fmt.Sprintf("%d timelines that were emptied", timelines), timelines/store.TrimTopics+2)
	age(t, s, 2*day)
	commits("timelines without records", 0)
}
