package scenario

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/beckon-im/beckon"
)

// TestFallBackAcrossNodes: where no WebSocket gets through, the events of a device come over a stream and its calls go
// in requests of their own, which may reach another node than the one that has the stream.
func TestFallBackAcrossNodes(t *testing.T) {
	h := newHouse(t, beckon.Config{})
	first, last := h.Nodes[0].URL, h.Nodes[len(h.Nodes)-1].URL
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := web.Post(first+"/connection/http_stream", "application/json",
		strings.NewReader(fmt.Sprintf(`{"id":1,"connect":{"token":%q,"data":{"deviceID":"d"}}}`, h.Token("alice"))))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var connected struct {
		Connect struct{ Session, Node string }
	}
	lines := bufio.NewScanner(res.Body)
	for connected.Connect.Session == "" && lines.Scan() {
		if err := json.Unmarshal(lines.Bytes(), &connected); err != nil {
			t.Fatal(err)
		}
	}
	call, err := json.Marshal(map[string]string{
		"session": connected.Connect.Session, "node": connected.Connect.Node,
		"data": `{"id":2,"rpc":{"method":"invite","data":{"invitee":"bob","inviteID":"over-a-stream","timeout":30}}}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := web.Post(last+"/emulation", "application/json", strings.NewReader(string(call)))
	if err != nil || answer.StatusCode != http.StatusNoContent {
		t.Fatalf("%v, %v", answer, err)
	}
	_ = answer.Body.Close()
	for _, c := range []struct {
		session, node string
		status        int
	}{
		{"unknown", connected.Connect.Node, http.StatusNotFound},
		{connected.Connect.Session, "gone", http.StatusServiceUnavailable},
	} {
		if len(h.Nodes) == 1 && c.node == "gone" {
			continue // a node alone has every session
		}
		body := fmt.Sprintf(`{"session":%q,"node":%q,"data":"{}"}`, c.session, c.node)
		res, err := web.Post(last+"/emulation", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if _ = res.Body.Close(); res.StatusCode != c.status {
			t.Errorf("session %s of node %s: status %d, want %d", c.session, c.node, res.StatusCode, c.status)
		}
	}
	for lines.Scan() {
		if strings.Contains(lines.Text(), "over-a-stream") {
			return
		}
	}
	t.Error("the stream ended without the answer")
}
