// Package tables describes the tables whose rows no method reads in its transaction: they are written and removed by
// key. The others are described by txn.
package tables

import "github.com/beckon-im/beckon/internal/sqldb"

// PushTokens holds the addresses of devices for pushes, and whether pushes arrive there. A token that another user
// registers begins without health.
var PushTokens = sqldb.Schema{
	Name: "push_token", Key: sqldb.Columns("key"),
	Columns: sqldb.Columns("key user_id device_id provider body at accepted_at acknowledged_at failed_at failures error"),
	Fixed:   sqldb.Columns("provider"),
	Merge: map[string]string{
		"accepted_at": ofSameUser("accepted_at"), "acknowledged_at": ofSameUser("acknowledged_at"),
		"failed_at": ofSameUser("failed_at"), "failures": ofSameUser("failures"), "error": ofSameUser("error"),
	},
	Added: []any{0, 0, 0, 0, ""},
	Personal: sqldb.Personal{Export: []string{"device"}, Private: sqldb.Columns("user_id"),
		Erase: "its rows are removed"},
}.Build()

// ofSameUser is the value of a column of a push token after its registration.
func ofSameUser(column string) string {
	return "CASE WHEN push_token.user_id = excluded.user_id THEN push_token." + column + " ELSE excluded." + column +
		" END"
}

// PushTests holds the test pushes of the last hour, one row for each token.
var PushTests = sqldb.Schema{
	Name: "push_test", Key: sqldb.Columns("test_id key"),
	Columns:  sqldb.Columns("test_id key user_id device_id provider at accepted_at acknowledged_at error"),
	NoDump:   "rows of an hour",
	Personal: sqldb.Personal{Erase: "its rows are removed; an export leaves out rows of an hour"},
}.Build()

// Stats holds the counters of nodes in steps of five minutes.
var Stats = sqldb.Schema{
	Name: "stat", Key: sqldb.Columns("at node name"), Columns: sqldb.Columns("at node name n"),
	Personal: sqldb.Personal{None: "counts"},
}.Build()

// Erasures holds the erasures of users.
var Erasures = sqldb.Schema{
	Name: "erasure", Key: sqldb.Columns("user_id"),
	Columns:  sqldb.Columns("user_id at until stage place rewritten memberships files error owner owned_until ended_at"),
	Personal: sqldb.Personal{Erase: "kept: 30 days"},
}.Build()

// Meta holds the identity of the database. An export has the epoch in its first line.
var Meta = sqldb.Schema{
	Name: "meta", Key: sqldb.Columns("name"), Columns: sqldb.Columns("name value"),
	NoDump: "each database has its own", Personal: sqldb.Personal{None: "the identity of the database"},
}.Build()

// FileHolders holds the messages that hold a file. A stored message stays its holder, also when an onlineUserOnly
// message had the same id.
var FileHolders = sqldb.Schema{
	Name: "file_holder", Key: sqldb.Columns("file_id topic msg"), Columns: sqldb.Columns("file_id topic msg until"),
	Merge: map[string]string{"until": "CASE WHEN excluded.until = 0 OR file_holder.until = 0 THEN 0 ELSE " +
		"excluded.until END"},
	Personal: sqldb.Personal{None: "removed with the file"},
}.Build()

// FileReaders was replaced by FileHolders; a later release drops the table.
var FileReaders = sqldb.Schema{
	Name: "file_reader", Key: sqldb.Columns("file_id topic"), Columns: sqldb.Columns("file_id topic"),
	NoDump: "replaced by file_holder", Personal: sqldb.Personal{None: "removed with the file"},
}.Build()

// Deletions holds the records that users hid from themselves.
var Deletions = sqldb.Schema{
	Name: "deleted", Key: sqldb.Columns("user_id topic seq"), Columns: sqldb.Columns("user_id topic seq"),
	Personal: sqldb.Personal{Export: []string{"deletedForMe"}, Private: sqldb.Columns("user_id"),
		Erase: "its rows are removed"},
}.Build()
