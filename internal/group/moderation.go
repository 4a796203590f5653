package group

import (
	"context"
	"fmt"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/protocol"
)

// SetGroupInfo changes the public properties of a group.
func (g *Groups) SetGroupInfo(_ context.Context, by rpc.Caller,
	req protocol.SetGroupInfoRequest) (rpc.Txn[protocol.GroupResponse], error) {
	return onGroup(g, by, req.GroupID, nil, txn.ReadSet{}, func(s *scene) (protocol.GroupResponse, error) {
		info := s.Info
		set(&info.Name, req.Name)
		set(&info.Introduction, req.Introduction)
		set(&info.Notification, req.Notification)
		set(&info.FaceURL, req.FaceURL)
		set(&info.Custom, req.CustomInfo)
		set(&info.Join, req.JoinOption)
		set(&info.Invite, req.InviteOption)
		if err := s.MayEdit(s.me, info); err != nil {
			return protocol.GroupResponse{}, err
		}
		if info == s.Info {
			res := s.respond(nil)
			res.Repeat = true
			return res, nil
		}
		s.Info = info
		view := viewInfo(info)
		s.announce(protocol.GroupEvent{Tip: protocol.TipInfo, Info: &view})
		return s.respond(nil), nil
	})
}

func set[T ~string](to *T, from *string) {
	if from != nil {
		*to = T(*from)
	}
}

// SetMemberInfo changes the properties of a member: one's own, or, for owner and administrators, those of a member
// with a lower role.
func (g *Groups) SetMemberInfo(_ context.Context, by rpc.Caller,
	req protocol.SetMemberInfoRequest) (rpc.Txn[protocol.GroupResponse], error) {
	if req.UserID == "" {
		req.UserID = by.UserID
	}
	err := im.CheckUserID("userID", req.UserID)
	if req.NameCard != nil {
		err = rpc.FirstError(err, im.CheckText("nameCard", *req.NameCard, im.MaxNameCard))
	}
	if req.CustomInfo != nil {
		err = rpc.FirstError(err, im.CheckText("customInfo", *req.CustomInfo, im.MaxGroupCustom))
	}
	if err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, err
	}
	return onGroup(g, by, req.GroupID, []string{req.UserID}, txn.ReadSet{},
		func(s *scene) (protocol.GroupResponse, error) {
			m, err := s.target(req.UserID, req.UserID == by.UserID)
			if err != nil {
				return protocol.GroupResponse{}, err
			}
			set(&m.NameCard, req.NameCard)
			set(&m.Custom, req.CustomInfo)
			s.tx.PutMember(*m)
			s.announce(protocol.GroupEvent{Tip: protocol.TipMemberInfo, Members: []string{m.UserID}, NameCard: m.NameCard,
				CustomInfo: m.Custom, MutedUntil: m.MutedUntil})
			return s.respond([]string{m.UserID}), nil
		})
}

// target returns a present member; unless self, the caller must be allowed to moderate it.
func (s *scene) target(user string, self bool) (*im.Member, error) {
	if err := s.MayRead(s.me); err != nil {
		return nil, err
	}
	m := s.member(user)
	if !m.Present() {
		return nil, &im.Error{Code: im.CodeGroupDenied, Field: "userID", Message: user + " is not a member of this group"}
	}
	if self {
		return m, nil
	}
	return m, s.MayRule(s.me, m)
}

// MuteMember mutes a member for a time, by the store's clock.
func (g *Groups) MuteMember(_ context.Context, by rpc.Caller,
	req protocol.MuteMemberRequest) (rpc.Txn[protocol.GroupResponse], error) {
	err := im.CheckUserID("userID", req.UserID)
	if err == nil && (req.Seconds < 0 || req.Seconds > im.MaxMuteSeconds) {
		err = im.Bad("seconds", "must be from 0 to 31536000 (one year)")
	}
	if err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, err
	}
	return onGroup(g, by, req.GroupID, []string{req.UserID}, txn.ReadSet{},
		func(s *scene) (protocol.GroupResponse, error) {
			rules, _ := im.Rules(s.Type)
			if err := s.Has(rules.Mute, "muting"); err != nil {
				return protocol.GroupResponse{}, err
			}
			m, err := s.target(req.UserID, false)
			if err != nil {
				return protocol.GroupResponse{}, err
			}
			if m.MutedUntil = 0; req.Seconds > 0 {
				m.MutedUntil = s.tx.Now + req.Seconds*1000
			}
			s.tx.PutMember(*m)
			s.announce(protocol.GroupEvent{Tip: protocol.TipMemberInfo, Members: []string{m.UserID}, NameCard: m.NameCard,
				CustomInfo: m.Custom, MutedUntil: m.MutedUntil})
			return s.respond([]string{m.UserID}), nil
		})
}

// MuteAll mutes all members except owner and administrators, or unmutes them.
func (g *Groups) MuteAll(_ context.Context, by rpc.Caller,
	req protocol.MuteAllRequest) (rpc.Txn[protocol.GroupResponse], error) {
	return onGroup(g, by, req.GroupID, nil, txn.ReadSet{}, func(s *scene) (protocol.GroupResponse, error) {
		rules, _ := im.Rules(s.Type)
		if err := rpc.FirstError(s.Has(rules.Mute, "muting"), s.MayAdminister(s.me)); err != nil {
			return protocol.GroupResponse{}, err
		}
		if s.Muted == req.Mute {
			res := s.respond(nil)
			res.Repeat = true
			return res, nil
		}
		s.Muted = req.Mute
		s.announce(protocol.GroupEvent{Tip: protocol.TipAllMuted, On: req.Mute})
		return s.respond(nil), nil
	})
}

// SetRole grants or revokes the role of administrator.
func (g *Groups) SetRole(_ context.Context, by rpc.Caller,
	req protocol.SetRoleRequest) (rpc.Txn[protocol.GroupResponse], error) {
	err := im.CheckUserID("userID", req.UserID)
	role := im.Role(req.Role)
	if err == nil && role != im.RoleMember && role != im.RoleAdmin {
		err = im.Bad("role", fmt.Sprintf("is %d; must be 200 or 300; to change the owner, use transferGroupOwner", req.Role))
	}
	if err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, err
	}
	return onGroup(g, by, req.GroupID, []string{req.UserID}, txn.ReadSet{},
		func(s *scene) (protocol.GroupResponse, error) {
			rules, _ := im.Rules(s.Type)
			if err := rpc.FirstError(s.Has(rules.Admins, "administrators"), s.MayOwn(s.me)); err != nil {
				return protocol.GroupResponse{}, err
			}
			m, err := s.target(req.UserID, false)
			if err != nil {
				return protocol.GroupResponse{}, err
			}
			if m.Role == im.RoleOwner {
				return protocol.GroupResponse{}, im.Refuse(im.CodeGroupDenied,
					"the role of the owner cannot be set; use transferGroupOwner")
			}
			if role == im.RoleAdmin {
				if !s.tx.HasAdmins(s.ID) {
					return protocol.GroupResponse{}, &txn.NeedReads{Reads: txn.ReadSet{Admins: []string{s.ID}}}
				}
				if len(s.tx.Admins(s.ID)) > im.MaxAdmins && m.Role != role {
					return protocol.GroupResponse{}, &im.Error{Code: im.CodeTooMany, Field: "role",
						Message: fmt.Sprintf("the group has its maximum of %d administrators", im.MaxAdmins)}
				}
			}
			res := s.respond([]string{m.UserID})
			if m.Role == role {
				res.Repeat = true
				return res, nil
			}
			m.Role = role
			s.tx.PutMember(*m)
			tip := protocol.TipGranted
			if role == im.RoleMember {
				tip = protocol.TipWithdrawn
			}
			s.announce(protocol.GroupEvent{Tip: tip, Members: []string{m.UserID}})
			return res, nil
		})
}

// TransferOwner transfers a group to another owner.
func (g *Groups) TransferOwner(_ context.Context, by rpc.Caller,
	req protocol.TransferRequest) (rpc.Txn[protocol.GroupResponse], error) {
	if err := im.CheckUserID("userID", req.UserID); err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, err
	}
	return onGroup(g, by, req.GroupID, []string{req.UserID}, txn.ReadSet{},
		func(s *scene) (protocol.GroupResponse, error) {
			rules, _ := im.Rules(s.Type)
			if err := rpc.FirstError(s.Has(rules.Transfer, "other owners"), s.MayOwn(s.me)); err != nil {
				return protocol.GroupResponse{}, err
			}
			m, err := s.target(req.UserID, true)
			if err != nil {
				return protocol.GroupResponse{}, err
			}
			if m.Role == im.RoleOwner {
				res := s.respond(nil)
				res.Repeat = true
				return res, nil
			}
			if s.Owner != "" && s.Owner != by.UserID { // an app server acts for the owner
				old := s.member(s.Owner)
				if old == nil {
					return protocol.GroupResponse{}, &txn.NeedReads{Reads: txn.ReadSet{Members: []txn.MemberKey{{GroupID: s.ID,
						UserID: s.Owner}}}}
				}
				old.Role = im.RoleMember
				s.tx.PutMember(*old)
			} else if s.Owner == by.UserID && by.UserID != "" {
				s.me.Role = im.RoleMember
				s.tx.PutMember(*s.me)
			}
			m.Role, s.Owner = im.RoleOwner, m.UserID
			s.tx.PutMember(*m)
			s.announce(protocol.GroupEvent{Tip: protocol.TipOwner, Owner: m.UserID})
			return s.respond([]string{m.UserID}), nil
		})
}

// MarkMembers sets or clears a mark of members.
func (g *Groups) MarkMembers(_ context.Context, by rpc.Caller,
	req protocol.MarkMembersRequest) (rpc.Txn[protocol.GroupResponse], error) {
	err := rpc.CheckUsers("memberList", req.MemberList, im.MaxMembersPerCall, false)
	if err == nil && (req.Mark < 1 || req.Mark > 32) {
		err = im.Bad("mark", "must be from 1 to 32")
	}
	if err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, err
	}
	return onGroup(g, by, req.GroupID, req.MemberList, txn.ReadSet{}, func(s *scene) (protocol.GroupResponse, error) {
		rules, _ := im.Rules(s.Type)
		if err := rpc.FirstError(s.Has(rules.Marks, "marks"), s.MayAdminister(s.me)); err != nil {
			return protocol.GroupResponse{}, err
		}
		var changed []string
		bit := int64(1) << (req.Mark - 1)
		for _, u := range req.MemberList {
			m, err := s.target(u, true)
			if err != nil {
				return protocol.GroupResponse{}, err
			}
			if m.Marks&bit != 0 == req.On {
				continue
			}
			m.Marks ^= bit
			s.tx.PutMember(*m)
			changed = append(changed, u)
		}
		if len(changed) > 0 {
			s.announce(protocol.GroupEvent{Tip: protocol.TipMarks, Members: changed, Mark: req.Mark, On: req.On})
		}
		return s.respond(changed), nil
	})
}

// SendCustomData sends data of an app server to the members of a group.
func (g *Groups) SendCustomData(_ context.Context, by rpc.Caller,
	req protocol.CustomDataRequest) (rpc.Txn[protocol.GroupResponse], error) {
	if err := im.CheckText("data", req.Data, im.MaxData); err != nil {
		return rpc.Txn[protocol.GroupResponse]{}, err
	}
	return onGroup(g, by, req.GroupID, nil, txn.ReadSet{}, func(s *scene) (protocol.GroupResponse, error) {
		s.announce(protocol.GroupEvent{Tip: protocol.TipCustom, Data: req.Data})
		return s.respond(nil), nil
	})
}
