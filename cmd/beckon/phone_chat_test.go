package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestPhonesChat plays a conversation on real phones: messages, a missed call in it, a group with an application,
// search, a file, blocking, and presence.
func TestPhonesChat(t *testing.T) {
	w := newTown(t)
	alice, bob := w.phone("alice"), w.phone("bob")
	alice.print("msg bob hello bob, how are you?")
	bob.wait("alice: hello bob, how are you?")
	bob.print("msg alice fine")
	alice.wait("bob: fine")
	alice.print("back")
	bob.wait("alice took a message back")
	alice.print("call bob 1 dinner")
	bob.wait("you missed a call")
	bob.print("chats")
	bob.wait("alice (1 unread): [") // the missed call; the revoked message does not count
	bob.print("read alice")
	bob.wait(`[alice: no answer: "dinner"]`)
	alice.wait("bob has read your messages")
	alice.print("find fine")
	alice.wait("bob: bob: fine")
	alice.print("group new club alice Public")
	alice.wait("done")
	bob.print("group join club let me in")
	bob.wait("you have applied")
	alice.wait(`bob wants to join club: "let me in"`)
	alice.print("group yes club bob")
	bob.wait("your application to club was accepted")
	bob.print("msg @club good evening")
	alice.wait("bob in @club: good evening")
	alice.print("group info club")
	alice.wait("club, a Public group with 2 members: alice (owner), bob")
	file := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(file, []byte("some notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	alice.print("send bob " + file)
	bob.wait("alice: (file notes.txt, 10 bytes)")
	bob.print("watch carol")
	bob.wait("carol is offline")
	w.phone("carol")
	bob.wait("carol is online")
	bob.print("block alice")
	bob.wait("alice is blocked")
	alice.print("msg bob are you there?")
	alice.wait("bob does not accept messages from you (20007)")
	alice.print("msg")
	alice.wait("msg needs more words")
}
