// Package reaction reads the reactions of users to messages, and removes those of one user.
//
// It does not know who may read a message.
package reaction

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// Users reads the reactions to a message on a timeline, of the users after one, by user.
func Users(ctx context.Context, s *store.Store, topic, msg, after string, limit int) (list []txn.Reaction, err error) {
	err = s.View(ctx, func(r sqldb.Reader) error {
		list, err = sqldb.All(ctx, r, func(row sqldb.Row) (*txn.Reaction, error) {
			var v txn.Reaction
			return &v, row.Scan(&v.UserID, &v.Reaction, &v.At)
		}, queries.Text("ReactionUsers"), topic, msg, after, limit)
		return err
	})
	return list, err
}

// Own reads the reactions of a user to messages on a timeline, by message.
func Own(ctx context.Context, s *store.Store, topic, user string, messages []string) (own map[string][]string,
	err error) {
	const page = 128
	err = s.View(ctx, func(r sqldb.Reader) error {
		own = map[string][]string{}
		for some := range slices.Chunk(messages, page) {
			args := []any{topic, user}
			for _, m := range some {
				args = append(args, m)
			}
			for n := len(some); n&(n-1) != 0; n++ { // a power of two: few different statements
				args = append(args, some[0])
			}
			query := queries.Numbered("OwnReactions", 3, len(args)-2)
			if err := r.Read(ctx, query, func(row sqldb.Row) error {
				var msg, reaction string
				err := row.Scan(&msg, &reaction)
				own[msg] = append(own[msg], reaction)
				return err
			}, args...); err != nil {
				return err
			}
		}
		return nil
	})
	return own, err
}

// Count returns the number of users with a reaction.
func Count(list []protocol.ReactionCount, reaction string) int64 {
	for _, c := range list {
		if c.Reaction == reaction {
			return c.Count
		}
	}
	return 0
}

// Change counts a reaction of one more user, or of one less. A reaction without users is removed.
func Change(list []protocol.ReactionCount, reaction string, by int64) []protocol.ReactionCount {
	var next []protocol.ReactionCount
	found := false
	for _, c := range list {
		if c.Reaction == reaction {
			c.Count += by
			found = true
		}
		if c.Count > 0 {
			next = append(next, c)
		}
	}
	if !found && by > 0 {
		next = append(next, protocol.ReactionCount{Reaction: reaction, Count: by})
	}
	return next
}

// removeChunk is the number of reactions that one transaction removes.
const removeChunk = 200

// RemoveAll removes all reactions of a user, and the user from the counts of their messages.
func RemoveAll(ctx context.Context, s *store.Store, user string) error {
	for {
		topics, err := nextTopics(ctx, s, user)
		if err != nil || len(topics) == 0 {
			return err
		}
		if err := s.Maintain(ctx, topics, func(ctx context.Context, sess *sqldb.Session, _ int64) error {
			var list []stored
			if err := sess.Query(ctx, queries.Text("EraseReactions"), []any{user, removeChunk}, scanInto(&list)); err != nil {
				return err
			}
			if err := sess.Sync(ctx); err != nil { // PostgreSQL returns the rows here
				return err
			}
			return remove(ctx, sess, user, topics, list)
		}); err != nil {
			return err
		}
	}
}

// stored is a reaction with the message on its timeline; seq is 0 when the message is not there.
type stored struct {
	topic, msg, reaction string
	seq                  uint64
	flags                int64
	body                 []byte
}

// nextTopics returns the timelines of the reactions that the next transaction removes.
func nextTopics(ctx context.Context, s *store.Store, user string) (topics []string, err error) {
	var list []stored
	err = s.View(ctx, func(r sqldb.Reader) error {
		list = nil
		return r.Read(ctx, queries.Text("EraseReactions"), scanInto(&list), user, removeChunk)
	})
	for _, v := range list { // in the order of timelines
		if n := len(topics); n == 0 || topics[n-1] != v.topic {
			topics = append(topics, v.topic)
		}
	}
	return topics, err
}

func scanInto(list *[]stored) func(sqldb.Row) error {
	return func(row sqldb.Row) error {
		var v stored
		err := row.Scan(&v.topic, &v.msg, &v.reaction, &v.seq, &v.flags, &v.body)
		*list = append(*list, v)
		return err
	}
}

// remove removes the reactions on locked timelines.
func remove(ctx context.Context, sess *sqldb.Session, user string, topics []string, list []stored) error {
	locked := map[string]bool{}
	for _, t := range topics {
		locked[t] = true
	}
	bodies := map[[2]string][]byte{}
	for _, v := range list {
		if !locked[v.topic] {
			continue
		}
		if err := sess.Exec(ctx, queries.Text("EraseReaction"), v.topic, v.msg, user, v.reaction); err != nil {
			return err
		}
		at := [2]string{v.topic, v.msg}
		if bodies[at] == nil {
			bodies[at] = v.body
		}
		var m protocol.Message
		if v.seq == 0 || json.Unmarshal(bodies[at], &m) != nil || Count(m.Reactions, v.reaction) == 0 {
			continue // removed by retention, or revoked
		}
		m.Reactions, m.ReactionVersion = Change(m.Reactions, v.reaction, -1), m.ReactionVersion+1
		body, err := json.Marshal(m)
		if err != nil {
			return err
		}
		bodies[at] = body
		if err := sess.Exec(ctx, queries.Text("EraseRecordBody"), string(body), v.flags, v.topic, v.seq); err != nil {
			return err
		}
	}
	return nil
}
