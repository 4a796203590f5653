// Command erasure measures the erasure of a user in databases of growing size, on SQLite or PostgreSQL: the stages that
// read indexes, and the scan for copies. docs/performance.md has the results.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/personaldata"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/test/database"
)

// What an erased user has; the rest of the database belongs to others.
const (
	contacts    = 20  // with as many messages each
	perContact  = 20  // on both timelines
	groups      = 5   // of the user
	perGroup    = 500 // messages, of which the user sent every tenth
	forwards    = 3   // of messages of the user, elsewhere
	perTimeline = 200 // of others
	perCommit   = 20_000
)

func main() {
	list := flag.String("records", "1000000,6000000,12000000", "records at each measurement")
	engine := flag.String("engine", "sqlite", "sqlite or postgres")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *engine, *list); err != nil {
		fmt.Fprintln(os.Stderr, "erasure:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, engine, list string) (err error) {
	db, err := database.New(ctx, engine)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	fmt.Printf("%s, %s\n\n| records | stages with an index | of it: groups | timeline and conversations | rewritten | "+
		"scan for copies | copies |\n|---|---|---|---|---|---|---|\n", engine, time.Now().UTC().Format(time.DateOnly))
	have := 0
	for number := range strings.SplitSeq(list, ",") {
		want, err := strconv.Atoi(number)
		if err != nil {
			return err
		}
		if have, err = fill(ctx, db.Options, have, want); err != nil {
			return err
		}
		if err := measure(ctx, db.Options, want); err != nil {
			return err
		}
	}
	return nil
}

// fill writes records of other users, until there are as many.
func fill(ctx context.Context, opt store.Options, have, want int) (int, error) {
	s, err := store.Open(ctx, opt)
	if err != nil {
		return have, err
	}
	defer func() { _ = s.Close() }()
	text := strings.Repeat("word ", 40)
	for have < want {
		begin := time.Now()
		if err := s.Once(ctx, func(sess *sqldb.Session) error {
			w := database.Writer{Session: sess, At: s.Now()}
			for range perCommit / perTimeline {
				user := fmt.Sprintf("other%08d", have/perTimeline)
				peer := fmt.Sprintf("other%08d", have/perTimeline+1)
				for i := range perTimeline {
					w.Add(im.UserTopic(user), peer, peer, message(peer, text), i == perTimeline-1)
				}
				have += perTimeline
			}
			return w.Flush(ctx)
		}); err != nil {
			return have, err
		}
		if have%1_000_000 == 0 {
			fmt.Fprintf(os.Stderr, "%d records; the last %d took %v\n", have, perCommit,
				time.Since(begin).Round(time.Millisecond))
		}
	}
	return have, nil
}

// measure erases a user, and prints a line.
func measure(ctx context.Context, opt store.Options, records int) (err error) {
	user := fmt.Sprintf("user%d", records)
	s, err := store.Open(ctx, opt)
	if err != nil {
		return err
	}
	if err := s.Once(ctx, func(sess *sqldb.Session) error { return subject(ctx, sess, user, s.Now()) }); err != nil {
		return errors.Join(err, s.Close())
	}
	syscall.Sync() // an fsync of the measurement would wait for the pages of the records
	stop := database.Run(ctx, s)
	defer func() { err = errors.Join(err, stop()) }()
	e, err := personaldata.Start(ctx, s, user)
	if err != nil {
		return err
	}
	begin := time.Now()
	for g := range groups {
		if err := personaldata.RewriteGroup(ctx, s, e, group(user, g)); err != nil {
			return err
		}
	}
	inGroups := time.Since(begin)
	e.Until = s.Now()
	for e.Move(personaldata.StageTimeline); e.Stage < personaldata.StageCopies; {
		step := personaldata.RemoveRows
		switch e.Stage {
		case personaldata.StageTimeline:
			step = personaldata.RewriteTimeline
		case personaldata.StageConversations:
			step = personaldata.RewriteConversations
		}
		if err := step(ctx, s, e); err != nil {
			return err
		}
		if err := personaldata.Save(ctx, s, e); err != nil {
			return err
		}
	}
	indexed, rewritten := time.Since(begin), e.Records
	for begin = time.Now(); e.Stage == personaldata.StageCopies; {
		if _, err := personaldata.ScanCopies(ctx, s, []*personaldata.Erasure{e}); err != nil {
			return err
		}
	}
	fmt.Printf("| %d | %d ms | %d ms | %d ms | %d | %.1f s | %d |\n", records, indexed.Milliseconds(),
		inGroups.Milliseconds(), (indexed - inGroups).Milliseconds(), rewritten, time.Since(begin).Seconds(),
		e.Records-rewritten)
	if want := int64(contacts*perContact/2 + groups*perGroup/10); rewritten != want || e.Records-rewritten != forwards {
		return fmt.Errorf("%d records and %d copies were rewritten; want %d and %d", rewritten, e.Records-rewritten, want,
			forwards)
	}
	return nil
}

func group(user string, n int) string { return fmt.Sprintf("%s-%d", user, n) }

func message(from, text string) string {
	return fmt.Sprintf(`{"type":"message","messageType":"text","from":%q,"text":%q}`, from, text)
}

// subject writes the timelines, contacts and groups of a user.
func subject(ctx context.Context, sess *sqldb.Session, user string, now int64) error {
	w := database.Writer{Session: sess, At: now}
	var rows []any
	for c := range contacts {
		peer := fmt.Sprintf("%s-peer%d", user, c)
		for i := range perContact {
			from := user
			if i%2 == 1 {
				from = peer
			}
			w.Add(im.UserTopic(peer), user, "", message(from, "said between two"), i == perContact-1)
			w.Add(im.UserTopic(user), peer, "", message(from, "said between two"), i == perContact-1 && c == contacts-1)
		}
		row := make([]any, len(contactColumns))
		for i, c := range contactColumns {
			if row[i] = any(0); c == "skipped" {
				row[i] = ""
			}
		}
		row[0], row[1] = user, peer
		rows = append(rows, row...)
	}
	for g := range groups {
		for i := range perGroup {
			from := "another"
			if i%10 == 0 {
				from = user
			}
			w.Add(im.GroupTopic(group(user, g)), txn.GroupPeer, from, message(from, "said to all"), i == perGroup-1)
		}
	}
	for i := range forwards {
		w.Add(im.UserTopic(fmt.Sprintf("%s-far%d", user, i)), "another", "another", fmt.Sprintf(
			`{"type":"message","messageType":"merged","from":"another","merged":{"messages":[{"from":%q,"text":"x"}]}}`, user),
			true)
	}
	return errors.Join(w.Flush(ctx), sess.Write(ctx, contactInsert, len(contactColumns), rows))
}

var (
	contactColumns = contactSchema().Columns
	contactInsert  = contactSchema().Insert
)

func contactSchema() *txn.Schema {
	for _, s := range txn.Schemas() {
		if s.Name == "contact" {
			return s
		}
	}
	panic("there is no table of contacts")
}
