package scenario

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// thaw unpacks a data directory that an earlier version left when it was killed.
func thaw(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "frozen", name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.Clean("/"+h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o700)
		} else {
			var b []byte
			if b, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(path, b, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestUpgradeOfSchema8 opens a directory with a journal that was not applied, and goes on with what was open in it.
func TestUpgradeOfSchema8(t *testing.T) {
	// Always one node: several keep their data in PostgreSQL, not in a directory.
	house := beckontest.StartWith(t, beckon.Config{DataDir: thaw(t, "schema-8.tgz")})
	s := &scene{Cluster: house, t: t, who: map[string]*client.Client{}, tapes: map[string]*beckontest.Recorder{}}
	for _, d := range []string{"ann/1", "bob/1", "cat/1"} {
		s.connect(d)
	}
	s.tapes["bob/1"].Wait(`new one from ann group "" to bob data "open one"`)
	s.tapes["cat/1"].Wait(`new several from ann group "" to bob,cat data "open to several"`)
	s.tapes["cat/1"].Wait(`new part from ann group "g" to bob,cat`)
	s.accept("bob/1", "one")
	s.tapes["ann/1"].Wait("accepted one by bob")
	s.accept("cat/1", "several")
	for _, d := range []string{"ann/1", "bob/1"} {
		s.tapes[d].Wait("accepted several by cat")
	}
	s.act("ann", "cancel", protocol.CancelRequest{InviteID: "part"}, nil)
	for _, d := range []string{"ann/1", "bob/1", "cat/1"} {
		line := "cancelled part"
		if d == "ann/1" {
			line = "elsewhere part cancel"
		}
		s.tapes[d].Wait(line)
	}
	var history protocol.HistoryResponse
	s.act("bob", "getHistoryMessageList", protocol.HistoryRequest{ConversationID: "c2c_ann", Limit: 100}, &history)
	if len(history.Messages) < 8 {
		t.Errorf("the history has %d entries", len(history.Messages))
	}
	if n := s.unread("bob", "group_g"); n != 4 { // three messages and the invitation of all
		t.Errorf("%d unread in the group", n)
	}
	var file protocol.FileResponse
	s.act("bob", "getFile", map[string]string{"fileID": "f-210d9a05-16b7-47cd-aaf5-34d74597f739"}, &file)
	s.refuses(20007, "eve", "invite", `{"invitee":"ann"}`)
}

// TestUpgradeOfSchema12 does so for the schema before large groups were bounded. The ended online-only invitation,
// which the new index must hold, is removed by retention.
func TestUpgradeOfSchema12(t *testing.T) {
	var skew atomic.Int64
	house := beckontest.StartWith(t, beckon.Config{DataDir: thaw(t, "schema-12.tgz"),
		Now: func() int64 { return time.Now().UnixMilli() + skew.Load() }})
	s := &scene{Cluster: house, t: t, who: map[string]*client.Client{}, tapes: map[string]*beckontest.Recorder{}}
	get := func(id string) *protocol.Error {
		return s.try("ann", "Bearer "+s.Server.APIKey(), "getInvitation", protocol.GetInvitationRequest{InviteID: id}, nil)
	}
	for _, id := range []string{"over", "online-over", "one", "several", "part", "online", "no-timeout"} {
		if e := get(id); e != nil {
			t.Errorf("%s: %+v", id, e)
		}
	}
	s.act("cat", "accept", protocol.AnswerRequest{InviteID: "several"}, nil)
	s.act("", "dismissGroup", protocol.GroupRequest{GroupID: "g"}, nil)
	s.refuses(20007, "eve", "invite", `{"invitee":"bob"}`)
	var history protocol.HistoryResponse
	s.act("bob", "getHistoryMessageList", protocol.HistoryRequest{ConversationID: "c2c_ann", Limit: 100}, &history)
	if len(history.Messages) < 6 {
		t.Errorf("the history has %d entries", len(history.Messages))
	}
	skew.Store(time.Hour.Milliseconds())
	if err := s.Server.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := get("online-over"); e == nil || e.Code != im.CodeOver {
		t.Errorf("the ended online-only invitation, after retention: %+v", e)
	}
	if e := get("online"); e != nil {
		t.Errorf("the open one: %+v", e)
	}
}
