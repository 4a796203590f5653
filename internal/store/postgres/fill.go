package postgres

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/beckon-im/beckon/internal/sqldb"
)

// shape names a generated statement: its template and which of its columns are text.
type shape struct {
	template string
	texts    uint64
}

// texts caches generated statements.
type texts map[shape]string

// fill gives a statement all rows at once, as an array for each column: one text serves any number of them.
func (t texts) fill(template string, width int, values []any) (text string, args, rest []any) {
	args = make([]any, width)
	k := shape{template: template}
	rows := len(values) / width
	for c := range width {
		if _, isText := values[c].(string); isText {
			k.texts |= 1 << c
			list := make([]string, rows)
			for r := range list {
				list[r] = values[r*width+c].(string)
			}
			args[c] = list
			continue
		}
		list := make([]int64, rows)
		for r := range list {
			list[r] = number(values[r*width+c])
		}
		args[c] = list
	}
	text, ok := t[k]
	if !ok {
		text = build(template, width, k.texts)
		t[k] = text
	}
	return text, args, nil
}

func build(template string, width int, texts uint64) string {
	if width == 1 && strings.Contains(template, "IN (?*)") {
		return inArray(template)
	}
	columns := make([]string, width)
	for c := range columns {
		kind := "bigint"
		if texts&(1<<c) != 0 {
			kind = "text"
		}
		columns[c] = fmt.Sprintf("$%d::%s[]", c+1, kind)
	}
	return strings.Replace(template, "VALUES ?*", "SELECT * FROM unnest("+strings.Join(columns, ", ")+")", 1)
}

func inArray(template string) string {
	return strings.Replace(template, "IN (?*)", "= ANY($1::text[])", 1)
}

func number(v any) int64 {
	switch n := v.(type) {
	case int64:
		return n
	case int:
		return int64(n)
	case uint64:
		return int64(n)
	}
	r := reflect.ValueOf(v)
	if r.CanUint() {
		return int64(r.Uint())
	}
	return r.Int()
}

// PostgreSQL's text has no U+0000, which clients may send. It is stored escaped, with a noncharacter.
const escape = "\uFFFE"

func escapeText(s string) string {
	if strings.IndexByte(s, 0) < 0 && !strings.Contains(s, escape) {
		return s
	}
	return strings.NewReplacer("\x00", escape+"0", escape, escape+"1").Replace(s)
}

func unescapeText(s string) string {
	if !strings.Contains(s, escape) {
		return s
	}
	return strings.NewReplacer(escape+"0", "\x00", escape+"1", escape).Replace(s)
}

// escaped escapes the texts of arguments.
func escaped(args []any) []any {
	for i, a := range args {
		switch v := a.(type) {
		case string:
			if s := escapeText(v); s != v {
				args = slices.Clone(args)
				args[i] = s
			}
		case []string:
			if slices.ContainsFunc(v, func(s string) bool { return escapeText(s) != s }) {
				list := slices.Clone(v)
				for j := range list {
					list[j] = escapeText(list[j])
				}
				args = slices.Clone(args)
				args[i] = list
			}
		}
	}
	return args
}

// row is a row that unescapes texts.
type row struct{ pgx.Rows }

func (r row) Scan(into ...any) error {
	if err := r.Rows.Scan(into...); err != nil {
		return err
	}
	for _, v := range into {
		switch t := v.(type) {
		case *string:
			*t = unescapeText(*t)
		case *any:
			if s, ok := (*t).(string); ok {
				*t = unescapeText(s)
			}
		case *[]byte:
			if strings.Contains(string(*t), escape) {
				*t = []byte(unescapeText(string(*t)))
			}
		}
	}
	return nil
}

var _ sqldb.Row = row{}
