package retention

// Table describes the removal of a table's rows. The list is part of docs/operating.md.
type Table struct{ Name, Removal string }

// Tables returns every table of both engines.
func Tables() []Table {
	const age = "retention"
	return []Table{
		{"record", age},
		{"topic", age + ", with its invitation, or when it never had a record; " +
			"those of users and groups keep their sequence"},
		{"deleted", "with the record"},
		{"receipt", "with the message"},
		{"reaction", "with the message"},
		{"phrase", "with the message"},
		{"invitation", age + " after its end, and after the end of the room that it opened; 5 min for `onlineUserOnly`"},
		{"invitee", "with the invitation"},
		{"mark", "5 min: cancels and merges that overtake an invite"},
		{"media_call", age + " after its end"},
		{"participant", "with the call"},
		{"room", "24 h after its end"},
		{"seat", "with the room; those of a group's standing room stay"},
		{"room_link", "with the room; likewise"},
		{"file", age + " after its upload and after the last message with it, with the contents"},
		{"file_holder", "with the message or the file; 24 h for `onlineUserOnly`"},
		{"file_reader", "with the file (not used any more)"},
		{"application", age + " after it was handled"},
		{"outgoing", "7 days after delivery, 30 days when dead or not attempted any more; " + age +
			" when that is shorter, except for waiting events"},
		{"erasure", "30 days after its end"},
		{"stat", "400 days: counts"},
		{"writer", "a day after its last commit"},
		{"push_token", "when it is refused by its provider, revoked or replaced"},
		{"push_test", "1 h"},
		{"person", "kept until `eraseUser`"},
		{"contact", "kept until `eraseUser`: read positions, settings, blocks"},
		{"follow", "when the user ends it"},
		{"grp", "kept: the ID of a dismissed group stays taken"},
		{"member", "kept with the group, also of users who left"},
		{"extra", "kept with the group"},
		{"meta", "kept: some rows"},
	}
}
