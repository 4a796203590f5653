package txn

import (
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/tables"
)

// Schema describes one table: TestEveryTable compares it with the migrations, the export and the personal data.
type Schema = sqldb.Schema

type personal = sqldb.Personal

func columns(list string) []string { return sqldb.Columns(list) }

// schema is a Schema with the Go type of its rows.
type schema[K comparable, V any] struct {
	*Schema
	key    func(*V) K
	encode func(row []any, v *V) []any // appends the values of all columns
	decode func(sqldb.Row) (*V, error)
}

// rows returns the values of the rows that were put, one row after another.
func (d *schema[K, V]) rows(t *table[K, V]) []any {
	if len(t.order) == 0 {
		return nil
	}
	list := make([]any, 0, len(t.order)*d.Width)
	for _, k := range t.order {
		list = d.encode(list, t.rows[k])
	}
	return list
}

// Schemas returns the tables in the order of an export. Tables of one engine are the engine's own.
func Schemas() []*Schema {
	return []*Schema{
		Topics, Records, invitations.Schema, invitees.Schema, tombstones.Schema, groups.Schema, members.Schema, extras.Schema,
		applications.Schema, contacts.Schema, receipts.Schema, tables.Deletions, users.Schema, follows.Schema, Files,
		tables.FileHolders, roomTable.Schema, seats.Schema, calls.Schema, outbox.Schema, tables.Stats, tables.PushTokens,
		tables.PushTests, participants.Schema, links.Schema, tables.Erasures, reactions.Schema, tables.Meta,
		tables.FileReaders,
	}
}

// Views returns the columns of parts of tables, by the names that queries use.
func Views() map[string][]string { return map[string][]string{"message": messageColumns} }

// Statements returns the templates of Load and Flush that are not of a Schema.
func Statements() []string {
	return []string{
		lockTopics, SetFloors, insertPlain, insertMessages, messagesByID, updateMessage, presentMembers, adminMembers,
		openInGroups, openIntoRooms, openInvitersOf, openGlare, openInviteesOf, openOfMembers, openInvitees, openedRooms,
		openCallsIn, participantsIn, allParticipantsIn, removeParticipants, removeCalls,
	}
}
