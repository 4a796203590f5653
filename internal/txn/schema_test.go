package txn

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/beckon-im/beckon/internal/sqldb"
)

// TestCodecs decodes a row of distinct values of each table and encodes it again: both have the columns of the schema.
func TestCodecs(t *testing.T) {
	codec(t, invitations)
	codec(t, invitees)
	codec(t, tombstones)
	codec(t, groups)
	codec(t, members)
	codec(t, extras)
	codec(t, applications)
	codec(t, contacts)
	codec(t, receipts)
	codec(t, reactions)
	codec(t, users)
	codec(t, follows)
	codec(t, roomTable)
	codec(t, seats)
	codec(t, links)
	codec(t, calls)
	codec(t, participants)
	codec(t, outbox)
	codec(t, &schema[string, File]{Schema: Files, encode: encodeFile, decode: ScanFile})
}

func codec[K comparable, V any](t *testing.T, d *schema[K, V]) {
	t.Helper()
	want := storedRow{columns: d.Columns}
	v, err := d.decode(&want)
	if err != nil {
		t.Errorf("%s: %v", d.Name, err)
		return
	}
	if got := d.encode(nil, v); len(got) != d.Width || fmt.Sprint(got...) != fmt.Sprint(want.values...) {
		t.Errorf("%s: the columns %v\nare decoded from %v\nand encoded to %v", d.Name, d.Columns, want.values, got)
	}
}

// storedRow scans distinct values, and bits and JSON where the column needs them.
type storedRow struct {
	columns []string
	values  []any
}

func (r *storedRow) Scan(into ...any) error {
	if len(into) != len(r.columns) {
		return fmt.Errorf("%d columns are scanned of %v", len(into), r.columns)
	}
	bits := columns("party deaf dismissed muted gone entered video")
	fixed := map[string]string{
		"push": `{"title":"t"}`, "recent": "", "attributes": `{"a":"b"}`, "counters": `{"counters":{"a":1},"recent":["r"]}`,
	}
	for i, c := range r.columns {
		p := reflect.ValueOf(into[i]).Elem()
		value := fmt.Sprintf("text%d", i)
		if s, ok := fixed[c]; ok {
			value = s
		}
		switch n := int64(i + 1); {
		case p.Kind() == reflect.String:
			p.SetString(value)
		case p.Kind() == reflect.Slice:
			p.SetBytes([]byte(value))
		case slices.Contains(bits, c):
			p.SetInt(1)
		case p.CanUint():
			p.SetUint(uint64(n))
		default:
			p.SetInt(n)
		}
		if p.Kind() == reflect.String || p.Kind() == reflect.Slice {
			r.values = append(r.values, value)
		} else if p.CanUint() {
			r.values = append(r.values, p.Uint())
		} else {
			r.values = append(r.values, p.Int())
		}
	}
	return nil
}

var _ sqldb.Row = (*storedRow)(nil)
