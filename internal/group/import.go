package group

import (
	"context"
	"fmt"
	"slices"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/listen"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// Limits of one import.
const (
	maxImportGroups  = 100
	maxImportMembers = 10_000
)

// Import creates groups with their state from another system, for app servers. It creates all groups that do not
// exist, or none.
func (g *Groups) Import(_ context.Context, by rpc.Caller,
	req protocol.ImportGroupsRequest) (rpc.Txn[protocol.ImportResponse], error) {
	reads, err := checkImport(req)
	if err != nil {
		return rpc.Txn[protocol.ImportResponse]{}, err
	}
	return rpc.Txn[protocol.ImportResponse]{Reads: reads, Decide: func(tx *txn.Tx) (protocol.ImportResponse, error) {
		var res protocol.ImportResponse
		for i := range req.Groups {
			r := &req.Groups[i]
			if tx.Group(r.GroupID) != nil {
				res.Existing = append(res.Existing, r.GroupID)
				continue
			}
			if err := importOne(tx, by, r); err != nil {
				return res, err
			}
			res.Imported++
		}
		return res, nil
	}}, nil
}

func checkImport(req protocol.ImportGroupsRequest) (reads txn.ReadSet, err error) {
	switch {
	case len(req.Groups) == 0:
		return reads, im.Bad("groups", "is empty")
	case len(req.Groups) > maxImportGroups:
		return reads, im.Bad("groups", "has more than 100 groups; use several calls")
	}
	seen, count := map[string]bool{}, 0
	for i, r := range req.Groups {
		if im.CheckGroupID(r.GroupID) != nil || seen[r.GroupID] {
			return reads, &im.Error{Code: im.CodeBadGroupID, Field: "groups",
				Message: fmt.Sprintf("groups: the groupID of number %d is missing, malformed or given twice", i)}
		}
		seen[r.GroupID] = true
		if _, err := newGroup(r.GroupID, r.Type, r.Owner, r.MaxMembers, infoOf(r.GroupInfo), 0); err != nil {
			return reads, err // also of a group that exists, so that a repeat has the same result
		}
		if r.CreatedAt < 0 {
			return reads, im.Bad("groups", "has a createdAt in "+r.GroupID+" that is before 1970")
		}
		if slices.ContainsFunc(r.Members, func(m protocol.ImportMember) bool { return !importable(m, r.Owner) }) {
			return reads, im.Bad("groups", "has a role in "+r.GroupID+" that is not 200 or 300; the owner's may be 400")
		}
		owner, members := splitOwner(&r)
		if err := im.CheckText("groups", owner.NameCard, im.MaxNameCard); err != nil {
			return reads, err
		}
		users := []string{owner.UserID}
		for _, m := range members {
			if err := im.CheckText("groups", m.NameCard, im.MaxNameCard); err != nil {
				return reads, err
			}
			users = append(users, m.UserID)
		}
		if count += len(users); count > maxImportMembers {
			return reads, im.Bad("groups", "has more than 10000 members together; use several calls")
		}
		if err := rpc.CheckUsers("groups", users, maxImportMembers, false); err != nil {
			return reads, err
		}
		reads.Groups = append(reads.Groups, r.GroupID)
		reads.Topics = append(reads.Topics, im.GroupTopic(r.GroupID))
		for _, u := range users {
			reads.Topics = append(reads.Topics, im.UserTopic(u))
		}
	}
	return reads, nil
}

// importable reports whether a member has a role that an import may give.
func importable(m protocol.ImportMember, owner string) bool {
	return m.Role == 0 || m.Role == int(im.RoleMember) || m.Role == int(im.RoleAdmin) ||
		m.Role == int(im.RoleOwner) && m.UserID == owner
}

// splitOwner returns the owner and the other members of a group. Other systems list the owner among the members.
func splitOwner(r *protocol.ImportGroup) (owner protocol.ImportMember, others []protocol.ImportMember) {
	owner.UserID = r.Owner
	i := slices.IndexFunc(r.Members, func(m protocol.ImportMember) bool { return m.UserID == r.Owner })
	if i < 0 {
		return owner, r.Members
	}
	owner.NameCard = r.Members[i].NameCard
	return owner, slices.Delete(slices.Clone(r.Members), i, i+1)
}

func importOne(tx *txn.Tx, by rpc.Caller, r *protocol.ImportGroup) error {
	at := tx.Now
	if r.CreatedAt > 0 && r.CreatedAt < at {
		at = r.CreatedAt
	}
	owner, members := splitOwner(r)
	made, err := newGroup(r.GroupID, r.Type, r.Owner, r.MaxMembers, infoOf(r.GroupInfo), at)
	if err == nil {
		err = made.Room(1 + len(members))
	}
	if err != nil {
		return err
	}
	s := &scene{Group: &made, tx: tx, topic: im.GroupTopic(r.GroupID), by: by}
	s.addMember(im.RoleOwner, owner.UserID, owner.NameCard)
	listen := listen.To(s.topic, tx.Head(s.topic))
	s.notifyUser(r.Owner, protocol.GroupEvent{Tip: protocol.TipJoined}, listen)
	for _, m := range members {
		role := im.RoleMember
		if m.Role != 0 {
			role = im.Role(m.Role)
		}
		if rules, _ := im.Rules(made.Type); role == im.RoleAdmin && !rules.Admins {
			return &im.Error{Code: im.CodeGroupParameter, Field: "groups", Message: "groups: " + r.GroupID + " is a " + r.Type +
				" group, which has no administrators"}
		}
		s.addMember(role, m.UserID, m.NameCard)
		s.notifyUser(m.UserID, protocol.GroupEvent{Tip: protocol.TipJoined}, listen)
	}
	tx.PutGroup(made)
	return nil
}
