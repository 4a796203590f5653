package sqlite

import (
	"encoding/hex"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
)

// indexPhrase updates the search index: FTS5 finds a message by its words and by its finders, each of which is a word
// too.
func indexPhrase(p sqldb.Phrase) []sqldb.Statement {
	if p.Words == "" {
		return []sqldb.Statement{
			{Text: "DELETE FROM phrase_text WHERE rowid = (SELECT id FROM phrase WHERE topic = $1 AND msg = $2)",
				Args: []any{p.Topic, p.Message}},
			{Text: "DELETE FROM phrase WHERE topic = $1 AND msg = $2", Args: []any{p.Topic, p.Message}},
		}
	}
	finders := make([]string, len(p.Finders))
	for i, f := range p.Finders {
		finders[i] = finder(f)
	}
	number := sqldb.Statement{Text: "INSERT INTO phrase (topic, msg) VALUES ($1, $2) ON CONFLICT (topic, msg) DO NOTHING",
		Args: []any{p.Topic, p.Message}}
	if p.At > 0 { // of an import, which is not in the order of time; later messages get larger numbers
		number = sqldb.Statement{Text: `INSERT INTO phrase (id, topic, msg) VALUES (
			coalesce((SELECT max(id) + 1 FROM phrase WHERE id >= $1 * 1048576 AND id < ($1 + 1) * 1048576), $1 * 1048576),
			$2, $3) ON CONFLICT (topic, msg) DO NOTHING`,
			Args: []any{p.At, p.Topic, p.Message}}
	}
	return []sqldb.Statement{
		number,
		{Text: "INSERT OR REPLACE INTO phrase_text (rowid, text, who) SELECT id, $1, $2 FROM phrase WHERE topic = $3 AND " +
			"msg = $4",
			Args: []any{im.SearchText(p.Words), strings.Join(finders, " "), p.Topic, p.Message}},
	}
}

// finder encodes a topic as one word.
func finder(topic string) string { return "x" + hex.EncodeToString([]byte(topic)) }

// qSearch finds messages by words, the newest first.
const qSearch = "SELECT id, topic, msg FROM phrase " +
	"WHERE id IN (SELECT rowid FROM phrase_text WHERE phrase_text MATCH $1) AND id < $2 ORDER BY id DESC LIMIT $3"

// match returns the full-text query for messages with all words and one of the topics as a finder.
func match(words []string, topics []string) string {
	var b strings.Builder
	b.WriteString("{text} : (")
	for i, word := range words {
		if i > 0 {
			b.WriteString(" AND ")
		}
		b.WriteString(`"` + strings.ReplaceAll(strings.TrimSpace(im.SearchText(word)), `"`, `""`) + `"`)
		if len(word) > 1 { // a prefix of one letter would match half of all words
			b.WriteByte('*')
		}
	}
	b.WriteString(") AND {who} : (")
	for i, t := range topics {
		if i > 0 {
			b.WriteString(" OR ")
		}
		b.WriteString(finder(t))
	}
	b.WriteString(")")
	return b.String()
}

// Search returns the query for all words and one of the topics as a finder; its other parameters are a number and a
// limit.
func (d *DB) Search(words, topics []string) (query, arg string) { return qSearch, match(words, topics) }
