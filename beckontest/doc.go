// Package beckontest runs a real server, or a cluster of them, in the process of a test.
//
// It mocks nothing: the database is real, and devices connect over TCP on 127.0.0.1.
//
//	cluster := beckontest.Start(t, 1)
//	events := beckontest.NewRecorder(t, "bob")
//	alice := cluster.Device("alice", "alices-phone", client.Listener{})
//	cluster.Device("bob", "bobs-phone", events.Listener())
//	_, err := alice.Invite(t.Context(), protocol.InviteRequest{Invitee: "bob"})
//	events.Wait("new") // no sleep: it waits for the event
//
// The server and the devices end with the test. VerifyNoLeaks, for TestMain, fails a package whose tests leak
// goroutines.
package beckontest
