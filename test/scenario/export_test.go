package scenario

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/internal/store/storetest/pgtest"
	"github.com/beckon-im/beckon/protocol"
)

// TestGrowing moves a house from SQLite to PostgreSQL and back: devices go on where they stood and hear what they
// missed, once; an open invitation is still open; messages are found; and nothing is lost or changed on the way.
func TestGrowing(t *testing.T) {
	pg, err := pgtest.Start(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pg.Close() })
	url, err := pg.Database(t.Context(), "grown")
	if err != nil {
		t.Fatal(err)
	}
	dir, ctx := t.TempDir(), t.Context()
	h := beckontest.StartWith(t, beckon.Config{DataDir: dir})
	before := make(chan string, 10)
	alice, bob := h.Device("alice", "a1", client.Listener{}), h.Device("bob", "b1",
		client.Listener{OnReceiveMessage: func(_ string, _ uint64, m protocol.Message) { before <- m.Text }})
	say(t, alice, protocol.SendMessageRequest{UserID: "bob",
		Body: protocol.Body{Text: "the quick brown fox, café, \x00 and \uFFFE"}})
	if _, err := alice.CreateGroup(ctx, protocol.CreateGroupRequest{GroupID: "g", Type: "Work",
		MemberList: []string{"bob"}}); err != nil {
		t.Fatal(err)
	}
	say(t, alice, protocol.SendMessageRequest{GroupID: "g", Body: protocol.Body{Text: "a lazy dog 漢字"}})
	<-before
	<-before
	last, err := alice.GetHistoryMessageList(ctx, protocol.HistoryRequest{ConversationID: "group_g", Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "bob's position is after the message", func() bool { // the callback comes first
		_, positions := bob.Positions()
		return positions["group:g"] == last.Messages[0].Seq
	})
	epoch, positions := bob.Positions()
	bob.Close()
	say(t, alice, protocol.SendMessageRequest{UserID: "bob", Body: protocol.Body{Text: "while you were away"}})
	if _, err := alice.Invite(ctx, call("bob", "i", 600)); err != nil {
		t.Fatal(err)
	}
	alice.Close()
	h.Stop()

	var small, large, again bytes.Buffer
	step := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	step("export", second(beckon.Export(ctx, dir, "", &small)))
	step("import", second(beckon.Import(ctx, "", url, false, bytes.NewReader(small.Bytes()))))
	if _, err := beckon.Import(ctx, "", url, false, bytes.NewReader(small.Bytes())); err == nil ||
		!strings.Contains(err.Error(), "not empty") {
		t.Errorf("a second import: %v", err)
	}
	step("export again", second(beckon.Export(ctx, "", url, &large)))
	if small.String() != large.String() {
		t.Errorf("the export from PostgreSQL differs from the one from SQLite:\n%s\n%s", small.String(), large.String())
	}
	back := t.TempDir()
	step("import back", second(beckon.Import(ctx, back, "", true, bytes.NewReader(large.Bytes()))))
	step("export back", second(beckon.Export(ctx, back, "", &again)))
	if cut := bytes.IndexByte(again.Bytes(), '\n'); !bytes.Equal(again.Bytes()[cut:],
		large.Bytes()[bytes.IndexByte(large.Bytes(), '\n'):]) {
		t.Error("back on SQLite it is another house")
	}

	h = beckontest.StartWith(t, beckon.Config{DataDir: dir, Postgres: url})
	tape := beckontest.NewRecorder(t, "bob")
	heard := make(chan string, 10)
	l := tape.Listener()
	l.OnReceiveMessage = func(_ string, _ uint64, m protocol.Message) { heard <- m.Text }
	bob = h.DeviceWith(client.Options{Token: h.Token("bob"), DeviceID: "b1", Listener: l, Epoch: epoch,
		Positions: positions})
	tape.Wait("new i from alice")
	say(t, h.Device("alice", "a1", client.Listener{}),
		protocol.SendMessageRequest{UserID: "bob", Body: protocol.Body{Text: "are you there?"}})
	for _, want := range []string{"while you were away", "are you there?"} {
		if got := <-heard; got != want {
			t.Errorf("bob heard %q, want %q", got, want)
		}
	}
	if tape.Count("reload") != 0 {
		t.Error("bob had to load anew")
	}
	for text, want := range map[string]int{"fox": 1, "cafe": 1, "漢": 1, "lazy dog": 1, "cat": 0} {
		res, err := bob.SearchMessages(ctx, protocol.SearchRequest{Text: text})
		if err != nil || len(res.Found) != want {
			t.Errorf("a search for %q finds %d, %v", text, len(res.Found), err)
		}
	}
	if res, err := bob.SearchMessages(ctx, protocol.SearchRequest{Text: "you"}); err != nil || len(res.Found) != 2 ||
		res.Found[0].Message.Text != "are you there?" {
		t.Errorf("the newest is not found first: %+v, %v", res.Found, err)
	}
	if _, err := bob.Accept(ctx, "i", ""); err != nil {
		t.Error(err)
	}

	h = beckontest.StartWith(t, beckon.Config{DataDir: back}) // restored from a backup
	tape = beckontest.NewRecorder(t, "bob")
	h.DeviceWith(client.Options{Token: h.Token("bob"), DeviceID: "b1", Listener: tape.Listener(), Epoch: epoch,
		Positions: positions})
	tape.Wait("reload")
}

// TestBrokenImports: what is not a whole export is refused, and no server starts on what came of it.
func TestBrokenImports(t *testing.T) {
	const head, end = `{"beckonExport":2,"epoch":"e"}` + "\n", `{"end":1}` + "\n"
	for name, c := range map[string]struct{ text, want string }{
		"nothing":        {"", "not an export"},
		"something else": {"{}", "not an export"},
		"of the past":    {`{"beckonExport":1}`, "the release that wrote it"},
		"of the future":  {`{"beckonExport":99}`, "use a later one"},
		"broken off":     {head + `{"table":"topic"}` + "\n", "broken off"},
		"too few rows":   {head + `{"end":3}`, "has 0"},
		"another table":  {head + `{"table":"secret"}`, "does not know"},
		"a narrow row":   {head + `{"table":"topic"}` + "\n" + `{"row":["user:a"]}` + "\n" + end, "does not fit"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := beckon.Import(context.Background(), dir, "", false, strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			srv, err := beckon.New(context.Background(), beckon.Config{DataDir: dir})
			if err == nil {
				defer srv.Close()
			}
			if begun := !strings.Contains(c.want, "export") && !strings.Contains(c.want, "later") &&
				!strings.Contains(c.want, "wrote"); begun != (err != nil) {
				t.Errorf("a server on what was imported: %v", err)
			}
		})
	}
}

func say(t *testing.T, from *client.Client, req protocol.SendMessageRequest) {
	t.Helper()
	if _, err := from.SendMessage(t.Context(), req); err != nil {
		t.Fatal(err)
	}
}
