package invite

import (
	"fmt"
	"unicode/utf8"

	"github.com/beckon-im/beckon/im"
)

// Limits of an invitation (SPEC 1).
const (
	MaxTimeout       = 86400 // seconds
	MaxMinRing       = 300   // seconds
	MaxInvitees      = 100   // without a group
	MaxGroupInvitees = 10000
	MaxReason        = 256  // bytes
	MaxPushText      = 4096 // bytes, each of title, body and ext
	MaxNames         = 100  // invitees named in an event, beside a count
)

// Check validates the terms and invitees independently of stored state. Errors are CodeBadParameter or CodeTooLong.
func (t *Terms) Check(invitees []string) error {
	if err := im.CheckInviteID(t.ID); err != nil {
		return err
	}
	if err := CheckData(t.Data); err != nil {
		return err
	}
	if err := im.CheckRoomID(t.RoomID); err != nil {
		return err
	}
	switch {
	case t.Timeout < 0 || t.Timeout > MaxTimeout:
		return im.Bad("timeout", fmt.Sprintf("is %d; it is whole seconds from 0 (never) to %d", t.Timeout, MaxTimeout))
	case t.MinRing < 0 || t.MinRing > MaxMinRing:
		return im.Bad("minRing", fmt.Sprintf("is %d; it is whole seconds from 0 (off) to %d", t.MinRing, MaxMinRing))
	case t.AcceptLimit < 0 || t.AcceptLimit > MaxGroupInvitees:
		return im.Bad("acceptLimit", fmt.Sprintf("is %d; it is from 0 (no limit) to %d", t.AcceptLimit, MaxGroupInvitees))
	case t.Notice && (t.Timeout != 0 || t.MinRing != 0 || t.AcceptLimit != 0 || t.MergeGlare):
		return im.Bad("notice", "excludes timeout, minRing, acceptLimit and mergeGlare: a notice takes no answer")
	case t.Notify != NotifyMembers && t.Notify != NotifyParticipants:
		return im.Bad("notify", fmt.Sprintf("is %q; it is members or participants", t.Notify))
	case t.Everyone && len(invitees) > 0:
		return im.Bad("everyone", "excludes inviteeList: give one of them")
	case t.Everyone:
		return t.Push.Check()
	case t.MergeGlare && (t.GroupID != "" || len(invitees) != 1):
		return im.Bad("mergeGlare", "requires exactly one invitee and no group")
	}
	if err := t.Push.Check(); err != nil {
		return err
	}
	return CheckInvitees(t.Inviter, t.GroupID, invitees)
}

// Check validates the push of an invitation or a message: each text has at most MaxPushText bytes (CodeTooLong), TTL is
// at most MaxTimeout seconds.
func (p *Push) Check() error {
	switch {
	case p == nil:
		return nil
	case len(p.Title) > MaxPushText || len(p.Body) > MaxPushText || len(p.Ext) > MaxPushText || len(p.Sound) > MaxPushText:
		return &im.Error{Code: im.CodeTooLong, Field: "offlinePush",
			Message: fmt.Sprintf("offlinePush: each text is limited to %d bytes", MaxPushText)}
	case p.TTL < 0 || p.TTL > MaxTimeout:
		return im.Bad("offlinePush.ttl", fmt.Sprintf("is %d; it is seconds from 0 to %d", p.TTL, MaxTimeout))
	}
	return nil
}

// CheckData validates data: at most 12 KiB (CodeTooLong) of UTF-8.
func CheckData(data string) error {
	if len(data) > im.MaxData {
		return &im.Error{Code: im.CodeTooLong, Field: "data",
			Message: fmt.Sprintf("data is %d bytes long; the limit is %d", len(data), im.MaxData)}
	}
	if !utf8.ValidString(data) {
		return im.Bad("data", "is not valid UTF-8")
	}
	return nil
}

// CheckReason validates a reason: at most 256 bytes (CodeTooLong) of UTF-8.
func CheckReason(reason string) error {
	if len(reason) > MaxReason {
		return &im.Error{Code: im.CodeTooLong, Field: "reason",
			Message: fmt.Sprintf("reason is %d bytes long; the limit is %d", len(reason), MaxReason)}
	}
	if !utf8.ValidString(reason) {
		return im.Bad("reason", "is not valid UTF-8")
	}
	return nil
}

// CheckInvitees validates a list: not empty, without duplicates and the inviter, and at most MaxInvitees, or
// MaxGroupInvitees in a group.
func CheckInvitees(inviter, groupID string, invitees []string) error {
	limit := MaxInvitees
	if groupID != "" {
		limit = MaxGroupInvitees
	}
	switch {
	case len(invitees) == 0:
		return im.Bad("inviteeList", "is empty")
	case len(invitees) > limit:
		return im.Bad("inviteeList", fmt.Sprintf("has %d users; the limit is %d", len(invitees), limit))
	}
	seen := make(map[string]struct{}, len(invitees))
	for _, u := range invitees {
		if err := im.CheckUserID("inviteeList", u); err != nil {
			return err
		}
		if u == inviter {
			return im.Bad("inviteeList", "names the inviter")
		}
		if _, twice := seen[u]; twice {
			return im.Bad("inviteeList", "names "+u+" twice")
		}
		seen[u] = struct{}{}
	}
	return nil
}

// CheckCancelled checks the inviteeList of a cancel.
func CheckCancelled(users []string) error {
	if len(users) > MaxNames {
		return im.Bad("inviteeList", fmt.Sprintf(
			"has more than %d users; omit it to cancel all invitees, or use several calls",
			MaxNames))
	}
	seen := make(map[string]struct{}, len(users))
	for _, u := range users {
		if err := im.CheckUserID("inviteeList", u); err != nil {
			return err
		}
		if _, twice := seen[u]; twice {
			return im.Bad("inviteeList", "names "+u+" twice")
		}
		seen[u] = struct{}{}
	}
	return nil
}

// Peer returns the invitee of a one-to-one invitation, else "".
func Peer(t *Terms, invitees []string) string {
	if t.GroupID == "" && len(invitees) == 1 {
		return invitees[0]
	}
	return ""
}

// New opens an invitation. Terms and invitees must have passed Check; print is the Fingerprint of the request.
func New(t Terms, invitees []string, by Actor, print string, now int64) (Invitation, []Invitee) {
	v := Invitation{
		Terms: t, Peer: Peer(&t, invitees), Fingerprint: print, CreatedAt: now, Version: 1, By: actionIDOf(by),
		OwnTopic: t.GroupID == "" && len(invitees) > 1 || t.GroupID != "" && t.Notify == NotifyParticipants,
	}
	if t.Timeout > 0 {
		v.Deadline = now + t.Timeout*1000
	}
	v.Due, v.Last = v.Deadline, v.Deadline
	list := v.open(invitees, 0, v.Deadline)
	if t.Notice {
		for i := range list {
			list[i] = list[i].end(&v, Cancelled, ReasonNotice, now)
			list[i].Follows = false
		}
	}
	return v, list
}

func (v *Invitation) open(users []string, from int, deadline int64) []Invitee {
	list := make([]Invitee, len(users))
	for i, u := range users {
		list[i] = Invitee{InviteID: v.ID, UserID: u, Ord: from + i, Deadline: deadline, Follows: v.OwnTopic &&
			v.GroupID == ""}
	}
	v.name(from, users)
	v.Counts.Open += len(users)
	return list
}

// Again decides an invite with an ID in use: nil for a retry by the same inviter with the same content, else
// CodeExists.
func (v *Invitation) Again(inviter, print string) error {
	if v.Inviter == inviter && v.Fingerprint == print {
		return nil
	}
	return &im.Error{Code: im.CodeExists, Field: "inviteID",
		Message: "this inviteID belongs to another invitation; choose a new one"}
}
