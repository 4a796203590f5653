package store

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
)

// View runs f with a reader of one snapshot.
func (s *Store) View(ctx context.Context, f func(sqldb.Reader) error) error {
	return s.db.View(ctx, f)
}

// Page is a range of records of one topic, read together with the topic's ends.
type Page struct {
	Records []txn.Record // oldest first
	Head    uint64       // the last sequence
	Floor   uint64       // the last sequence that was trimmed: readers before it have lost records
}

// Records returns the records of a topic after a sequence: at most limit, and about maxBytes of bodies.
func (s *Store) Records(ctx context.Context, topic string, after uint64, limit, maxBytes int) (p Page, err error) {
	err = s.View(ctx, func(r sqldb.Reader) (err error) {
		if p.Head, p.Floor, err = readTopic(ctx, r, topic); err != nil {
			return err
		}
		size := 0
		return r.Read(ctx, queries.Text("TopicRecords"), func(row sqldb.Row) error {
			rec := txn.Record{Topic: topic}
			if err := row.Scan(&rec.Seq, &rec.At, &rec.Device, &rec.Listen, &rec.Body, &rec.Audience); err != nil {
				return err
			}
			p.Records = append(p.Records, rec)
			if size += len(rec.Body); size >= maxBytes {
				return sqldb.ErrStopScan
			}
			return nil
		}, topic, after, limit)
	})
	s.unanswered.cut(topic, &p)
	return p, err
}

func readTopic(ctx context.Context, r sqldb.Reader, topic string) (head, floor uint64, err error) {
	err = r.Read(ctx, queries.Text("TopicHead"), func(row sqldb.Row) error { return row.Scan(&head, &floor) }, topic)
	return head, floor, err
}

// Head returns the sequence of the last record of a topic that may be read; 0 when it has none.
func (s *Store) Head(ctx context.Context, topic string) (uint64, error) {
	if seq, ok := s.heads.get(topic); ok {
		return s.unanswered.readable(topic, seq), nil
	}
	head, _, err := readTopic(ctx, s.db, topic)
	if err == nil {
		s.heads.learn(topic, head)
	}
	return s.unanswered.readable(topic, head), err
}

// Reaches reports whether a topic has a record with this sequence or a later one, also one that may not be read yet: a
// device may have it from another node.
func (s *Store) Reaches(ctx context.Context, topic string, seq uint64) (bool, error) {
	head, _, err := readTopic(ctx, s.db, topic)
	return head >= seq, err
}

// Membership is one group of a user, with the position after which the user reads it.
type Membership struct {
	GroupID   string
	JoinedSeq uint64
	Head      uint64
}

// Snapshot is the state for a connecting device, read in one snapshot of the database.
type Snapshot struct {
	Now         int64
	Head        uint64 // of the user topic
	Groups      []Membership
	Invitations []OpenInvitation
	Over        []string // invitations to several that are over and still followed by the user
}

// OpenInvitation is an invitation that is open for a user: as its inviter, or as an invitee.
type OpenInvitation struct {
	Invitation invite.Invitation
	Mine       *invite.Invitee // nil for the inviter
	Head       uint64          // of the invitation's topic, when it has one
	Floor      uint64          // likewise
}

// MaxSnapshot limits the open invitations of one snapshot; listInvitations returns the others.
const MaxSnapshot = 200

// maxSnapshotData limits the data of the invitations of one snapshot, in bytes: each connect of each device reads them,
// and strangers may have left hundreds. The connect reply has 64 KiB of them at most.
const maxSnapshotData = 512 << 10

// Snapshot reads the open invitations of a user, and the heads of the user's timelines.
func (s *Store) Snapshot(ctx context.Context, user string) (*Snapshot, error) {
	snap := &Snapshot{}
	err := s.View(ctx, func(r sqldb.Reader) (err error) {
		if snap.Head, _, err = readTopic(ctx, r, im.UserTopic(user)); err != nil {
			return err
		}
		snap.Now = s.Now()
		if snap.Groups, err = sqldb.All(ctx, r, scanMembership, queries.Text("Memberships"), user); err != nil {
			return err
		}
		if snap.Invitations, snap.Over, err = readOpen(ctx, r, user, MaxSnapshot, maxSnapshotData); err != nil {
			return err
		}
		return readOwnTopicHeads(ctx, r, snap.Invitations)
	})
	s.unanswered.cutSnapshot(user, snap)
	return snap, err
}

func scanMembership(row sqldb.Row) (*Membership, error) {
	var m Membership
	return &m, row.Scan(&m.GroupID, &m.JoinedSeq, &m.Head)
}

// readOpen lists the invitations without the user's answer first, so that the limit does not cut them off; then those
// of the user as the inviter; then those that are decided for the user and open for others. maxData limits the bytes of
// their data, of each of these; 0 = no limit.
func readOpen(ctx context.Context, r sqldb.Reader, user string, limit, maxData int) (list []OpenInvitation,
	over []string, err error) {
	data := 0
	add := func(o OpenInvitation) error {
		list = append(list, o)
		if data += len(o.Invitation.Data); maxData > 0 && data > maxData {
			return sqldb.ErrStopScan
		}
		return nil
	}
	invited := func(rows sqldb.Row) error {
		v, w, err := txn.ScanInvited(rows)
		if err != nil {
			return err
		}
		if v.Over() {
			over = append(over, v.ID)
			return nil
		}
		return add(OpenInvitation{Invitation: *v, Mine: w})
	}
	if err := r.Read(ctx, queries.Text("OpenForInvitee"), invited, user, limit); err != nil {
		return nil, nil, err
	}
	data = 0
	if err := r.Read(ctx, queries.Text("OpenByInviter"), func(rows sqldb.Row) error {
		v, err := txn.ScanInvitation(rows)
		if err != nil {
			return err
		}
		return add(OpenInvitation{Invitation: *v})
	}, user, limit); err != nil {
		return nil, nil, err
	}
	for _, q := range []string{queries.Text("FollowedByInvitee"), queries.Text("AnsweredInGroups")} {
		data = 0
		if err := r.Read(ctx, q, invited, user, limit); err != nil {
			return nil, nil, err
		}
	}
	return list, over, nil
}

// readOwnTopicHeads reads the heads of invitations with a topic of their own.
func readOwnTopicHeads(ctx context.Context, r sqldb.Reader, list []OpenInvitation) (err error) {
	for i := range list {
		if v := &list[i].Invitation; v.OwnTopic {
			if list[i].Head, list[i].Floor, err = readTopic(ctx, r, im.InvitationTopic(v.ID)); err != nil {
				return err
			}
		}
	}
	return nil
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

// OpenInvitations reads the open invitations of a user.
func (s *Store) OpenInvitations(ctx context.Context, user string, limit int) ([]OpenInvitation, error) {
	list, _, err := readOpen(ctx, s.db, user, limit, 0)
	return list, err
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

// DueSoon reads a page of the open invitations that are due by a time, after one of them.
func (s *Store) DueSoon(ctx context.Context, by int64, after Deadline, limit int) ([]Deadline, error) {
	return sqldb.All(ctx, s.db, scanDeadline, queries.Text("DueSoon"), by, after.Due, after.InviteID, limit)
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

// Heads returns the heads of topics, which the reconcile pass compares with the delivered positions.
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
		return heads, nil
	}
	err := s.db.ReadIn(ctx, queries.Text("TopicHeads"), ask, func(rows sqldb.Row) error {
		var topic string
		var head uint64
		err := rows.Scan(&topic, &head)
		heads[topic] = head
		return err
	})
	if err == nil {
		for _, t := range ask {
			s.heads.learn(t, heads[t])
		}
	}
	return heads, err
}

// Floor returns the last sequence of a topic that was trimmed.
func (s *Store) Floor(ctx context.Context, topic string) (uint64, error) {
	_, floor, err := readTopic(ctx, s.db, topic)
	return floor, err
}
