// Package scenario tests the whole server through its public API, by subject: real servers, SDK clients and databases,
// one node or several.
//
//	go test ./test/scenario            # one node
//	go test ./test/scenario -nodes 3   # three nodes, PostgreSQL and NATS
//
// With -pgbouncer the nodes connect through PgBouncer. With -standby histories, lists, search and exports are read from
// a standby server.
//
// Tests that mostly wait run in parallel; the others have the machine for themselves.
package scenario
