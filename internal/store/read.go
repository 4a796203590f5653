package store

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store/postgres"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
)

// View runs f with a reader of one snapshot.
func (s *Store) View(ctx context.Context, f func(sqldb.Reader) error) error {
	return s.db.View(ctx, f)
}

// ViewStandby runs f as View does, on a standby of PostgreSQL if there is one. f sees all commits before the call.
func (s *Store) ViewStandby(ctx context.Context, f func(sqldb.Reader) error) error {
	if d, ok := s.db.(*postgres.DB); ok {
		return d.ViewStandby(ctx, f)
	}
	return s.db.View(ctx, f)
}

// readAllStandby reads the rows of a query as ViewStandby does.
func readAllStandby[T any](ctx context.Context, s *Store, scan func(sqldb.Row) (*T, error), query string,
	args ...any) (list []T, err error) {
	d, ok := s.db.(*postgres.DB)
	if !ok {
		return sqldb.All(ctx, s.db, scan, query, args...)
	}
	err = d.ReadStandby(ctx, func(r sqldb.Reader) error {
		list, err = sqldb.All(ctx, r, scan, query, args...)
		return err
	})
	return list, err
}

// ReadAll runs queries in one snapshot, sent together.
func (s *Store) ReadAll(ctx context.Context, list []sqldb.Query) error {
	return s.db.ReadAll(ctx, list)
}

// Page is a range of records of one topic, read together with the topic's ends.
type Page struct {
	Records []txn.Record // oldest first
	Head    uint64       // the last sequence
	Floor   uint64       // the last sequence that was trimmed: readers before it have lost records
}

// Records returns the records of a topic after a sequence: at most limit, and about maxBytes of bodies.
func (s *Store) Records(ctx context.Context, topic string, after uint64, limit, maxBytes int) (p Page, err error) {
	size := 0
	err = s.db.ReadAll(ctx, []sqldb.Query{ReadEnds(topic, &p.Head, &p.Floor),
		topicRecords(topic, after, limit, func(r txn.Record) error {
			p.Records = append(p.Records, r)
			if size += len(r.Body); size >= maxBytes {
				return sqldb.ErrStopScan
			}
			return nil
		})})
	s.unanswered.cut(topic, &p)
	return p, err
}

func topicRecords(topic string, after uint64, limit int, f func(txn.Record) error) sqldb.Query {
	return sqldb.Query{Text: queries.Text("TopicRecords"), Args: []any{topic, after, limit},
		Scan: func(row sqldb.Row) error {
			r := txn.Record{Topic: topic}
			if err := row.Scan(&r.Seq, &r.At, &r.Device, &r.Listen, &r.Body, &r.Audience); err != nil {
				return err
			}
			return f(r)
		}}
}

// After is a position in a topic.
type After struct {
	Topic string
	Seq   uint64
	Limit int // records to read; the topic may have more
}

// perRecord is the estimated overhead of a record in memory beside its body, in bytes.
const perRecord = 100

// RecordSize returns the estimated size of a record in memory, in bytes.
func RecordSize(r *txn.Record) int { return len(r.Body) + perRecord }

// together limits the topics and the records of one round trip of Pages.
const together = 500

// Pages returns the records after positions in topics, at most maxBytes by RecordSize. The page of a topic is empty if
// its records do not fit into the rest. After four times maxBytes, nothing more is read.
func (s *Store) Pages(ctx context.Context, list []After, maxBytes int) ([]Page, error) {
	pages := make([]Page, len(list))
	rest, unread := maxBytes, 4*maxBytes
	for from := 0; from < len(list) && unread > 0; {
		var reads []sqldb.Query
		for rows := 0; from < len(list) && len(reads) < 2*together && rows < together; from++ {
			p, a, size := &pages[from], list[from], 0
			rows += a.Limit
			reads = append(reads, ReadEnds(a.Topic, &p.Head, &p.Floor), topicRecords(a.Topic, a.Seq, a.Limit,
				func(r txn.Record) error {
					n := RecordSize(&r)
					size += n
					unread -= n
					if rest -= n; rest < 0 {
						rest += size
						p.Records = nil
						return sqldb.ErrStopScan
					}
					p.Records = append(p.Records, r)
					return nil
				}))
		}
		if err := s.db.ReadAll(ctx, reads); err != nil {
			return nil, err
		}
	}
	for i := range pages {
		s.unanswered.cut(list[i].Topic, &pages[i])
	}
	return pages, nil
}

// ReadEnds returns the query of the ends of a topic: its last sequence, and the last that was trimmed.
func ReadEnds(topic string, head, floor *uint64) sqldb.Query {
	return sqldb.Query{Text: queries.Text("TopicHead"), Args: []any{topic},
		Scan: func(row sqldb.Row) error { return row.Scan(head, floor) }}
}

func readHead(ctx context.Context, r sqldb.Reader, topic string) (head uint64, err error) {
	var floor uint64
	err = r.Read(ctx, queries.Text("TopicHead"), func(row sqldb.Row) error { return row.Scan(&head, &floor) }, topic)
	return head, err
}

// Head returns the sequence of the last record of a topic that may be read; 0 when it has none.
func (s *Store) Head(ctx context.Context, topic string) (uint64, error) {
	if seq, ok := s.heads.get(topic); ok {
		return s.unanswered.readable(topic, seq), nil
	}
	head, err := readHead(ctx, s.db, topic)
	if err == nil {
		s.heads.learn(topic, head)
	}
	return s.unanswered.readable(topic, head), err
}

// Invitation reads an invitation; nil when there is none.
func (s *Store) Invitation(ctx context.Context, id string) (*invite.Invitation, error) {
	return sqldb.One(ctx, s.db, txn.ScanInvitation, queries.Text("Invitation"), id)
}

// Invitee reads one invitee; nil when the user was never invited.
func (s *Store) Invitee(ctx context.Context, id, user string) (*invite.Invitee, error) {
	return sqldb.One(ctx, s.db, txn.ScanInvitee, queries.Text("Invitee"), id, user)
}

// Invitees reads a page of invitees in the order of the inviteeList, from position ord on.
func (s *Store) Invitees(ctx context.Context, id string, ord, limit int) ([]invite.Invitee, error) {
	return sqldb.All(ctx, s.db, txn.ScanInvitee, queries.Text("Invitees"), id, ord, limit)
}

// Invitations reads invitations by their ids; unknown ids are left out.
func (s *Store) Invitations(ctx context.Context, ids []string) ([]invite.Invitation, error) {
	return sqldb.AllIn(ctx, s.db, txn.ScanInvitation, queries.Text("Invitations"), ids)
}

// Deadline is the time at which an invitation has something to time out.
type Deadline struct {
	InviteID string
	Due      int64 // milliseconds
}

func scanDeadline(row sqldb.Row) (*Deadline, error) {
	var d Deadline
	return &d, row.Scan(&d.InviteID, &d.Due)
}

// Deadlines calls f for every open invitation that has a deadline.
func (s *Store) Deadlines(ctx context.Context, f func(Deadline)) error {
	return s.db.Read(ctx, queries.Text("Deadlines"), func(row sqldb.Row) error {
		d, err := scanDeadline(row)
		f(*d)
		return err
	})
}

// Share is one of Count equal shares of the deadlines.
type Share struct{ Index, Count int }

// DueSoon reads a page of the open invitations of a share that are due by a time, after one of them, and of those of
// all shares that were due before late.
func (s *Store) DueSoon(ctx context.Context, by int64, after Deadline, share Share, late int64, limit int) ([]Deadline,
	error) {
	return sqldb.All(ctx, s.db, scanDeadline, queries.Text("DueSoon"), by, after.Due, after.InviteID, limit, share.Count,
		share.Index, late)
}

// StillOpen returns those of some invitations that are open.
func (s *Store) StillOpen(ctx context.Context, ids []string) ([]invite.Invitation, error) {
	return sqldb.AllIn(ctx, s.db, txn.ScanInvitation, queries.Text("InvitationsStillOpen"), ids)
}

// DigestPending lists the invitations in large groups with a last version that was not digested.
func (s *Store) DigestPending(ctx context.Context) ([]string, error) {
	return sqldb.All(ctx, s.db, sqldb.Text, queries.Text("Undigested"))
}

// Group reads a group; nil when there is none.
func (s *Store) Group(ctx context.Context, id string) (*im.Group, error) {
	return sqldb.One(ctx, s.db, txn.ScanGroup, queries.Text("Group"), id)
}

// GroupsEnding reads a page of the dismissed groups that still have members, by id, after a group.
func (s *Store) GroupsEnding(ctx context.Context, after string, limit int) ([]string, error) {
	return sqldb.All(ctx, s.db, sqldb.Text, queries.Text("GroupsEnding"), after, limit)
}

// OpenInGroup reads a page of the open invitations of a group, by id, after an invitation.
func (s *Store) OpenInGroup(ctx context.Context, group, after string, limit int) ([]string, error) {
	return sqldb.All(ctx, s.db, sqldb.Text, queries.Text("OpenInGroup"), group, after, limit)
}

// OpenOfMembers counts the open invitations to some users, up to a limit, and those of them in a group.
func (s *Store) OpenOfMembers(ctx context.Context, group string, users []string, limit int) (all, in int, err error) {
	args := []any{group, limit}
	for _, u := range users {
		args = append(args, u)
	}
	err = s.db.Read(ctx, queries.Numbered("OpenOfMembers", 3, len(users)),
		func(row sqldb.Row) error { return row.Scan(&all, &in) }, args...)
	return all, in, err
}

// Large counts the invitations of a group that are open for more than 100 users.
type Large struct{ All, Own int } // Own: of one inviter

// LargeInGroup counts the large open invitations of a group, and those of one inviter.
func (s *Store) LargeInGroup(ctx context.Context, group, inviter string) (n Large, err error) {
	scan := func(row sqldb.Row) error { return row.Scan(&n.All, &n.Own) }
	err = s.db.Read(ctx, queries.Text("LargeInGroup"), scan, group, inviter)
	return n, err
}

// Member reads one member; nil when the user never was one.
func (s *Store) Member(ctx context.Context, group, user string) (*im.Member, error) {
	return sqldb.One(ctx, s.db, txn.ScanMember, queries.Text("Member"), group, user)
}

// Members reads a page of present members by user id, after a user.
func (s *Store) Members(ctx context.Context, group, after string, limit int) ([]im.Member, error) {
	return sqldb.All(ctx, s.db, txn.ScanMember, queries.Text("Members"), group, after, limit)
}

// Joined reads a page of a user's groups by group id, after a group.
func (s *Store) Joined(ctx context.Context, user, after string, limit int) ([]im.Group, error) {
	return sqldb.All(ctx, s.db, txn.ScanGroup, queries.Text("GroupsOfUser"), user, after, limit)
}

// Heads returns the sequences of the last records of topics that may be read, as Head does.
func (s *Store) Heads(ctx context.Context, topics []string) (map[string]uint64, error) {
	heads := make(map[string]uint64, len(topics))
	var ask []string
	for _, t := range topics {
		if head, ok := s.heads.get(t); ok {
			heads[t] = head
		} else {
			ask = append(ask, t)
			heads[t] = 0
		}
	}
	if len(ask) == 0 {
		return s.readableOf(heads), nil
	}
	err := s.readHeads(ctx, ask, heads)
	if err == nil {
		for _, t := range ask {
			s.heads.learn(t, heads[t])
		}
	}
	return s.readableOf(heads), err
}

func (s *Store) readableOf(heads map[string]uint64) map[string]uint64 {
	for t, head := range heads {
		heads[t] = s.unanswered.readable(t, head)
	}
	return heads
}

func (s *Store) readHeads(ctx context.Context, topics []string, heads map[string]uint64) error {
	return s.db.ReadIn(ctx, queries.Text("TopicHeads"), topics, func(rows sqldb.Row) error {
		var topic string
		var head uint64
		err := rows.Scan(&topic, &head)
		heads[topic] = head
		return err
	})
}

// Lasts returns the sequences of the last records of topics, also of those that may not be read yet: a device may have
// them from another node. Topics without records are left out.
func (s *Store) Lasts(ctx context.Context, topics []string) (map[string]uint64, error) {
	lasts := map[string]uint64{}
	if len(topics) == 0 {
		return lasts, nil
	}
	return lasts, s.readHeads(ctx, topics, lasts)
}
