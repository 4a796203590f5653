// Package personaldata exports the stored data of one user, in pages, and erases it, also in the copies of other users.
//
// It does not check permissions. An export leaves out other users' own data: their blocks, the settings of their side
// of a conversation, their messages in groups; and rows of minutes: tombstones and pushes in the outbox. An erasure
// keeps the facts that belong to others too: that there was a message, an invitation, a call. The schemas of txn list
// both for each table.
package personaldata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/queries"
)

// Place is a position in an export. The zero Place is the beginning.
type Place struct {
	Part int   `json:"p"`
	Key  []any `json:"k,omitempty"` // of the last row that was read
}

// exportPart is one kind of entries. Its query takes the user, the key of the last row, and the number of rows to read;
// its columns are the key, then those of the other fields.
//
// No query may read many more rows than it returns, or it is slow in a large database: where no index leads to the
// user, all rows are read in the order of their key, and theirs selects those of the user.
type exportPart struct {
	kind   string
	fields string // a star marks JSON, a minus a field for theirs that is not exported
	begin  []any  // a key before the first
	query  string
	theirs func(user string, row map[string]any) bool // nil = all rows are the user's
	// reads the next first column of the key, after all rows of one; empty = the key has one part
	next string
}

// byUser selects rows by fields that name the user.
func byUser(fields ...string) func(string, map[string]any) bool {
	return func(user string, row map[string]any) bool {
		return slices.ContainsFunc(fields, func(f string) bool { return row[f] == user })
	}
}

var exportParts = buildParts()

func buildParts() []exportPart {
	name, num, two := []any{""}, []any{int64(0)}, []any{"", ""}
	return []exportPart{
		{"person", "userID profile* status doNotDisturb* tokensRevokedAt pushTokenAt",
			name, queries.Text("ExportPerson"), nil, ""},
		{"device", "token deviceID provider registration* registeredAt lastAcceptedAt lastAcknowledgedAt lastFailedAt " +
			"failures lastError",
			name, queries.Text("ExportDevice"), nil, ""},
		{"contact", "userID blockedAt pinnedAt receiveOption readSeq clearedSeq hiddenSeq",
			name, queries.Text("ExportContact"), nil, ""},
		{"follows", "userID",
			name, queries.Text("ExportFollows"), nil, ""},
		{"membership", "groupID groupName groupType role joinedAt left nameCard customInfo mutedUntil bannedUntil pinnedAt " +
			"receiveOption readSeq clearedSeq hiddenSeq",
			name, queries.Text("ExportMembership"), nil, ""},
		{"application", "groupID userID inviter reason state appliedAt handler answer handledAt",
			two, queries.Text("ExportApplication"), byUser("userID", "inviter", "handler"), ""},
		{"invited", "inviteID -inviter invitee groupID roomID timeout createdAt deadline device data offlinePush*",
			name, queries.Text("ExportInvited"), byUser("inviter"), ""},
		{"wasInvited", "inviteID -userID state reason data ringingAt deadline decidedAt device",
			two, queries.Text("ExportWasInvited"), byUser("userID"), ""},
		{"room", "roomID -owner inviteID createdAt endedAt",
			name, queries.Text("ExportRoom"), byUser("owner"), ""},
		{"seat", "roomID -userID role since",
			two, queries.Text("ExportSeat"), byUser("userID"), ""},
		{"call", "callID roomID inviteID groupID owner peer endedBy openedAt beganAt endedAt duration reason video",
			name, queries.Text("ExportCall"), byUser("owner", "peer", "endedBy"), ""},
		{"tookPart", "callID roomID firstJoined lastJoined left duration reason stays",
			name, queries.Text("ExportTookPart"), nil, ""},
		{"roomConnection", "roomID -userID connectedAt",
			two, queries.Text("ExportRoomConnection"), byUser("userID"), ""},
		{"file", "fileID -owner kind name type size width height uploadedAt",
			name, queries.Text("ExportFile"), byUser("owner"), ""},
		{"event", "seq time body*",
			num, queries.Text("ExportEvent"), nil, ""},
		{"inviteEvent", "inviteID seq time body*",
			[]any{"", int64(0)}, queries.Text("ExportInviteEvent"), nil, queries.Text("ExportInviteEventNext")},
		{"groupEvent", "groupID seq time body* -sender -audience -joined -left",
			[]any{"", int64(0)}, queries.Text("ExportGroupEvent"), named, queries.Text("ExportGroupEventNext")},
		{"read", "timeline messageID -userID at",
			[]any{"", "", ""}, queries.Text("ExportRead"), byUser("userID"), ""},
		{"deletedForMe", "timeline seq",
			[]any{"", int64(0)}, queries.Text("ExportDeletedForMe"), nil, ""},
		{"reaction", "timeline messageID reaction at",
			[]any{"", "", ""}, queries.Text("ExportReaction"), nil, ""},
	}
}

// named selects the records of a group that the user sent, or that name the user. The body is left out when the user
// may not read it any more.
func named(user string, row map[string]any) bool {
	joined, _ := row["joined"].(int64)
	seq, _ := row["seq"].(int64)
	audience, _ := row["audience"].(string)
	body, _ := row["body"].(json.RawMessage)
	if row["sender"] == user {
		return true
	}
	var record any
	if json.Unmarshal(body, &record) != nil || !names(record, user) {
		return false
	}
	if row["left"] != nil || seq <= joined || audience != "" && !strings.Contains(audience, " "+user+" ") {
		delete(row, "body")
	}
	return true
}

// userList lists the fields that name users.
func userList() []string {
	return []string{
		"from", "to", "by", "userID", "inviter", "invitee", "inviteeList", "accepted", "rejected", "members", "mentions",
		"receiverList", "revokedBy", "owner", "handler",
	}
}

// names reports whether a record names a user in such a field.
func names(v any, user string) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return names(e, user) })
	case map[string]any:
		for field, e := range v {
			list, isList := e.([]any)
			if slices.Contains(userList(), field) && (e == user || isList && slices.Contains(list, any(user))) ||
				names(e, user) {
				return true
			}
		}
	}
	return false
}

const (
	look     = 5000    // most rows that one page reads
	steps    = 200     // most queries of a page
	maxBytes = 1 << 20 // of entries in a page
)

// Export reads the stored data of a user after a place: each entry is an object with its kind. It returns the next
// place; done reports the end. A page may be empty before the end, because it reads a limited number of rows.
func Export(ctx context.Context, s *store.Store, user string, at Place, limit int) (entries []json.RawMessage,
	next Place, done bool, err error) {
	var p pager
	err = s.ViewStandby(ctx, func(r sqldb.Reader) error {
		p = pager{user: user, limit: limit, at: at}
		for n := 0; n < steps && p.at.Part < len(exportParts) && !p.full() && p.looked < look; n++ {
			if err := p.step(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
	return p.entries, p.at, p.at.Part == len(exportParts), err
}

// pager makes one page.
type pager struct {
	user    string
	limit   int
	at      Place
	entries []json.RawMessage
	size    int // of the entries, in bytes
	looked  int // rows
}

func (p *pager) full() bool { return len(p.entries) >= p.limit || p.size >= maxBytes }

// step reads rows of the current part once, and moves to the next part after its last row.
func (p *pager) step(ctx context.Context, r sqldb.Reader) error {
	part := exportParts[p.at.Part]
	if p.at.Key == nil {
		p.at.Key = part.begin
	}
	want := look - p.looked
	if part.theirs == nil {
		want = min(want, p.limit-len(p.entries))
	}
	n := 0
	err := r.Read(ctx, part.query, func(row sqldb.Row) error {
		entry, key, err := part.scan(row, p.user)
		if err != nil {
			return err
		}
		n++
		p.at.Key = key
		if entry != nil {
			p.entries = append(p.entries, entry)
			p.size += len(entry)
		}
		if p.full() {
			return sqldb.ErrStopScan
		}
		return nil
	}, append(append([]any{p.user}, p.at.Key...), want)...)
	if p.looked += n; err != nil {
		return fmt.Errorf("the entries of kind %s: %w", part.kind, err)
	}
	if n == want || p.full() {
		return nil
	}
	if part.next != "" {
		found := false
		if err := r.Read(ctx, part.next, func(row sqldb.Row) error {
			var first string
			err := row.Scan(&first)
			p.at.Key, found = append([]any{first}, part.begin[1:]...), true
			return err
		}, p.user, p.at.Key[0]); err != nil || found {
			return err
		}
	}
	p.at = Place{Part: p.at.Part + 1}
	return nil
}

// scan makes an entry of a row; nil when the row is another user's. Empty fields are left out.
func (p *exportPart) scan(row sqldb.Row, user string) (entry json.RawMessage, key []any, err error) {
	fields := strings.Fields(p.fields)
	values, into := make([]any, len(fields)), make([]any, len(fields))
	for i := range values {
		into[i] = &values[i]
	}
	if err := row.Scan(into...); err != nil {
		return nil, nil, err
	}
	entryFields := map[string]any{}
	for i, f := range fields {
		name, isJSON := strings.CutSuffix(f, "*")
		v := values[i]
		if b, ok := v.([]byte); ok {
			v = string(b)
		}
		if i < len(p.begin) {
			key = append(key, v)
		}
		text, isText := v.(string)
		switch {
		case v == nil, v == int64(0), isText && text == "":
		case isJSON && isText && json.Valid([]byte(text)):
			entryFields[strings.TrimPrefix(name, "-")] = json.RawMessage(text)
		default:
			entryFields[strings.TrimPrefix(name, "-")] = v
		}
	}
	if p.theirs != nil && !p.theirs(user, entryFields) {
		return nil, key, nil
	}
	for _, f := range fields {
		if name, hidden := strings.CutPrefix(f, "-"); hidden {
			delete(entryFields, name)
		}
	}
	entryFields["kind"] = p.kind
	entry, err = json.Marshal(entryFields)
	return entry, key, err
}

// Parse reads a place that Encode wrote.
func Parse(text string) (at Place, ok bool) {
	if text == "" {
		return at, true
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if d.Decode(&at) != nil || at.Part < 0 || at.Part >= len(exportParts) {
		return at, false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) || strings.Contains(text, `\u0000`) { // which PostgreSQL refuses
		return at, false
	}
	p := exportParts[at.Part]
	if at.Key == nil {
		return at, true
	}
	if len(at.Key) != len(p.begin) {
		return at, false
	}
	for i, v := range at.Key {
		if n, isNumber := v.(json.Number); isNumber {
			whole, err := n.Int64()
			if err != nil {
				return at, false
			}
			at.Key[i] = whole
		}
		if fmt.Sprintf("%T", at.Key[i]) != fmt.Sprintf("%T", p.begin[i]) {
			return at, false
		}
	}
	return at, true
}

// Encode writes a place for Parse.
func (at Place) Encode() string {
	b, _ := json.Marshal(at) // strings and numbers always encode
	return string(b)
}
