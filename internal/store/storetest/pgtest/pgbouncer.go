package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/beckon-im/beckon/internal/freeport"
)

// Pooler is a running PgBouncer in transaction mode.
type Pooler struct {
	port   int
	server *Server
	cmd    *exec.Cmd
	exited chan error
}

// Pooler starts PgBouncer in front of the server: each transaction may get another of its few connections.
func (s *Server) Pooler(ctx context.Context) (*Pooler, error) {
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer"
	}
	if _, err := os.Stat(program); err != nil {
		return nil, errors.New("PgBouncer is missing, which these tests need: apt-get install pgbouncer")
	}
	p := &Pooler{server: s, exited: make(chan error, 1)}
	if p.port, err = freeport.TCP(); err != nil {
		return nil, err
	}
	users, conf := filepath.Join(s.dir, "pgbouncer.users"), filepath.Join(s.dir, "pgbouncer.ini")
	text := fmt.Sprintf("[databases]\n* = host=127.0.0.1 port=%d user=beckon\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"+
		"listen_port = %d\nunix_socket_dir =\nauth_type = trust\nauth_file = %s\npool_mode = transaction\n"+
		"max_client_conn = 500\ndefault_pool_size = 4\nserver_reset_query_always = 1\n"+
		"server_idle_timeout = 2\n", s.Port, p.port, users)
	if err := errors.Join(os.WriteFile(users, []byte("\"beckon\" \"\"\n"), 0o644),
		os.WriteFile(conf, []byte(text), 0o644)); err != nil {
		return nil, err
	}
	p.cmd = s.command(context.Background(), program, conf)
	if filepath.IsAbs(program) {
		p.cmd.Path = program
	}
	out, err := os.Create(filepath.Join(s.dir, "pgbouncer.log"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.exited <- p.cmd.Wait() }()
	for until := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", p.Addr())
		if err == nil {
			return p, c.Close()
		}
		if time.Now().After(until) || ctx.Err() != nil {
			log, _ := os.ReadFile(out.Name())
			return nil, errors.Join(fmt.Errorf("PgBouncer does not listen: %w\n%s", err, log), p.Close())
		}
	}
}

// Addr is where it listens.
func (p *Pooler) Addr() string { return fmt.Sprintf("127.0.0.1:%d", p.port) }

// Through is the address of a database through PgBouncer.
func (p *Pooler) Through(database string) (string, error) {
	u, err := url.Parse(database)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set("pgbouncer", "true")
	u.Host, u.RawQuery = p.Addr(), q.Encode()
	return u.String(), nil
}

// Close ends it.
func (p *Pooler) Close() error {
	err := p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.exited
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}
