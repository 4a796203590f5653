package im

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// MaxReaction limits a reaction, in bytes.
const MaxReaction = 64

// CheckReaction validates a reaction: 1–64 bytes of printable UTF-8 without spaces. Joiners and selectors of emoji
// count as printable.
func CheckReaction(s string) error {
	switch {
	case s == "":
		return Bad("reaction", "is missing")
	case len(s) > MaxReaction:
		return &Error{Code: CodeTooLong, Field: "reaction",
			Message: fmt.Sprintf("reaction is %d bytes long; the limit is %d", len(s), MaxReaction)}
	case !utf8.ValidString(s):
		return Bad("reaction", "is not UTF-8")
	}
	for _, r := range s {
		if !unicode.IsGraphic(r) && !joinsEmoji(r) || unicode.IsSpace(r) {
			return Bad("reaction", "has a space or a control character")
		}
	}
	return nil
}

// joinsEmoji reports whether a character without a picture of its own is part of emoji: the zero-width joiner, and the
// tags of regional flags.
func joinsEmoji(r rune) bool { return r == '\u200d' || r >= 0xe0020 && r <= 0xe007f }
