package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

var fsyncs = flag.Int("chaos.fsyncs", 0, "how many fsyncs of each file fail, each in a run of its own (needs strace)")

// TestFailedSyncs lets one fsync of a file fail, as a disk does. The server ends, and no acknowledged message is lost:
// the kernel may have dropped the pages of a failed fsync, and another fsync would succeed without them.
func TestFailedSyncs(t *testing.T) {
	for _, file := range []string{"beckon.db", "beckon.db-wal", "journal-0000000000000001"} {
		for n := 1; n <= *fsyncs; n++ {
			t.Run(fmt.Sprintf("%s %d", file, n), func(t *testing.T) { failSync(t, file, n) })
		}
	}
}

func failSync(t *testing.T, file string, n int) {
	v := newServer(t)
	v.start()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ann := v.reconnect(ctx, "ann")
	ann.Close()
	v.kill()
	// strace passes signals on, and exits with the code of the program
	v.wrap = []string{"strace", "-f", "-qq", "-o", filepath.Join(t.TempDir(), "trace"), "-e", "trace=fsync,fdatasync",
		"-e", fmt.Sprintf("inject=fsync,fdatasync:error=EIO:when=%d", n), "-P", filepath.Join(v.data, file)}
	v.start()
	ann = v.reconnect(ctx, "ann")
	var sent []string
	for i := 0; ; i++ {
		id := fmt.Sprintf("m%d", i)
		soon, stop := context.WithTimeout(ctx, 5*time.Second) // the client would wait for the next server
		_, err := ann.SendMessage(soon, protocol.SendMessageRequest{UserID: "bob", MessageID: id,
			Body: protocol.Body{Text: id}})
		if stop(); err != nil {
			break
		}
		sent = append(sent, id)
	}
	ann.Close()
	if err := v.cmd.Wait(); err == nil || ctx.Err() != nil {
		t.Errorf("the server ended with %v, after %d messages", err, len(sent))
	}
	v.wrap = nil
	v.start()
	defer v.kill()
	ann = v.reconnect(ctx, "ann")
	defer ann.Close()
	there := map[string]bool{}
	for before := uint64(0); ; {
		page, err := ann.GetHistoryMessageList(ctx, protocol.HistoryRequest{ConversationID: "c2c_bob", Limit: 1000,
			Seq: before})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Messages {
			var m protocol.Message
			if err := json.Unmarshal(e.Event, &m); err != nil {
				t.Fatal(err)
			}
			there[m.MessageID], before = true, e.Seq
		}
		if len(page.Messages) < 1000 {
			break
		}
	}
	for _, id := range sent {
		if !there[id] {
			t.Fatalf("of %d acknowledged messages, %s is lost", len(sent), id)
		}
	}
	t.Logf("%d acknowledged messages, none lost", len(sent))
}

// reconnect connects a device, as soon as the server answers.
func (v *server) reconnect(ctx context.Context, user string) *client.Client {
	v.t.Helper()
	for {
		token, err := beckon.MintToken(v.data, "", user, "", 0)
		var c *client.Client
		if err == nil {
			c, err = client.New(client.Options{Server: "http://" + v.addr, Token: token, DeviceID: "d"})
		}
		if err == nil {
			if err = c.Connect(ctx); err == nil {
				return c
			}
			c.Close()
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			v.t.Fatal(errors.Join(err, ctx.Err()))
		}
	}
}
