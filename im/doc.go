// Package im defines instant messaging: IDs, topics, conversations, groups and their permissions, media rooms, and the
// error type of the server.
//
// Programs with the Go SDK use the error codes with CodeOf, the IDs of conversations (C2C, GroupConversation), the
// types and roles of groups, and the roles of rooms. The rest are the rules by which the server decides.
//
// It is pure: no I/O, no clock, no goroutine.
package im
