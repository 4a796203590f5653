package scenario

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// ofSQLite reports whether a metric describes SQLite's files, which servers on PostgreSQL do not have.
func ofSQLite(name string) bool {
	return slices.Contains([]string{"beckon_database_damaged_pages", "beckon_commits_set_aside",
		"beckon_journal_lag_seconds"}, name)
}

// ofCluster reports whether only a node of a cluster has a metric.
func ofCluster(name string) bool {
	return strings.HasPrefix(name, "beckon_bus_") || name == "beckon_nodes"
}

// TestMonitoring: the metrics of the dashboard and the alerts exist.
func TestMonitoring(t *testing.T) {
	s := &scene{Cluster: newHouse(t, beckon.Config{}), t: t}
	c := s.Device("ann", "d", client.Listener{})
	c.Close()
	s.act("ann", "invite", protocol.InviteRequest{Invitee: "bob", InviteOptions: protocol.InviteOptions{Timeout: 60}}, nil)
	there := func() string {
		var all string
		for _, n := range s.Nodes {
			res, err := http.Get(n.URL + "/metrics")
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(res.Body)
			if _ = res.Body.Close(); err != nil {
				t.Fatal(err)
			}
			all += string(b)
		}
		return all
	}()
	for _, file := range []string{"../../deploy/monitoring/alerts.yml", "../../deploy/monitoring/grafana.json"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if file == "../../deploy/monitoring/grafana.json" && !json.Valid(b) {
			t.Error(file, "is not JSON")
		}
		names := regexp.MustCompile(`\b(beckon|process)_[a-z_]+\b`).FindAllString(string(b), -1)
		if len(names) < 6 {
			t.Errorf("%s asks for %v", file, names)
		}
		for _, name := range names {
			want := *nodes == 1 && !ofCluster(name) || *nodes > 1 && !ofSQLite(name)
			if found := regexp.MustCompile(`(?m)^` + name + `\b`).MatchString(there); found != want {
				t.Errorf("%s uses %s: it exists %v, want %v", file, name, found, want)
			}
		}
	}
}
