package sqlite

import (
	"reflect"
	"testing"

	"github.com/beckon-im/beckon/internal/store/sqlite/journal"
)

func TestGathering(t *testing.T) {
	h := heap{op: journal.Operation{Width: 3}, place: map[string]int{}}
	h.add([]any{"a", "b", 1, "ab", "", 2, "a", "b", 3}, shapeOf{key: 2})
	h.add([]any{"ab", "", 4, "a", "c", 5}, shapeOf{key: 2})
	if want := []any{"a", "b", 3, "ab", "", 4, "a", "c", 5}; !reflect.DeepEqual(h.op.Values, want) {
		t.Errorf("gathered %v, want %v", h.op.Values, want)
	}
	h.add([]any{"a", "b", 6, "d", "d", 7}, shapeOf{key: 2, keeps: true})
	if want := []any{"a", "b", 3, "ab", "", 4, "a", "c", 5, "d", "d", 7}; !reflect.DeepEqual(h.op.Values, want) {
		t.Errorf("gathered %v, want %v", h.op.Values, want)
	}
	for template, want := range map[string]shapeOf{
		"INSERT INTO receipt (topic, at) VALUES ?* ON CONFLICT (topic) DO NOTHING":       {rows: true, keeps: true, key: 1},
		"INSERT INTO record (topic, seq) VALUES ?*":                                      {rows: true},
		"INSERT INTO topic (name) VALUES ?* ON CONFLICT (name) DO UPDATE SET head = 1":   {rows: true, key: 1},
		"INSERT INTO contact (user_id, peer) VALUES ?* ON CONFLICT (user_id, peer) DO 1": {rows: true, key: 2},
		"DELETE FROM mark WHERE (invite_id, user_id) IN (VALUES ?*)":                     {},
	} {
		if got := look(template); got != want {
			t.Errorf("%s: %+v", template, got)
		}
	}
}
