package scenario

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/protocol"
)

// TestAuditLog: what app servers change is kept with its outcome; what they read, and what people do themselves, is
// not.
func TestAuditLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	s := &scene{Cluster: beckontest.StartWith(t, beckon.Config{AuditLog: file}), t: t}
	s.act("ann", "createGroup", protocol.CreateGroupRequest{GroupID: "g", Type: "Work"}, nil)
	s.act("ann", "getJoinedGroupList", map[string]any{}, nil)
	if e := s.try("", "Bearer "+s.Server.APIKey(), "dismissGroup", map[string]string{"groupID": "none"}, nil); e == nil {
		t.Error("a group that is not there was dismissed")
	}
	if e := s.try("ann", "Bearer "+s.Token("ann"), "setSelfInfo", map[string]string{"nick": "a"}, nil); e != nil {
		t.Error(e)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		var l struct {
			Msg, User, Request, Call string
			Code                     int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(l.Request, "groupID") || l.Call == "" {
			t.Errorf("%+v", l)
		}
		got = append(got, l.Msg+" "+l.User)
	}
	if want := "createGroup ann,dismissGroup "; strings.Join(got, ",") != want {
		t.Errorf("kept are %q", got)
	}
	old := file + ".1"
	if err := os.Rename(file, old); err != nil {
		t.Fatal(err)
	}
	if err := s.Server.ReopenLogs(); err != nil {
		t.Fatal(err)
	}
	s.act("ann", "setGroupInfo", map[string]string{"groupID": "g", "name": "n"}, nil)
	rotated, err := os.ReadFile(old)
	if err != nil || len(rotated) != len(b) {
		t.Errorf("the renamed file was written to after it was reopened, %v", err)
	}
	if b, err := os.ReadFile(file); err != nil || strings.Count(string(b), "\n") != 1 ||
		!strings.Contains(string(b), "setGroupInfo") {
		t.Errorf("the reopened file has %q, %v", b, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}
