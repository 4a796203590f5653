package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
)

// TestDoctorOfMedia checks servers whose external LiveKit creates rooms by itself, refuses tokens, or is unreachable.
func TestDoctorOfMedia(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after int // statuses of LiveKit before and after the end of the room
		api           int
		fault         string
	}{
		{"rooms are created by the server", http.StatusOK, http.StatusNotFound, http.StatusOK, ""},
		{"rooms are created by LiveKit", http.StatusOK, http.StatusOK, http.StatusOK, "room.auto_create: false"},
		{"LiveKit has another key", http.StatusUnauthorized, http.StatusUnauthorized, http.StatusOK, "refuses a token"},
		{"LiveKit is down", http.StatusOK, http.StatusOK, http.StatusServiceUnavailable, "cannot be reached"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var ended atomic.Bool
			livekit := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/rtc/") {
					status := c.before
					if ended.Load() {
						status = c.after
					}
					w.WriteHeader(status)
					return
				}
				room, err := io.ReadAll(r.Body)
				if err == nil && strings.HasSuffix(r.URL.Path, "/DeleteRoom") && strings.Contains(string(room), "doctor-") {
					ended.Store(true)
				}
				w.Header().Set("Content-Type", "application/protobuf") // an empty body is an empty message
				w.WriteHeader(c.api)
			}))
			defer livekit.Close()
			server := beckontest.StartWith(t, beckon.Config{LiveKitURL: livekit.URL, LiveKitKey: "key",
				LiveKitSecret: strings.Repeat("s", 32)})
			doctor := doctorCmd{Server: server.URL, Data: server.DataDir}
			found, err := doctor.room(t.Context())
			if c.fault == "" && (err != nil || !strings.Contains(found, livekit.URL)) {
				t.Errorf("the check found %q, %v", found, err)
			}
			if c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("the check found %q, %v; want %q", found, err, c.fault)
			}
		})
	}
}
