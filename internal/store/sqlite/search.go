package sqlite

import (
	"encoding/hex"
	"strings"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
)

// indexPhrase keeps the full-text index: FTS5 finds a message by the words in it and by who may find it, each a word of its own.
func indexPhrase(p sqldb.Phrase) []sqldb.Statement {
	if p.Words == "" {
		return []sqldb.Statement{
			{Text: "DELETE FROM phrase_text WHERE rowid = (SELECT id FROM phrase WHERE topic = $1 AND msg = $2)", Args: []any{p.Topic, p.Message}},
			{Text: "DELETE FROM phrase WHERE topic = $1 AND msg = $2", Args: []any{p.Topic, p.Message}},
		}
	}
	who := make([]string, len(p.Finders))
	for i, f := range p.Finders {
		who[i] = finder(f)
	}
	number := sqldb.Statement{Text: "INSERT INTO phrase (topic, msg) VALUES ($1, $2) ON CONFLICT (topic, msg) DO NOTHING", Args: []any{p.Topic, p.Message}}
	if p.At > 0 { // of an import, which is not in the order of time; what comes later has larger numbers still
		number = sqldb.Statement{Text: `INSERT INTO phrase (id, topic, msg) VALUES (
			coalesce((SELECT max(id) + 1 FROM phrase WHERE id >= $1 * 1048576 AND id < ($1 + 1) * 1048576), $1 * 1048576), $2, $3) ON CONFLICT (topic, msg) DO NOTHING`,
			Args: []any{p.At, p.Topic, p.Message}}
	}
	return []sqldb.Statement{
		number,
		{Text: "INSERT OR REPLACE INTO phrase_text (rowid, text, who) SELECT id, $1, $2 FROM phrase WHERE topic = $3 AND msg = $4",
			Args: []any{im.SearchText(p.Words), strings.Join(who, " "), p.Topic, p.Message}},
	}
}

// finder makes one word of a topic.
func finder(topic string) string { return "x" + hex.EncodeToString([]byte(topic)) }

// qSearch finds messages by words, the newest first.
const qSearch = "SELECT id, topic, msg FROM phrase WHERE id IN (SELECT rowid FROM phrase_text WHERE phrase_text MATCH $1) AND id < $2 ORDER BY id DESC LIMIT $3"

// match is the full-text query for all words, in what one of the topics finds.
func match(words []string, topics []string) string {
	var b strings.Builder
	b.WriteString("{text} : (")
	for i, word := range words {
		if i > 0 {
			b.WriteString(" AND ")
		}
		b.WriteString(`"` + strings.ReplaceAll(strings.TrimSpace(im.SearchText(word)), `"`, `""`) + `"`)
		if len(word) > 1 { // the beginnings of a single letter are half of all words
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

// Search is the query for all words, in what one of the topics finds; it goes on with what comes before a number, and a limit.
func (d *DB) Search(words, topics []string) (query, arg string) { return qSearch, match(words, topics) }
