// Package tables describes the tables whose rows no method reads in its transaction: they are written and removed by
// key. The others are described by txn.
package tables

import "github.com/beckon-im/beckon/internal/sqldb"

// PushTokens holds the addresses of devices for pushes.
var PushTokens = sqldb.Schema{
	Name: "push_token", Key: sqldb.Columns("key"), Columns: sqldb.Columns("key user_id device_id provider body at"),
	Fixed:    sqldb.Columns("provider"),
	Personal: sqldb.Personal{Export: []string{"device"}, Private: sqldb.Columns("user_id"), Erase: "its rows are removed"},
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
