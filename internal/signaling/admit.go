package signaling

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/txn"
	"github.com/beckon-im/beckon/invite"
	"github.com/beckon-im/beckon/protocol"
)

// boundedList is the longest inviteeList in a group to which OpenPerInvitee applies; TooManyLarge limits larger ones.
const boundedList = 100

// retryFull is the retryAfter of a call over a limit of open invitations, in milliseconds.
const retryFull = 5000

// timeouts applies the default and the maximum of timeouts.
func (e *Service) timeouts(t *invite.Terms) error {
	if t.Notice {
		return nil
	}
	if t.Timeout == 0 {
		t.Timeout = e.opt.DefaultTimeout
	}
	most := e.opt.MaxTimeout
	if most > 0 && (t.Timeout == 0 || t.Timeout > most) {
		return im.Bad("timeout", fmt.Sprintf("is %d seconds (0: no timeout); this server allows 1 to %d", t.Timeout, most))
	}
	return nil
}

// withoutDuplicates removes the entries of an inviteeList that skipInvalid leaves out without a read: the inviter,
// duplicates, and invalid user IDs.
func withoutDuplicates(inviter string, list []string) (left []string, skipped []protocol.Skipped) {
	seen := make(map[string]bool, len(list))
	for _, u := range list {
		err := im.CheckUserID("inviteeList", u)
		switch {
		case err != nil:
		case u == inviter:
			err = im.Bad("inviteeList", "names the inviter")
		case seen[u]:
			err = im.Bad("inviteeList", "names "+u+" twice")
		default:
			seen[u], left = true, append(left, u)
			continue
		}
		skipped = append(skipped, skip(u, err))
	}
	return left, skipped
}

func skip(user string, err error) protocol.Skipped {
	return protocol.Skipped{UserID: user, Code: im.CodeOf(err), Message: err.Error()}
}

// refuseAll refuses a call because of some of its invitees, and lists them up to invite.MaxNames.
func refuseAll(code int, users []string, message string) error {
	shown := users[:min(len(users), invite.MaxNames)]
	return &im.Error{Code: code, Field: "inviteeList", Users: shown, Message: strings.Join(shown, ", ") + " " + message}
}

// members refuses invitees that are not members of the group, or skips them when the call allows it.
func (o *opening) members(tx *txn.Tx, group string) error {
	stranger := func(u string) bool { return !tx.Member(group, u).Present() }
	var strangers []string
	for _, u := range o.invitees {
		if stranger(u) {
			strangers = append(strangers, u)
		}
	}
	switch {
	case len(strangers) == 0:
		return nil
	case len(strangers) == 1 && (!o.skip || len(o.invitees) == 1):
		return refuseAll(im.CodeGroupDenied, strangers, "is not a member of this group")
	case !o.skip || len(strangers) == len(o.invitees):
		return refuseAll(im.CodeGroupDenied, strangers, "are not members of this group")
	}
	for _, u := range strangers {
		o.skipped = append(o.skipped, skip(u, im.Refuse(im.CodeGroupDenied, u+" is not a member of this group")))
	}
	o.invitees = slices.DeleteFunc(slices.Clone(o.invitees), stranger)
	return nil
}

// blockers skips invitees that block the inviter, when the call allows it.
func (e *Service) blockers(tx *txn.Tx, o *opening) error {
	if o.terms.GroupID != "" || e.opt.DropBlocked || !o.skip {
		return nil
	}
	blocks := func(u string) bool { return tx.Contact(u, o.by.UserID).Blocks() }
	var list []string
	for _, u := range o.invitees {
		if blocks(u) {
			list = append(list, u)
		}
	}
	if len(list) > 0 && len(list) == len(o.invitees) {
		return refuseAll(im.CodeBlocked, list, noInvitations)
	}
	for _, u := range list {
		o.skipped = append(o.skipped, skip(u, im.Refuse(im.CodeBlocked, u+" "+noInvitations)))
	}
	o.invitees = slices.DeleteFunc(slices.Clone(o.invitees), blocks)
	return nil
}

const noInvitations = "does not accept invitations from you"

// checkBlocked finds invitees that block the inviter. With DropBlocked they receive no events; otherwise they start
// as rejected, and the call is refused when no other invitee is left.
func (e *Service) checkBlocked(tx *txn.Tx, v *invite.Invitation, list []invite.Invitee) error {
	if v.GroupID != "" {
		return nil
	}
	var blockers []string
	for i := range list {
		if tx.Contact(list[i].UserID, v.Inviter).Blocks() {
			blockers = append(blockers, list[i].UserID)
		}
	}
	if len(blockers) == 0 {
		return nil
	}
	if !e.opt.DropBlocked && len(blockers) == len(list) {
		return refuseAll(im.CodeBlocked, blockers, noInvitations)
	}
	for i := range list {
		if !slices.Contains(blockers, list[i].UserID) {
			continue
		}
		if list[i].Dropped = true; e.opt.DropBlocked {
			v.Dropped = v.Peer != ""
		} else if !v.Notice {
			list[i] = invite.Refused(v, list[i], tx.Now)
		}
	}
	return nil
}

// appendRefusals announces the invitees that start as rejected, of an invitation to several users.
func appendRefusals(tx *txn.Tx, v *invite.Invitation, list []invite.Invitee) error {
	var answers []protocol.Answer
	for i := range list {
		if p := &list[i]; p.State == invite.Rejected {
			answers = append(answers, protocol.Answer{Invitee: p.UserID, ActionType: protocol.ActionReject, Reason: p.Reason,
				Time: tx.Now})
		}
	}
	if len(answers) == 0 {
		return nil
	}
	v.Version++
	m := message(v, protocol.ActionReject, "", tx.Now)
	m.Answers = answers
	return appendEvent(tx, v, rpc.Caller{}, m)
}

// largeIn counts the large open invitations of a group, for an invitation to many of its members.
func (e *Service) largeIn(ctx context.Context, group, inviter string, everyone bool,
	invitees []string) (n store.Large, err error) {
	if group == "" || !everyone && len(invitees) <= boundedList {
		return n, nil
	}
	if n, err = e.store.LargeInGroup(ctx, group, inviter); err != nil {
		return n, im.Internal(err)
	}
	return n, nil
}

// bounds refuses an invitation above a limit of open invitations: of the inviter, for an invitee, between the two, or
// large ones in the group.
func (e *Service) bounds(tx *txn.Tx, inviter, group string, invitees []string, large store.Large) error {
	n := len(tx.OpenBy(inviter))
	if most := e.opt.OpenPerInviter; most > 0 && n >= most {
		return tooMany("", fmt.Sprintf("you have %d open invitations; the limit is %d: cancel some, or wait until some end",
			n,
			most))
	}
	if group != "" && len(invitees) > boundedList {
		return tx.Member(group, inviter).TooManyLarge(large.Own, large.All)
	}
	for _, u := range invitees {
		open := tx.OpenFor(u)
		if most := e.opt.OpenPerInvitee; most > 0 && len(open) >= most {
			return tooMany(u, fmt.Sprintf("%d invitations to %s are open; the limit is %d", len(open), u, most))
		}
		if most := e.opt.OpenPerPair; group == "" && most > 0 {
			pair := 0
			for i := range open {
				if open[i].Inviter == inviter {
					pair++
				}
			}
			if pair >= most {
				return tooMany(u, fmt.Sprintf(
					"%d of your invitations to %s are open; the limit is %d: cancel one, or wait until one ends", pair, u, most))
			}
		}
	}
	return nil
}

func tooMany(user, message string) error {
	e := &im.Error{Code: im.CodeTooOften, Message: message, RetryAfter: retryFull}
	if user != "" {
		e.Field, e.Users = "inviteeList", []string{user}
	}
	return e
}

// boundReads adds the reads of bounds.
func (e *Service) boundReads(reads *txn.ReadSet, inviter, group string, invitees []string) {
	if reads.OpenBy = append(reads.OpenBy, inviter); group == "" || len(invitees) <= boundedList {
		reads.OpenFor = append(reads.OpenFor, invitees...)
	}
}
