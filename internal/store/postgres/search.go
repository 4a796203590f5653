package postgres

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
)

const (
	maxLexeme   = 500    // bytes of a word that are indexed; PostgreSQL allows 2,046
	maxPosition = 16_383 // the last position that a word may have
)

// words splits a text as SQLite's index does: letters and digits, without case and accents.
func words(text string) []string {
	plain := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(im.SearchText(text)))
	list := strings.FieldsFunc(plain, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) &&
			!unicode.Is(unicode.Mc, r)
	})
	for i, w := range list {
		if len(w) > maxLexeme {
			list[i] = strings.ToValidUTF8(w[:maxLexeme], "")
		}
	}
	return list
}

func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", "''") + "'" }

// finder encodes a topic as one word, which no text has.
func finder(topic string) string { return "who:" + hex.EncodeToString([]byte(topic)) }

// indexPhrase updates the words of a message, and its finders, each as a word.
func indexPhrase(p sqldb.Phrase) []sqldb.Statement {
	if p.Words == "" {
		return []sqldb.Statement{{Text: "DELETE FROM phrase WHERE topic = $1 AND msg = $2", Args: []any{p.Topic, p.Message}}}
	}
	var b strings.Builder
	for i, w := range words(p.Words) {
		fmt.Fprintf(&b, "%s:%d ", quoted(w), min(i+1, maxPosition))
	}
	for _, f := range p.Finders {
		b.WriteString(quoted(finder(f)) + " ")
	}
	return []sqldb.Statement{{Text: `INSERT INTO phrase (topic, msg, id, words) VALUES ($1, $2,
		(CASE WHEN $4::bigint > 0 THEN $4::bigint ELSE ` + clock + ` END) * 1000000 + (random() * 999999)::bigint,
		$3::text::tsvector)
		ON CONFLICT (topic, msg) DO UPDATE SET words = excluded.words`, Args: []any{p.Topic, p.Message, b.String(), p.At}}}
}

// qSearch finds messages by words, the newest first.
const qSearch = "SELECT id, topic, msg FROM phrase WHERE words @@ $1::text::tsquery AND id < $2 ORDER BY id DESC " +
	"LIMIT $3"

// Search returns the query for all words and one of the topics as a finder; its other parameters are a number and a
// limit.
func (d *DB) Search(wanted, topics []string) (query, arg string) {
	var all, finders []string
	for _, text := range wanted {
		parts := words(text)
		for i, w := range parts {
			parts[i] = quoted(w)
		}
		if n := len(parts); n > 0 {
			if len(text) > 1 { // a prefix of one letter would match half of all words
				parts[n-1] += ":*"
			}
			all = append(all, "("+strings.Join(parts, " <-> ")+")")
		}
	}
	for _, t := range topics {
		finders = append(finders, quoted(finder(t)))
	}
	if len(all) == 0 || len(finders) == 0 {
		return qSearch, "'nothing:at all'"
	}
	return qSearch, "(" + strings.Join(all, " & ") + ") & (" + strings.Join(finders, " | ") + ")"
}
