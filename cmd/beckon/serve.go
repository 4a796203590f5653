package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/cmd/beckon/listener"
	"github.com/beckon-im/beckon/cmd/beckon/memory"
)

func (f *serverFlags) config(log *slog.Logger) beckon.Config {
	cfg := beckon.Config{Log: log}
	for _, section := range []interface{ apply(*beckon.Config) }{
		&f.listenFlags, &f.storageFlags, &f.authFlags, &f.limitFlags, &f.policyFlags, &f.fileFlags, &f.hookFlags,
		&f.mediaFlags, &f.opsFlags,
	} {
		section.apply(&cfg)
	}
	return cfg
}

func (f *serverFlags) logger() *slog.Logger {
	f.level = new(slog.LevelVar)
	f.setLevel(f)
	opt := &slog.HandlerOptions{Level: f.level}
	if f.LogJSON {
		return slog.New(slog.NewJSONHandler(os.Stderr, opt))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opt))
}

// setLevel sets the level of the logger to that of other flags.
func (f *serverFlags) setLevel(to *serverFlags) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(to.LogLevel)); err == nil && f.level != nil {
		f.level.Set(level)
	}
}

type serveCmd struct{ serverFlags }

// Run serves until a signal.
func (c *serveCmd) Run(ctx context.Context, args arguments) error {
	if err := c.readAgain(args); err != nil {
		return err
	}
	return c.run(ctx, c.config(c.logger()), (*beckon.Server).Handler, func(_ *beckon.Server, url string) {
		fmt.Println("beckon listens on", url)
	})
}

// run runs a server, and calls ready when it accepts calls.
func (f *serverFlags) run(ctx context.Context, cfg beckon.Config, handler func(*beckon.Server) http.Handler,
	ready func(*beckon.Server, string)) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // at once: a signal during the start must not end the process
	defer signal.Stop(hangups)
	listen := net.ListenConfig{KeepAlive: -1} // the server's own listener enables it for accepted connections
	ln, err := listen.Listen(ctx, "tcp", f.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; choose another address with --listen", f.Listen, err)
	}
	config, scheme, err := listener.Secure(f.TLSCert, f.TLSKey)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	admin, err := f.listenAdmin(cfg.Log)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	closed := func(err error) error {
		if admin != nil {
			err = errors.Join(err, admin.Close())
		}
		return errors.Join(err, ln.Close())
	}
	media, err := f.media(ctx, &cfg, ln.Addr())
	if err != nil {
		return closed(err)
	}
	if cfg.Push, err = f.pushFlags.config(); err != nil {
		return closed(errors.Join(err, media.close()))
	}
	mem, err := memory.Parse(f.MemoryLimit)
	if err != nil {
		return closed(errors.Join(err, media.close()))
	}
	cfg.Full, cfg.DecodeMemory, cfg.DatabaseCache = mem.Busy, mem.Sixth(), mem.Sixth()
	srv, err := beckon.New(ctx, cfg)
	if err != nil {
		return closed(errors.Join(err, media.close()))
	}
	web := handler(srv)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { memory.Collect(gctx); return nil })
	g.Go(func() error { mem.Keep(gctx); return nil })
	if media != nil {
		g.Go(func() error { return media.Run(gctx) })
		g.Go(func() error { return listener.Serve(gctx, media.hooks, beckon.PathLiveKitHook, web) })
	}
	if f.Pprof != "" && f.Pprof != atAdmin {
		g.Go(func() error { return profile(gctx, f.Pprof) })
	}
	g.Go(func() error { return srv.Run(gctx) })
	g.Go(func() error { f.reloadOnHangup(gctx, hangups, srv, cfg.Log); return nil })
	listener.Run(gctx, g, srv.Drained(), web, listener.Over(srv.Listener(ln), config, f.TURNDomain, media.connections()))
	if admin != nil {
		listener.Run(gctx, g, srv.Drained(), f.adminHandler(srv), listener.Over(admin, config, "", nil))
	}
	g.Go(func() error {
		select {
		case <-srv.Ready():
			ready(srv, scheme+ln.Addr().String())
		case <-gctx.Done():
		}
		return nil
	})
	return g.Wait()
}

// profiles serves the Go profiler.
func profiles(mux *http.ServeMux) {
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
}

// profile serves the Go profiler on a separate address.
func profile(ctx context.Context, addr string) error {
	mux := http.NewServeMux()
	profiles(mux)
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s for profiles: %w", addr, err)
	}
	return listener.Serve(ctx, ln, "/", mux)
}

// atAdmin is the address of the Go profiler that stands for that of --admin-listen.
const atAdmin = "admin"

var errProfiles = errors.New("--pprof admin serves profiles at the address of --admin-listen, which is missing")

// adminHandler serves app servers and operators, and on request profiles.
func (f *serverFlags) adminHandler(srv *beckon.Server) http.Handler {
	if f.Pprof != atAdmin {
		return srv.AdminHandler()
	}
	mux := http.NewServeMux()
	mux.Handle("/", srv.AdminHandler())
	profiles(mux)
	return mux
}

// listenAdmin listens on the address for app servers and operators; nil = there is none.
func (f *serverFlags) listenAdmin(log *slog.Logger) (net.Listener, error) {
	if f.AdminListen == "" {
		if f.Pprof == atAdmin {
			return nil, errProfiles
		}
		return nil, nil
	}
	ln, err := net.Listen("tcp", f.AdminListen)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w; choose another address with --admin-listen", f.AdminListen, err)
	}
	log.Info("listening for app servers and operators", "address", ln.Addr().String())
	return ln, nil
}

type openAPICmd struct {
	Old bool `help:"As OpenAPI 3.0, for generators without 3.1: without webhooks and rules about fields that exclude each other." name:"v3.0"`
}

// Run prints the OpenAPI description.
func (c *openAPICmd) Run() error {
	text := beckon.OpenAPI()
	if c.Old {
		text = beckon.OpenAPI30()
	}
	_, err := os.Stdout.Write(append(text, '\n'))
	return err
}

type tokenCmd struct {
	User   string        `arg:"" help:"User ID."`
	Device string        `help:"Device ID to bind the token to."`
	TTL    time.Duration `help:"Validity of the token; 0 = no expiry." default:"24h" name:"ttl"`
	Data   string        `help:"Data directory of the server, for its secret." default:"beckon-data"`
	Secret string        `help:"JWT secret of the server. Default: the one in the data directory." name:"jwt-secret" secret:""`
}

// Run prints a token.
func (c *tokenCmd) Run() error {
	token, err := beckon.MintToken(c.Data, c.Secret, c.User, c.Device, c.TTL)
	if err == nil {
		fmt.Println(token)
	}
	return err
}
