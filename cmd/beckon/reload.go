package main

import (
	"context"
	"log/slog"
	"os"
	"slices"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/cmd/beckon/settings"
)

// arguments is the command line without the program's name.
type arguments []string

// reloadable are the flags that SIGHUP applies. Certificates are reloaded without a signal.
var reloadable = []string{"log-level", "jwt-secret", "jwt-secondary-secrets", "jwt-issuer", "jwt-audience",
	"usersig-app-id", "usersig-key", "usersig-secondary-keys", "api-key", "webhook-secret", "webhook-secondary-secrets"}

// readAgain prepares the reading of the settings on SIGHUP: from the same command line, environment and files.
func (f *serverFlags) readAgain(args []string) error {
	read := func() (*cli, map[string]string, error) {
		c := &cli{}
		k, err := newParser(c)
		if err != nil {
			return nil, nil, err
		}
		parsed, err := k.Parse(args)
		if err != nil {
			return nil, nil, err
		}
		return c, settings.Values(parsed), nil
	}
	_, running, err := read()
	if err != nil {
		return err
	}
	f.reread = func(apply func(next *serverFlags) error) (changed []string, err error) {
		c, values, err := read()
		if err == nil {
			err = apply(&c.Serve.serverFlags)
		}
		if err != nil {
			return nil, err
		}
		changed = settings.Changed(running, values)
		for _, name := range changed {
			if slices.Contains(reloadable, name) {
				running[name] = values[name]
			}
		}
		return changed, nil
	}
	return nil
}

// reloadOnHangup reopens log files and reads the settings again on each SIGHUP, until ctx ends.
func (f *serverFlags) reloadOnHangup(ctx context.Context, hangups <-chan os.Signal, srv *beckon.Server,
	log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		if err := srv.ReopenLogs(); err != nil {
			log.Error("reopening log files failed", "error", err)
		} else {
			log.Info("log files reopened")
		}
		if f.reread != nil {
			f.reload(ctx, srv, log)
		}
	}
}

// reload applies the settings that can change, and names those that need a restart.
func (f *serverFlags) reload(ctx context.Context, srv *beckon.Server, log *slog.Logger) {
	changed, err := f.reread(func(next *serverFlags) error {
		if err := srv.Reload(ctx, next.config(log)); err != nil {
			return err
		}
		f.setLevel(next)
		return nil
	})
	if err != nil {
		log.Error("the settings were not reloaded, the old ones stay", "error", err)
		return
	}
	var restart []string
	for _, name := range changed {
		if !slices.Contains(reloadable, name) {
			restart = append(restart, name)
		}
	}
	if len(changed) == 0 {
		log.Info("no setting changed; variables of a process cannot")
	} else {
		log.Info("settings reloaded", "changed", changed)
	}
	if len(restart) > 0 {
		log.Warn("changed settings need a restart", "settings", restart)
	}
}
