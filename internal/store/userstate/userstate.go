// Package userstate reads the state of a user for a device: the snapshot of a connect, open and past invitations.
//
// It decides nothing.
package userstate

import (
	"context"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
)

// Ends are the ends of a timeline.
type Ends struct {
	Head  uint64 // the last sequence that may be read
	Floor uint64 // the last sequence that was trimmed
	Last  uint64 // the last sequence, also if it may not be read yet
}

// cut moves the head before the records that may not be read yet. Their changes are in a snapshot already: sessions
// ignore events of a known version.
func (e *Ends) cut(s *store.Store, topic string) { e.Last, e.Head = e.Head, s.Readable(topic, e.Head) }

// Membership is one group of a user, with the position after which the user reads it.
type Membership struct {
	GroupID   string
	JoinedSeq uint64
	Ends
}

// Snapshot is the state for a connecting device, read in one snapshot of the database.
type Snapshot struct {
	Now         int64
	Ends                  // of the user topic
	User        *txn.User // nil without settings
	Follows     []string  // the presence subscriptions of the user
	Groups      []Membership
	Invitations []OpenInvitation
	Over        []string // invitations to several that are over and still followed by the user
}

// OpenInvitation is an invitation that is open for a user: as its inviter, or as an invitee.
type OpenInvitation struct {
	Invitation invite.Invitation
	Mine       *invite.Invitee // nil for the inviter
	Ends                       // of the invitation's topic, when it has one
}

// MaxSnapshot limits the open invitations of one snapshot; listInvitations returns the others.
const MaxSnapshot = 200

// maxSnapshotData limits the data of the invitations of one snapshot, in bytes: each connect of each device reads them,
// and strangers may have left hundreds. The connect reply has 64 KiB of them at most.
const maxSnapshotData = 512 << 10

// ReadSnapshot reads the state for a connecting device of a user.
func ReadSnapshot(ctx context.Context, s *store.Store, user string) (*Snapshot, error) {
	snap, open := &Snapshot{}, openReader{maxData: maxSnapshotData}
	err := s.ReadAll(ctx, append([]sqldb.Query{
		store.ReadEnds(im.UserTopic(user), &snap.Head, &snap.Floor),
		{Text: queries.Text("Memberships"), Args: []any{user}, Scan: func(row sqldb.Row) error {
			var m Membership
			err := row.Scan(&m.GroupID, &m.JoinedSeq, &m.Head, &m.Floor)
			snap.Groups = append(snap.Groups, m)
			return err
		}},
		{Text: queries.Text("User"), Args: []any{user}, Scan: func(row sqldb.Row) (err error) {
			snap.User, err = txn.ScanUser(row)
			return err
		}},
		{Text: queries.Text("Follows"), Args: []any{user}, Scan: func(row sqldb.Row) error {
			target, err := sqldb.Text(row)
			snap.Follows = append(snap.Follows, *target)
			return err
		}},
	}, open.reads(user, MaxSnapshot)...))
	snap.Now, snap.Invitations, snap.Over = s.Now(), open.list, open.over
	snap.cut(s, im.UserTopic(user))
	for i := range snap.Groups {
		snap.Groups[i].cut(s, im.GroupTopic(snap.Groups[i].GroupID))
	}
	for i := range snap.Invitations {
		if o := &snap.Invitations[i]; o.Invitation.OwnTopic {
			o.cut(s, im.InvitationTopic(o.Invitation.ID))
		}
	}
	return snap, err
}

// OpenInvitations reads the open invitations of a user.
func OpenInvitations(ctx context.Context, s *store.Store, user string, limit int) ([]OpenInvitation, error) {
	var open openReader
	err := s.ReadAll(ctx, open.reads(user, limit))
	return open.list, err
}

// openReader reads the open invitations of a user: those without the user's answer first, so that the limit does not
// cut them off; then those of the user as the inviter; then those that are decided for the user and open for others.
type openReader struct {
	list    []OpenInvitation
	over    []string // followed invitations that are over
	maxData int      // limit of the bytes of their data, of each of these; 0 = no limit
}

func (o *openReader) reads(user string, limit int) []sqldb.Query {
	query := func(text string, scan func(sqldb.Row) (OpenInvitation, error)) sqldb.Query {
		data := 0
		return sqldb.Query{Text: text, Args: []any{user, limit}, Scan: func(row sqldb.Row) error {
			found, err := scan(row)
			switch v := &found.Invitation; {
			case err != nil:
				return err
			case v.Over():
				o.over = append(o.over, v.ID)
				return nil
			}
			o.list = append(o.list, found)
			if data += len(found.Invitation.Data); o.maxData > 0 && data > o.maxData {
				return sqldb.ErrStopScan
			}
			return nil
		}}
	}
	return []sqldb.Query{
		query(queries.Text("OpenForInvitee"), scanInvited),
		query(queries.Text("OpenByInviter"), scanOwn),
		query(queries.Text("FollowedByInvitee"), scanInvited),
		query(queries.Text("AnsweredInGroups"), scanInvited),
	}
}

func scanInvited(row sqldb.Row) (o OpenInvitation, err error) {
	v, w, err := txn.ScanInvited(sqldb.And(row, &o.Head, &o.Floor))
	if err == nil {
		o.Invitation, o.Mine = *v, w
	}
	return o, err
}

func scanOwn(row sqldb.Row) (o OpenInvitation, err error) {
	v, err := txn.ScanInvitation(sqldb.And(row, &o.Head, &o.Floor))
	if err == nil {
		o.Invitation = *v
	}
	return o, err
}

// PastInvitation is an invitation with a topic in the positions of a device.
type PastInvitation struct {
	Invitation invite.Invitation
	Invited    bool // the user is an invitee, and is to know of it
	Ends
}

// neverInvited replaces the flags of an invitee in the row of an invitation without the user.
const neverInvited = -1

// PastInvitations reads invitations by their ids for a user; unknown ids are left out.
func PastInvitations(ctx context.Context, s *store.Store, user string, ids []string) ([]PastInvitation, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	args := []any{user}
	for _, id := range ids {
		args = append(args, id)
	}
	var list []PastInvitation
	scan := func(row sqldb.Row) error {
		var p PastInvitation
		var flags int64
		v, err := txn.ScanInvitation(sqldb.And(row, &p.Head, &p.Floor, &flags))
		if err != nil {
			return err
		}
		p.Invitation, p.Invited = *v, flags != neverInvited && flags&1 == 0
		list = append(list, p)
		return nil
	}
	err := s.ReadAll(ctx, []sqldb.Query{{Text: queries.Numbered("PastInvitations", 2, len(ids)), Args: args, Scan: scan}})
	for i := range list {
		list[i].cut(s, im.InvitationTopic(list[i].Invitation.ID))
	}
	return list, err
}
