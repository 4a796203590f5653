package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/beckon-im/beckon"
)

// lines is a log writer that sends each entry to a channel.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

// TestHangup: SIGHUP reopens the audit log, and does not end the server.
func TestHangup(t *testing.T) {
	dir := t.TempDir()
	audit := filepath.Join(dir, "audit.log")
	log := make(lines, 100)
	f := serverFlags{listenFlags: listenFlags{Listen: "127.0.0.1:0"}, storageFlags: storageFlags{Data: dir},
		opsFlags: opsFlags{AuditLog: audit}, mediaFlags: mediaFlags{Media: "off"}}
	ctx, stop := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- f.run(ctx, f.config(slog.New(slog.NewTextHandler(log, nil))), (*beckon.Server).Handler,
			func(*beckon.Server, string) { close(ready) })
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	<-ready
	if err := os.Rename(audit, audit+".1"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case line := <-log:
			if !strings.Contains(line, "log files reopened") {
				continue
			}
			if _, err := os.Stat(audit); err != nil {
				t.Error(err)
			}
			return
		case err := <-ended:
			ended <- err
			t.Fatalf("the server ended: %v", err)
		}
	}
}
