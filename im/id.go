package im

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of IDs, in bytes.
const (
	MaxUserID    = 128
	MaxGroupID   = 48 // as in the original
	MaxDeviceID  = 64
	MaxRequestID = 64
	MaxInviteID  = 64 // SPEC 1
	MaxRoomID    = 64
	MaxMessageID = 64
)

// MaxData limits an invitation's data and a message body, in bytes (SPEC 1 and 2).
const MaxData = 12 << 10

// Characters allowed in IDs besides letters and digits.
const (
	idSigns    = "_.:-"
	nameSigns  = idSigns + "@+="
	groupSigns = nameSigns + "#" // of group IDs and the rooms of groups
)

// CheckInviteID validates an invitation ID: 1–64 of A-Za-z0-9_.:- (SPEC 1).
func CheckInviteID(id string) error { return check("inviteID", id, MaxInviteID, idSigns) }

// CheckUserID validates a user ID, as identity providers issue them: 1–128 bytes of printable UTF-8 in normal form C,
// without spaces and control characters. field names it in the error.
func CheckUserID(field, id string) error {
	switch {
	case id == "":
		return Bad(field, "is missing")
	case len(id) > MaxUserID:
		return Bad(field, fmt.Sprintf("is %d bytes long; the limit is %d", len(id), MaxUserID))
	case plain(id):
		return nil
	case !utf8.ValidString(id):
		return Bad(field, "is not valid UTF-8")
	case !norm.NFC.IsNormalString(id):
		return Bad(field, "is not in Unicode normal form C (NFC)")
	}
	for i, r := range id {
		if !unicode.IsPrint(r) || unicode.IsSpace(r) {
			return Bad(field, fmt.Sprintf("has the character %q at byte %d; spaces and control characters are not allowed", r,
				i))
		}
	}
	return nil
}

// plain reports whether a text has printable ASCII characters only.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// CheckDeviceID validates a device ID: 1–64 of A-Za-z0-9_.:-@+=.
func CheckDeviceID(id string) error { return check("deviceID", id, MaxDeviceID, nameSigns) }

// mintedPrefix begins device IDs minted by the server.
const mintedPrefix = "d-"

// MintDevice returns an ID for a device without one, valid for one connection.
func MintDevice(random string) string { return mintedPrefix + random }

// MintedDevice reports whether a device ID was minted by the server.
func MintedDevice(id string) bool { return strings.HasPrefix(id, mintedPrefix) }

// CheckRequestID validates a request ID: empty, or 1–64 of A-Za-z0-9_.:-@+=.
func CheckRequestID(id string) error {
	if id == "" {
		return nil
	}
	return check("requestID", id, MaxRequestID, nameSigns)
}

// CheckMessageID validates a message ID: 1–64 of A-Za-z0-9_.:-@+=.
func CheckMessageID(id string) error { return check("messageID", id, MaxMessageID, nameSigns) }

// CheckRoomID validates a room ID: empty, or 1–64 of A-Za-z0-9_.:-@+=#.
func CheckRoomID(id string) error {
	if id == "" {
		return nil
	}
	return check("roomID", id, MaxRoomID, groupSigns)
}

// CheckGroupID validates a group ID: 1–48 of A-Za-z0-9_.:-@+=#. The error is CodeBadGroupID.
func CheckGroupID(id string) error {
	if err := check("groupID", id, MaxGroupID, groupSigns); err != nil {
		return &Error{Code: CodeBadGroupID, Field: "groupID", Message: err.Error()}
	}
	return nil
}

func check(field, id string, limit int, signs string) error {
	switch {
	case id == "":
		return Bad(field, "is missing")
	case len(id) > limit:
		return Bad(field, fmt.Sprintf("is %d bytes long; the limit is %d", len(id), limit))
	}
	for i := range len(id) {
		if c := id[i]; !letterOrDigit(c) && strings.IndexByte(signs, c) < 0 {
			return Bad(field, fmt.Sprintf("has the byte %q at position %d; allowed are letters, digits and %s", c, i, signs))
		}
	}
	return nil
}

func letterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
