package personaldata

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/store/reaction"
)

// RewriteGroup clears the content of the user on the timeline of a group.
func RewriteGroup(ctx context.Context, s *store.Store, e *Erasure, group string) error {
	return rewriteTimeline(ctx, s, e, im.GroupTopic(group))
}

func rewriteTimeline(ctx context.Context, s *store.Store, e *Erasure, topic string) error {
	for seq, n := uint64(0), page; n == page; {
		p, err := rewritePage(ctx, s, e, queries.Text("EraseTimeline"), topic, seq, page)
		if err != nil {
			return err
		}
		seq, n = p.last.seq, p.n
	}
	return nil
}

// rewritePage clears a page of records.
func rewritePage(ctx context.Context, s *store.Store, e *Erasure, query string, args ...any) (p records, err error) {
	user, err := targetOf(e)
	if err != nil {
		return p, err
	}
	if p, err = find(ctx, s, []target{user}, query, args...); err != nil {
		return p, err
	}
	changed, err := rewrite(ctx, s, p.hits)
	e.Records += changed[e.UserID]
	return p, err
}

// RewriteTimeline clears the invitations that a page of the user's timeline names. After the last page it empties the
// timeline, and the stage ends.
func RewriteTimeline(ctx context.Context, s *store.Store, e *Erasure) error {
	topic := im.UserTopic(e.UserID)
	after, _ := strconv.ParseUint(cmp.Or(e.Place, "0"), 10, 64) // an unreadable place is the beginning
	var ids []string
	last, n := after, 0
	if err := s.View(ctx, func(r sqldb.Reader) error {
		ids, n = nil, 0
		return r.Read(ctx, queries.Text("EraseTimeline"), func(row sqldb.Row) error {
			var at int64
			var topic, sender string
			var body []byte
			err := row.Scan(&topic, &last, &at, &sender, &body)
			n++
			var named struct {
				InviteID string `json:"inviteID"`
			}
			if json.Unmarshal(body, &named) == nil && named.InviteID != "" {
				ids = append(ids, named.InviteID)
			}
			return err
		}, topic, after, page)
	}); err != nil {
		return err
	}
	slices.Sort(ids)
	if err := rewriteInvitations(ctx, s, e, slices.Compact(ids)); err != nil {
		return err
	}
	if e.Place = strconv.FormatUint(last, 10); n == page {
		return nil
	}
	if err := s.EmptyTimeline(ctx, topic); err != nil {
		return err
	}
	e.Move(StageConversations)
	return nil
}

// rewriteInvitations clears the data of the user in invitations, and in the records of their timelines.
func rewriteInvitations(ctx context.Context, s *store.Store, e *Erasure, ids []string) error {
	for some := range slices.Chunk(ids, chunk) {
		if err := s.Maintain(ctx, []string{im.UserTopic(e.UserID)},
			func(ctx context.Context, sess *sqldb.Session, _ int64) error {
				for _, id := range some {
					for _, q := range []string{queries.Text("EraseInvitation"), queries.Text("EraseInvitee")} {
						if err := sess.Exec(ctx, q, e.UserID, id, ""); err != nil {
							return err
						}
					}
				}
				return nil
			}); err != nil {
			return err
		}
		for _, id := range some {
			if err := rewriteTimeline(ctx, s, e, im.InvitationTopic(id)); err != nil {
				return err
			}
		}
	}
	return nil
}

// RewriteConversations clears the user's content on the timelines of some contacts. After the last one the stage ends.
func RewriteConversations(ctx context.Context, s *store.Store, e *Erasure) error {
	var peers []string
	if err := s.View(ctx, func(r sqldb.Reader) (err error) {
		peers, err = sqldb.All(ctx, r, sqldb.Text, queries.Text("EraseContacts"), e.UserID, e.Place, chunk)
		return err
	}); err != nil {
		return err
	}
	for _, peer := range peers {
		for seq, n := uint64(0), page; n == page; {
			p, err := rewritePage(ctx, s, e, queries.Text("EraseConversation"), im.UserTopic(peer), e.UserID, seq, page)
			if err != nil {
				return err
			}
			seq, n = p.last.seq, p.n
		}
		e.Place = peer
	}
	if len(peers) < chunk {
		e.Move(StageRows)
	}
	return nil
}

// RemoveRows removes the rows whose key begins with the user, or that an index finds. The stage ends.
func RemoveRows(ctx context.Context, s *store.Store, e *Erasure) error {
	if err := reaction.RemoveAll(ctx, s, e.UserID); err != nil {
		return err
	}
	if err := s.Maintain(ctx, []string{im.UserTopic(e.UserID)},
		func(ctx context.Context, sess *sqldb.Session, _ int64) error {
			for _, q := range []string{queries.Text("EraseContact"), queries.Text("EraseFollow"), queries.Text("EraseDeletion"),
				queries.Text("ErasePushToken"), queries.Text("ErasePushTest"), queries.Text("ErasePerson")} {
				if err := sess.Exec(ctx, q, e.UserID); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
		return err
	}
	e.Move(StageCopies)
	return nil
}
