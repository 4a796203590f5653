package scenario

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// thaw unpacks the data directory of an earlier version that was killed, and returns the time of the kill in
// milliseconds. The server that opens it must have that time: at the current time all deadlines have passed.
func thaw(t *testing.T, name string) (dir string, frozenAt int64) {
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
	dir = t.TempDir()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir, frozenAt
		}
		if err != nil {
			t.Fatal(err)
		}
		frozenAt = max(frozenAt, h.ModTime.UnixMilli()+1000) // rounded up: the archive has whole seconds
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
	dir, frozenAt := thaw(t, "schema-8.tgz")
	house := beckontest.StartWith(t, beckon.Config{DataDir: dir, Now: func() int64 { return frozenAt }})
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
	dir, frozenAt := thaw(t, "schema-12.tgz")
	house := beckontest.StartWith(t, beckon.Config{DataDir: dir,
		Now: func() int64 { return frozenAt + skew.Load() }})
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

// TestUpgradeOfSchema13 upgrades the schema in which retention removed records only: it lacks the times by which
// retention finds due rows.
func TestUpgradeOfSchema13(t *testing.T) {
	var skew atomic.Int64
	dir, frozenAt := thaw(t, "schema-13.tgz")
	house := beckontest.StartWith(t, beckon.Config{DataDir: dir, Retention: 24 * time.Hour,
		Now: func() int64 { return frozenAt + skew.Load() }})
	s := &scene{Cluster: house, t: t, who: map[string]*client.Client{}, tapes: map[string]*beckontest.Recorder{}}
	over := []string{"one", "over", "several-over", "last-over", "notice"}
	open := []string{"several", "no-timeout", "online", "part"}
	exist := func() (list []string) {
		for _, id := range slices.Concat(over, open) {
			req := protocol.GetInvitationRequest{InviteID: id}
			if s.try("ann", "Bearer "+s.Server.APIKey(), "getInvitation", req, nil) == nil {
				list = append(list, id)
			}
		}
		return list
	}
	state := func(history, applications, uploads int, lag string, invitations ...string) {
		t.Helper()
		var h protocol.HistoryResponse
		s.act("bob", "getHistoryMessageList", protocol.HistoryRequest{ConversationID: "c2c_ann", Limit: 100}, &h)
		var a protocol.ApplicationsResponse
		s.act("ann", "getGroupApplicationList", protocol.ApplicationsRequest{}, &a)
		stored, err := os.ReadDir(filepath.Join(dir, "files"))
		if err != nil {
			t.Fatal(err)
		}
		if len(h.Messages) != history || len(a.Applications) != applications || len(stored) != uploads {
			t.Errorf("%d entries in the history, %d applications, %d files; want %d, %d, %d", len(h.Messages),
				len(a.Applications), len(stored), history, applications, uploads)
		}
		if got := metric(t, house, "beckon_retention_lag_seconds"); got != lag {
			t.Errorf("the lag is %s, want %s", got, lag)
		}
		if got := exist(); !slices.Equal(got, invitations) {
			t.Errorf("there are %v, want %v", got, invitations)
		}
	}
	s.act("ann", "cancel", protocol.CancelRequest{InviteID: "one"}, nil)
	state(16, 2, 2, "-1", slices.Concat(over, open)...)
	if err := s.Server.Trim(t.Context()); err != nil { // everything is dated
		t.Fatal(err)
	}
	state(16, 2, 2, "0", slices.Concat(over, open)...)
	skew.Store(25 * time.Hour.Milliseconds())
	if err := s.Server.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	state(0, 1, 0, "0", open...)
	s.act("ann", "sendMessage", protocol.SendMessageRequest{UserID: "bob", Body: protocol.Body{Text: "new words"}}, nil)
	state(1, 1, 0, "0", open...)
	report, err := beckon.Inspect(t.Context(), dir, "")
	if err != nil || len(report.Faults) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// metric reads a metric without labels.
func metric(t *testing.T, house *beckontest.Cluster, name string) string {
	t.Helper()
	res, err := http.Get(house.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(string(b))
	if m == nil {
		t.Fatalf("there is no metric %s", name)
	}
	return strings.TrimSpace(m[1])
}
