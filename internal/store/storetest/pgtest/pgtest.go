// Package pgtest runs real PostgreSQL servers for tests: fresh ones on 127.0.0.1, alone or with a synchronous standby.
//
// It owns processes and files under the system's temporary directory, and knows no schema.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/beckon-im/beckon/internal/freeport"
)

// Server is a running PostgreSQL.
type Server struct {
	Port   int
	dir    string
	bin    string
	owner  *syscall.Credential // the user that runs it; nil = the current user
	clock  *clock              // its clock; nil = that of the machine
	cmd    *exec.Cmd
	exited chan error
}

// patience limits the start of a server.
const patience = 30 * time.Second

// Start makes a new server. sync makes each commit wait for the disk, as in production; without it tests are faster.
func Start(ctx context.Context, sync bool) (*Server, error) { return start(ctx, sync, nil) }

func start(ctx context.Context, sync bool, c *clock) (*Server, error) {
	s, err := prepare("beckon-pg-")
	if err != nil {
		return nil, err
	}
	if s.clock = c; c != nil {
		if err := c.place(s.dir); err != nil {
			return nil, errors.Join(err, os.RemoveAll(s.dir))
		}
	}
	if err := s.run(ctx, "initdb", "-D", s.data(), "-U", "beckon", "-A", "trust", "-E", "UTF8", "--locale=C",
		"--no-sync"); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	conf := fmt.Sprintf("listen_addresses = '127.0.0.1'\nport = %d\nunix_socket_directories = ''\nmax_connections = "+
		"200\nshared_buffers = 256MB\nmax_wal_size = 2GB\n", s.Port)
	if !sync {
		conf += "fsync = off\nfull_page_writes = off\n"
	}
	if err := s.append("postgresql.conf", conf); err != nil {
		return nil, err
	}
	if err := s.append("pg_hba.conf", "host replication beckon 127.0.0.1/32 trust\n"); err != nil {
		return nil, err
	}
	if err := s.Launch(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// prepare finds the programs, and makes a directory and a port.
func prepare(name string) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin}
	if s.Port, err = freeport.TCP(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", name); err != nil {
		return nil, err
	}
	if os.Getuid() != 0 {
		return s, nil
	}
	account, err := user.Lookup("postgres") // it refuses to run as root
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no user postgres: %w", err)
	}
	uid, err1 := strconv.Atoi(account.Uid)
	gid, err2 := strconv.Atoi(account.Gid)
	s.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return s, errors.Join(err1, err2, os.Chown(s.dir, uid, gid))
}

// programs finds where PostgreSQL's programs are: all of them in one directory.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_isready")
	if err == nil && len(found) > 0 {
		slices.Sort(found)
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("pg_ctl")
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "", errors.New(
			"PostgreSQL is missing, which these tests need: apt-get install postgresql, or put its programs into PATH")
	}
	return filepath.Dir(path), nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// PID is the server's first process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Addr is where the server listens.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.Port) }

// URL is the address of a database.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://beckon@%s/%s?sslmode=disable", s.Addr(), database)
}

// Database makes an empty database and returns its address.
func (s *Server) Database(ctx context.Context, name string) (string, error) {
	return s.URL(name), s.SQL(ctx, "postgres", "CREATE DATABASE "+name)
}

// SQL runs statements.
func (s *Server) SQL(ctx context.Context, database, text string) error {
	return s.run(ctx, "psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", s.URL(database), "-c", text)
}

func (s *Server) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, program), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Setpgid: true}
	return cmd
}

func (s *Server) run(ctx context.Context, program string, args ...string) error {
	if out, err := s.command(ctx, program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}

func (s *Server) append(file, text string) error {
	f, err := os.OpenFile(filepath.Join(s.data(), file), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// Launch starts the server and waits until it takes connections.
func (s *Server) Launch(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = s.command(context.Background(), "postgres", "-D", s.data())
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if s.clock != nil {
		s.cmd.Env = append(os.Environ(), s.clock.env()...)
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	exited := make(chan error, 1)
	s.exited = exited
	go func() { exited <- s.cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if s.run(ctx, "pg_isready", "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-U", "beckon") == nil {
			return nil
		}
		select {
		case err := <-exited:
			exited <- err
			return fmt.Errorf("PostgreSQL did not start: %w\n%s", err, s.Log())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL did not get ready: %w\n%s", ctx.Err(), s.Log())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Log returns the end of the server's log.
func (s *Server) Log() string {
	b, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return strings.TrimSpace(string(b[max(0, len(b)-4000):]))
}

// Stop ends the server: SIGINT aborts transactions, SIGQUIT crashes it, SIGKILL kills it without a word to clients.
func (s *Server) Stop(sig syscall.Signal) error {
	if s.exited == nil {
		return nil
	}
	group := sig == syscall.SIGKILL // then its children would live on
	pid := s.cmd.Process.Pid
	if group {
		pid = -pid
	}
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	<-s.exited
	s.exited = nil
	if s.clock != nil {
		s.clock.clean(s.cmd.Process.Pid)
	}
	return nil
}

// Set sets a parameter that needs no restart.
func (s *Server) Set(ctx context.Context, name, value string) error {
	if err := s.SQL(ctx, "postgres", fmt.Sprintf("ALTER SYSTEM SET %s = '%s'", name, value)); err != nil {
		return err
	}
	return s.SQL(ctx, "postgres", "SELECT pg_reload_conf()")
}

// Standby starts a synchronous standby: each commit of the server then waits for the standby's disk. If the server has
// a clock of its own, so has the standby.
func (s *Server) Standby(ctx context.Context) (*Server, error) {
	t, err := prepare("beckon-pg-standby-")
	if err != nil {
		return nil, err
	}
	if s.clock != nil {
		t.clock = &clock{library: s.clock.library}
		if err := t.clock.place(t.dir); err != nil {
			return nil, errors.Join(err, os.RemoveAll(t.dir))
		}
	}
	if err := t.run(ctx, "pg_basebackup", "-D", t.data(), "-d", s.URL("postgres"), "-R", "-X", "stream", "-c", "fast",
		"--no-sync"); err != nil {
		return nil, errors.Join(err, os.RemoveAll(t.dir))
	}
	if err := t.append("postgresql.conf", fmt.Sprintf("port = %d\nsynchronous_standby_names = ''\n", t.Port)); err != nil {
		return nil, err
	}
	if err := t.append("postgresql.auto.conf",
		fmt.Sprintf("primary_conninfo = 'host=127.0.0.1 port=%d user=beckon application_name=standby sslmode=disable'\n",
			s.Port)); err != nil {
		return nil, err
	}
	if err := t.Launch(ctx); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, s.Set(ctx, "synchronous_standby_names", "standby")
}

// Promote makes a standby the primary.
func (s *Server) Promote(ctx context.Context) error {
	return s.run(ctx, "pg_ctl", "promote", "-w", "-D", s.data())
}

// Close ends the server and removes its files.
func (s *Server) Close() error {
	err := s.Stop(syscall.SIGQUIT)
	return errors.Join(err, os.RemoveAll(s.dir))
}
