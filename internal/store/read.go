package store

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
)

// reads lists the statements of this room that are run outside a batch.
func reads() []string {
	return append([]string{
		qRecords, qTopic, qMemberships, qMyOpen, qOpenForMe, qFollowed, qAnsweredInGroups, qInvitation, qInvitee, qInvitees, qDeadlines, qDueSoon, qUndigested, qGroup, qMember, qMembers, qJoined,
	}, append(chatReads(), roomReads()...)...)
}

// Everything that is read outside a batch.
const (
	qRecords     = "SELECT seq, at, device, listen, body, audience FROM record WHERE topic = $1 AND seq > $2 ORDER BY seq LIMIT $3"
	qTopic       = "SELECT head, floor FROM topic WHERE name = $1"
	qMemberships = "SELECT m.group_id, m.joined_seq, coalesce(t.head, 0) FROM member m LEFT JOIN topic t ON t.name = 'group:' || m.group_id WHERE m.user_id = $1 AND m.gone = 0"
	qMyOpen      = "SELECT " + txn.InvitationColumns + " FROM invitation WHERE inviter = $1 AND open > 0 ORDER BY created_at LIMIT $2"
	qOpenForMe   = invited + "WHERE w.user_id = $1 AND w.state = 0 AND w.deaf % 2 = 0 LIMIT $2"
	qFollowed    = invited + "WHERE w.user_id = $1 AND w.deaf >= 4 AND w.deaf % 2 = 0 AND w.state <> 0 LIMIT $2"

	// qAnsweredInGroups reads the invitations of the user's groups that are decided for the user and open for others.
	qAnsweredInGroups = invited + `WHERE w.user_id = $1 AND w.state <> 0 AND w.deaf % 2 = 0 AND v.open > 0 AND v.group_id <> '' AND v.accepted + v.rejected + v.cancelled + v.timed_out > 0
		AND v.group_id IN (SELECT m.group_id FROM member m WHERE m.user_id = $1 AND m.gone = 0) LIMIT $2`

	// invited joins an invitee with the invitation, as world.ScanInvited reads them.
	invited = `SELECT w.invite_id, w.user_id, w.ord, w.state, w.reason, w.data, w.by_device, w.by_request, w.ringing_at, w.deadline, w.decided_at, w.deaf, w.counted, w.seq,
		v.id, v.inviter, v.peer, v.group_id, v.room_id, v.timeout, v.notify, v.accept_limit, v.min_ring, v.flags, v.push, v.print,
		v.created_at, v.deadline, v.by_device, v.by_request, v.data, v.party, v.due, v.last, v.version,
		v.open, v.accepted, v.rejected, v.cancelled, v.timed_out, v.recent, v.digested, v.names, v.counted FROM invitee w JOIN invitation v ON v.id = w.invite_id `
	qInvitations = "SELECT " + txn.InvitationColumns + " FROM invitation WHERE id IN (?*)"
	qInvitation  = "SELECT " + txn.InvitationColumns + " FROM invitation WHERE id = $1"
	qInvitee     = "SELECT " + txn.InviteeColumns + " FROM invitee WHERE invite_id = $1 AND user_id = $2"
	qInvitees    = "SELECT " + txn.InviteeColumns + " FROM invitee WHERE invite_id = $1 AND ord >= $2 ORDER BY ord LIMIT $3"
	qUndigested  = "SELECT id FROM invitation WHERE flags / 16 % 2 = 1 AND digested < version"
	qDeadlines   = "SELECT id, due FROM invitation WHERE open > 0"
	qDueSoon     = "SELECT id, due FROM invitation WHERE open > 0 AND due > 0 AND due <= $1 AND (due > $2 OR due = $2 AND id > $3) ORDER BY due, id LIMIT $4"
	qStillOpen   = "SELECT " + txn.InvitationColumns + " FROM invitation WHERE open > 0 AND id IN (?*)"
	qHeads       = "SELECT name, head FROM topic WHERE name IN (?*)"
	qGroup       = "SELECT " + txn.GroupColumns + " FROM grp g WHERE g.id = $1"
	qMember      = "SELECT " + txn.MemberColumns + " FROM member WHERE group_id = $1 AND user_id = $2"
	qMembers     = "SELECT " + txn.MemberColumns + " FROM member WHERE group_id = $1 AND user_id > $2 AND gone = 0 ORDER BY user_id LIMIT $3"
	qJoined      = "SELECT " + txn.GroupColumns + " FROM member m JOIN grp g ON g.id = m.group_id WHERE m.user_id = $1 AND m.group_id > $2 AND m.gone = 0 ORDER BY m.group_id LIMIT $3"
)

// pool reads without a transaction: each statement sees what is committed then.
func (s *Store) pool() sqldb.Reader { return s.db }

// View runs f so that all it reads is of one moment.
func (s *Store) View(ctx context.Context, f func(sqldb.Reader) error) error {
	return s.db.View(ctx, f)
}

func each(ctx context.Context, r sqldb.Reader, scan func(sqldb.Row) error, query string, args ...any) error {
	return r.Read(ctx, query, scan, args...)
}

// Page is a run of records of one topic, read together with where the topic begins and ends.
type Page struct {
	Records []txn.Record // oldest first
	Head    uint64       // the last sequence
	Floor   uint64       // the last sequence that was trimmed: a reader before it has missed something for good
}

// Records returns the records of a topic after a sequence, at most limit of them and about maxBytes of bodies.
func (s *Store) Records(ctx context.Context, topic string, after uint64, limit, maxBytes int) (p Page, err error) {
	err = s.View(ctx, func(r sqldb.Reader) (err error) {
		if p.Head, p.Floor, err = readTopic(ctx, r, topic); err != nil {
			return err
		}
		size := 0
		return each(ctx, r, func(row sqldb.Row) error {
			rec := txn.Record{Topic: topic}
			if err := row.Scan(&rec.Seq, &rec.At, &rec.Device, &rec.Listen, &rec.Body, &rec.Audience); err != nil {
				return err
			}
			p.Records = append(p.Records, rec)
			if size += len(rec.Body); size >= maxBytes {
				return sqldb.ErrStopScan
			}
			return nil
		}, qRecords, topic, after, limit)
	})
	s.unanswered.cut(topic, &p)
	return p, err
}

func readTopic(ctx context.Context, r sqldb.Reader, topic string) (head, floor uint64, err error) {
	err = each(ctx, r, func(rows sqldb.Row) error { return rows.Scan(&head, &floor) }, qTopic, topic)
	return head, floor, err
}

// Head returns the sequence of the last record of a topic that may be read; 0 when it has none.
func (s *Store) Head(ctx context.Context, topic string) (uint64, error) {
	if seq, ok := s.heads.get(topic); ok {
		return s.unanswered.readable(topic, seq), nil
	}
	head, _, err := readTopic(ctx, s.pool(), topic)
	if err == nil {
		s.heads.learn(topic, head)
	}
	return s.unanswered.readable(topic, head), err
}

// Reaches reports whether a topic has a record with this sequence or a later one, also when it may not be read yet: a device may
// have it from another node.
func (s *Store) Reaches(ctx context.Context, topic string, seq uint64) (bool, error) {
	head, _, err := readTopic(ctx, s.pool(), topic)
	return head >= seq, err
}

// Membership is one group of a person, and where to listen to it from.
type Membership struct {
	GroupID   string
	JoinedSeq uint64
	Head      uint64
}

// Snapshot is what a connecting device is told, all read at one moment.
type Snapshot struct {
	Now         int64
	Head        uint64 // of the user topic
	Groups      []Membership
	Invitations []OpenInvitation
	Over        []string // invitations to several that are over and still marked as followed by the user
}

// OpenInvitation is an invitation that is open for a person: as its inviter, or as an invitee.
type OpenInvitation struct {
	Invitation invite.Invitation
	Mine       *invite.Invitee // nil for the inviter
	Head       uint64          // of the invitation's topic, when it has one
}

// MaxSnapshot bounds the open invitations of one snapshot; the rest are found with listInvitations.
const MaxSnapshot = 200

// Snapshot reads what is open for a person, and how far their timelines have come at that moment.
func (s *Store) Snapshot(ctx context.Context, user string) (*Snapshot, error) {
	snap := &Snapshot{}
	err := s.View(ctx, func(r sqldb.Reader) (err error) {
		if snap.Head, _, err = readTopic(ctx, r, im.UserTopic(user)); err != nil {
			return err
		}
		snap.Now = s.Now()
		err = each(ctx, r, func(rows sqldb.Row) error {
			var m Membership
			err := rows.Scan(&m.GroupID, &m.JoinedSeq, &m.Head)
			snap.Groups = append(snap.Groups, m)
			return err
		}, qMemberships, user)
		if err != nil {
			return err
		}
		if snap.Invitations, snap.Over, err = readOpen(ctx, r, user, MaxSnapshot); err != nil {
			return err
		}
		return readOwnTopicHeads(ctx, r, snap.Invitations)
	})
	s.unanswered.cutSnapshot(user, snap)
	return snap, err
}

// readOpen lists the invitations that wait for the user's answer first, so that the limit does not cut them off; then those that
// the user made; then those that are decided for the user and open for others.
func readOpen(ctx context.Context, r sqldb.Reader, user string, limit int) (list []OpenInvitation, over []string, err error) {
	invited := func(rows sqldb.Row) error {
		v, w, err := txn.ScanInvited(rows)
		if err != nil {
			return err
		}
		if v.Over() {
			over = append(over, v.ID)
		} else {
			list = append(list, OpenInvitation{Invitation: *v, Mine: w})
		}
		return nil
	}
	if err := each(ctx, r, invited, qOpenForMe, user, limit); err != nil {
		return nil, nil, err
	}
	if err := each(ctx, r, func(rows sqldb.Row) error {
		v, err := txn.ScanInvitation(rows)
		if err == nil {
			list = append(list, OpenInvitation{Invitation: *v})
		}
		return err
	}, qMyOpen, user, limit); err != nil {
		return nil, nil, err
	}
	for _, q := range []string{qFollowed, qAnsweredInGroups} {
		if err := each(ctx, r, invited, q, user, limit); err != nil {
			return nil, nil, err
		}
	}
	return list, over, nil
}

// readOwnTopicHeads reads how far the topics of those invitations have come that have one.
func readOwnTopicHeads(ctx context.Context, r sqldb.Reader, list []OpenInvitation) (err error) {
	for i := range list {
		if v := &list[i].Invitation; v.OwnTopic {
			if list[i].Head, _, err = readTopic(ctx, r, im.InvitationTopic(v.ID)); err != nil {
				return err
			}
		}
	}
	return nil
}

func readInvitation(ctx context.Context, r sqldb.Reader, id string) (v *invite.Invitation, err error) {
	err = each(ctx, r, func(rows sqldb.Row) error {
		v, err = txn.ScanInvitation(rows)
		return err
	}, qInvitation, id)
	return v, err
}

// Invitation reads an invitation; nil when there is none.
func (s *Store) Invitation(ctx context.Context, id string) (*invite.Invitation, error) {
	return readInvitation(ctx, s.pool(), id)
}

// Invitee reads one invitee; nil when that person was never invited.
func (s *Store) Invitee(ctx context.Context, id, user string) (w *invite.Invitee, err error) {
	err = each(ctx, s.pool(), func(rows sqldb.Row) error {
		w, err = txn.ScanInvitee(rows)
		return err
	}, qInvitee, id, user)
	return w, err
}

// Invitees reads a page of invitees in the order of the inviteeList, from place ord on.
func (s *Store) Invitees(ctx context.Context, id string, ord, limit int) ([]invite.Invitee, error) {
	var list []invite.Invitee
	err := each(ctx, s.pool(), func(rows sqldb.Row) error {
		w, err := txn.ScanInvitee(rows)
		list = append(list, *w)
		return err
	}, qInvitees, id, ord, limit)
	return list, err
}

// OpenInvitations reads what is open for a person.
func (s *Store) OpenInvitations(ctx context.Context, user string, limit int) ([]OpenInvitation, error) {
	list, _, err := readOpen(ctx, s.pool(), user, limit)
	return list, err
}

// Invitations reads invitations by their ids; unknown ones are left out.
func (s *Store) Invitations(ctx context.Context, ids []string) ([]invite.Invitation, error) {
	var list []invite.Invitation
	err := s.db.ReadIn(ctx, qInvitations, ids, func(rows sqldb.Row) error {
		v, err := txn.ScanInvitation(rows)
		if err == nil {
			list = append(list, *v)
		}
		return err
	})
	return list, err
}

// Deadline says when something of an invitation may time out.
type Deadline struct {
	InviteID string
	Due      int64 // milliseconds
}

// Deadlines calls f for every open invitation that has a deadline.
func (s *Store) Deadlines(ctx context.Context, f func(Deadline)) error {
	return each(ctx, s.pool(), func(rows sqldb.Row) error {
		var d Deadline
		err := rows.Scan(&d.InviteID, &d.Due)
		f(d)
		return err
	}, qDeadlines)
}

// DueSoon reads a page of the open invitations that are due by a time, after one of them.
func (s *Store) DueSoon(ctx context.Context, by int64, after Deadline, limit int) ([]Deadline, error) {
	var list []Deadline
	err := each(ctx, s.pool(), func(rows sqldb.Row) error {
		var d Deadline
		err := rows.Scan(&d.InviteID, &d.Due)
		list = append(list, d)
		return err
	}, qDueSoon, by, after.Due, after.InviteID, limit)
	return list, err
}

// StillOpen returns those invitations that are open.
func (s *Store) StillOpen(ctx context.Context, ids []string) ([]invite.Invitation, error) {
	var list []invite.Invitation
	err := s.db.ReadIn(ctx, qStillOpen, ids, func(rows sqldb.Row) error {
		v, err := txn.ScanInvitation(rows)
		if err == nil {
			list = append(list, *v)
		}
		return err
	})
	return list, err
}

// DigestPending lists the invitations in large groups whose onlookers have not been told how they stand.
func (s *Store) DigestPending(ctx context.Context) ([]string, error) {
	return texts(ctx, s.pool(), qUndigested)
}

// Group reads a group; nil when there is none.
func (s *Store) Group(ctx context.Context, id string) (g *im.Group, err error) {
	err = each(ctx, s.pool(), func(rows sqldb.Row) error {
		g, err = txn.ScanGroup(rows)
		return err
	}, qGroup, id)
	return g, err
}

// Member reads one member; nil when that person never was one.
func (s *Store) Member(ctx context.Context, group, user string) (m *im.Member, err error) {
	err = each(ctx, s.pool(), func(rows sqldb.Row) error {
		m, err = txn.ScanMember(rows)
		return err
	}, qMember, group, user)
	return m, err
}

// Members reads a page of present members by user id, after a user.
func (s *Store) Members(ctx context.Context, group, after string, limit int) ([]im.Member, error) {
	var list []im.Member
	err := each(ctx, s.pool(), func(rows sqldb.Row) error {
		m, err := txn.ScanMember(rows)
		list = append(list, *m)
		return err
	}, qMembers, group, after, limit)
	return list, err
}

// Joined reads a page of a person's groups by group id, after a group.
func (s *Store) Joined(ctx context.Context, user, after string, limit int) ([]im.Group, error) {
	var list []im.Group
	err := each(ctx, s.pool(), func(rows sqldb.Row) error {
		g, err := txn.ScanGroup(rows)
		list = append(list, *g)
		return err
	}, qJoined, user, after, limit)
	return list, err
}

// Heads returns the heads of topics: the sweep compares them with what was delivered.
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
	err := s.db.ReadIn(ctx, qHeads, ask, func(rows sqldb.Row) error {
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

// Floor returns the last sequence of a topic that was trimmed away.
func (s *Store) Floor(ctx context.Context, topic string) (uint64, error) {
	_, floor, err := readTopic(ctx, s.pool(), topic)
	return floor, err
}
