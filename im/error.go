package im

import "errors"

// Error is the error type of Beckon: a code for programs, a message for users, a cause for logs.
//
// The codes follow the Tencent Chat SDK where it has one for the case, so that existing error handling remains valid.
type Error struct {
	Code       int      // for programs to branch on; see the Code constants
	Message    string   // the fault, its place and the remedy; safe to show
	Field      string   // the invalid request field, if any
	Users      []string // the users concerned, if several
	RetryAfter int      // milliseconds before a retry; 0 = no advice
	Detail     any      // for 8010 and 8012 the current invitation
	Cause      error    // for the log only, never sent
}

// The error codes of Beckon.
const (
	CodeNoFile       = 6024  // no such file, or no permission to read it
	CodeBadParameter = 6017  // a field is missing, malformed or out of range
	CodeNoMedia      = 7013  // no media server is configured, or it is unreachable
	CodeTooLong      = 8001  // a body or a field is over its size limit
	CodeModified     = 8006  // the message was modified concurrently
	CodeOver         = 8010  // unknown invitation, or its outcome is already decided
	CodeNotYours     = 8011  // the user has no permission for this action on the invitation
	CodeExists       = 8012  // the inviteID is in use with other content, or the user is already invited
	CodeNotAdmitted  = 8013  // the user may not enter the room, or is not its host
	CodeRoomTaken    = 8014  // the room is in use, and the user may not invite into it
	CodeNotFound     = 8015  // an ID names nothing, or nothing of the caller; where no other code says so
	CodeTooOften     = 9506  // over a rate limit; see RetryAfter
	CodeInternal     = 10002 // server failure; nothing changed unless a later read shows otherwise

	CodeGroupParameter = 10004 // a group request is malformed
	CodeGroupDenied    = 10007 // not a member, or the role does not permit it
	CodeOwnerMayNot    = 10009 // the owner may not quit a group of this type
	CodeNoGroup        = 10010 // no such group
	CodeAlreadyMember  = 10013 // already a member
	CodeGroupFull      = 10014 // the group has its maximum of members
	CodeBadGroupID     = 10015 // the group id is malformed
	CodeGroupIDTaken   = 10021 // the group id is taken
	CodeMuted          = 10017 // muted in the group
	CodeNoMessage      = 10030 // no such message in this conversation, or it is revoked
	CodeRevokeLate     = 10031 // the time for revoking has passed
	CodeTooMany        = 10036 // over a limit on a number of objects
	CodeConflict       = 10056 // attributes were changed concurrently

	CodeBlocked = 20007 // blocked by the recipient

	CodeTokenExpired   = 70001 // the token has expired; get a new one
	CodeTokenMalformed = 70003 // the token is malformed
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

// ErrorCode returns the code, for CodeOf.
func (e *Error) ErrorCode() int { return e.Code }

// CodeOf returns the code of err: 0 for nil, that of an *Error or of an error of the SDK, and CodeInternal for others.
func CodeOf(err error) int {
	if err == nil {
		return 0
	}
	var e interface{ ErrorCode() int }
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return CodeInternal
}

// Bad returns an error for a malformed or out-of-range field. The message is field followed by message.
func Bad(field, message string) *Error {
	return &Error{Code: CodeBadParameter, Field: field, Message: field + " " + message}
}

// NotFound returns an error for an ID that names nothing. The message is field followed by message.
func NotFound(field, message string) *Error {
	return &Error{Code: CodeNotFound, Field: field, Message: field + " " + message}
}

// Refuse returns an error for a request that a rule denies.
func Refuse(code int, message string) *Error { return &Error{Code: code, Message: message} }

// Unavailable returns an error for an unreachable database; the outcome of the request is unknown.
func Unavailable(cause error) *Error {
	return &Error{Code: CodeInternal, Message: "the database is unreachable and the outcome unknown; retry with the " +
		"same requestID", Cause: cause, RetryAfter: 2000}
}

// Internal wraps a failure of the server. The cause is logged, and not sent to the caller.
func Internal(cause error) *Error {
	return &Error{Code: CodeInternal, Message: "internal server error; retry", Cause: cause, RetryAfter: 1000}
}
