package im

import "errors"

// Error is the one error type of Beckon: a number for machines, a message for people, a cause for logs.
//
// The numbers follow the Tencent Chat SDK wherever it has one for the case, so that existing error handling keeps its
// meaning.
type Error struct {
	Code       int      // what a program branches on
	Message    string   // what was wrong, where, and what to do; safe to show
	Field      string   // the request field at fault, when there is one
	Users      []string // the users that the refusal is about, when it is about several
	RetryAfter int      // milliseconds to wait before trying again; 0 = no advice
	Detail     any      // what else applies: for 8010 and 8012 the invitation as it now stands
	Cause      error    // for the log only, never sent
}

// The error numbers of Beckon.
const (
	CodeNoFile       = 6024  // no such file, or not yours to read
	CodeBadParameter = 6017  // a field is missing, malformed or out of range
	CodeNoMedia      = 7013  // this server has no media server, or cannot reach it
	CodeTooLong      = 8001  // a body or a field is over its size limit
	CodeModified     = 8006  // the message was modified meanwhile
	CodeOver         = 8010  // unknown invitation, or its outcome is already decided
	CodeNotYours     = 8011  // this user may not do that to this invitation
	CodeExists       = 8012  // the inviteID is taken by another content, or the user is already invited
	CodeNotAdmitted  = 8013  // this user may not enter the room, or not decide there
	CodeRoomTaken    = 8014  // the room is in use, and this user may not invite into it
	CodeTooOften     = 9506  // over a rate limit; see RetryAfter
	CodeInternal     = 10002 // the server failed; nothing was changed unless a later read says so

	CodeGroupParameter = 10004 // a group request is malformed
	CodeGroupDenied    = 10007 // not a member, or the role does not allow it
	CodeOwnerMayNot    = 10009 // the owner may not quit a group of this type
	CodeNoGroup        = 10010 // no such group
	CodeAlreadyMember  = 10013 // already a member
	CodeGroupFull      = 10014 // the group has its maximum of members
	CodeBadGroupID     = 10015 // the group id is malformed
	CodeGroupIDTaken   = 10021 // the group id is taken
	CodeMuted          = 10017 // muted in the group
	CodeNoMessage      = 10030 // no such message in this conversation, or it is revoked
	CodeRevokeLate     = 10031 // the time for revoking has passed
	CodeTooMany        = 10036 // over a limit of how many there may be
	CodeConflict       = 10056 // attributes were changed meanwhile

	CodeBlocked = 20007 // that person does not want to hear from you

	CodeTokenExpired   = 70001 // the token has expired: get a new one
	CodeTokenMalformed = 70003 // the token cannot be read
	CodeTokenRefused   = 70009 // the signature does not verify with any key of this server
	CodeTokenUser      = 70013 // the token is for another user
	CodeTokenApp       = 70014 // the token is for another application
)

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Cause }

// CodeOf returns the number of err, or CodeInternal when err is not an *Error. It is 0 for nil.
func CodeOf(err error) int {
	if err == nil {
		return 0
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// Bad reports a malformed or out-of-range field.
func Bad(field, message string) *Error {
	return &Error{Code: CodeBadParameter, Field: field, Message: field + " " + message}
}

// Refuse reports a decision against the caller.
func Refuse(code int, message string) *Error { return &Error{Code: code, Message: message} }

// Unavailable says that the server cannot reach what it needs; what it was asked may have been done or not.
func Unavailable(cause error) *Error {
	return &Error{Code: CodeInternal, Message: "the server cannot reach its database, and does not know whether that was " +
		"done; ask again with the same requestID", Cause: cause, RetryAfter: 2000}
}

// Internal wraps a failure of ours. The cause is logged, never shown.
func Internal(cause error) *Error {
	return &Error{Code: CodeInternal, Message: "the server could not do that; try again", Cause: cause, RetryAfter: 1000}
}
