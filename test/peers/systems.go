package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/beckon-im/beckon/internal/freeport"
	"github.com/beckon-im/beckon/test/cluster"
)

//go:embed kamailio.cfg
var kamailioConfig string

//go:embed ejabberd.yml
var ejabberdConfig string

// peer is a system under test.
type peer struct {
	name, stores string
	start        func(dir string) (*system, error)
}

// system is a running peer.
type system struct {
	dial func(i int, e ear) (user, error)
	pids func() []int // processes whose CPU time is measured
	stop func()
	prof string // address of the profiler, if any
}

func peers() []peer {
	return []peer{
		{"bare WebSocket relay: the ceiling", "nothing", startRelay},
		{"Beckon, SQLite", "every step, fsync", startBeckon},
		{"Beckon, PostgreSQL", "every step, fsync; CPU with PostgreSQL's", startBeckonPostgres},
		{"Kamailio, UDP, as installed, with BYE", "nothing", kamailio("udp", true, "5000")},
		{"Kamailio, UDP, as installed, no BYE", "nothing", kamailio("udp", false, "5000")},
		{"Kamailio, UDP, tuned (-x fm, 1 s), with BYE", "nothing", kamailio("udp", true, "1000", "-x", "fm", "-X", "fm")},
		{"Kamailio, UDP, tuned (-x fm, 1 s), no BYE", "nothing", kamailio("udp", false, "1000", "-x", "fm", "-X", "fm")},
		{"Kamailio, TCP, as installed, with BYE", "nothing", kamailio("tcp", true, "5000")},
		{"ejabberd, TCP", "nothing", ejabberd(false, "{}")},
		{"ejabberd, WebSocket", "nothing", ejabberd(true, "{}")},
		{"ejabberd, TCP, archive in Mnesia", "messages", ejabberd(false, "{mod_mam: {db_type: mnesia, default: always}}")},
	}
}

// beginning keeps the first output of a program: some repeat messages endlessly.
type beginning struct{ strings.Builder }

func (b *beginning) Write(p []byte) (int, error) {
	if b.Len() < 64<<10 {
		b.Builder.Write(p)
	}
	return len(p), nil
}

// unbound returns a command with the soft open-file limit raised to the hard one; a child otherwise inherits this
// program's initial limit.
func unbound(program string, args ...string) *exec.Cmd {
	return exec.Command("sh", append([]string{"-c", `ulimit -n $(ulimit -Hn) && exec "$0" "$@"`, program}, args...)...)
}

// launch starts a program and waits until it listens on a TCP address; empty = no wait.
func launch(cmd *exec.Cmd, tcp string) (*system, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	var said beginning
	// a daemon that it starts keeps the output open
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = nil, &said, time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	s := &system{pids: func() []int { return family(cmd.Process.Pid) }, stop: func() {
		all := family(cmd.Process.Pid) // some run as another user, in another session
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			for _, pid := range all {
				_ = syscall.Kill(pid, sig)
			}
			time.Sleep(time.Second)
		}
		<-ended
	}}
	for limit := time.Now().Add(40 * time.Second); tcp != ""; time.Sleep(50 * time.Millisecond) {
		if c, err := net.Dial("tcp", tcp); err == nil {
			_ = c.Close()
			break
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("it ended: %w\n%s", err, said.String())
		default:
		}
		if time.Now().After(limit) {
			s.stop()
			return nil, fmt.Errorf("it does not listen on %s\n%s", tcp, said.String())
		}
	}
	return s, nil
}

func startRelay(string) (*system, error) {
	addr, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	s, err := launch(exec.Command(os.Args[0], "-serve-relay", addr), addr)
	if err == nil {
		s.dial = dialRelay(addr)
	}
	return s, err
}

// unlimited returns flags that disable rate limits, as in all systems: throttling is not under test.
func unlimited() []string {
	return []string{"--user-rate", "1e6", "--user-burst", "1000000", "--address-rate", "1e6", "--address-burst", "1000000"}
}

func startBeckon(dir string) (*system, error) {
	addr, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	prof, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	s, err := launch(exec.Command("bin/beckon",
		append([]string{"serve", "--listen", addr, "--data", dir, "--pprof", prof}, unlimited()...)...), addr)
	if err == nil {
		time.Sleep(time.Second) // until it is ready
		s.dial, s.prof = dialBeckon(addr, dir), prof
	}
	return s, err
}

// profile writes a CPU profile of the run that is about to begin. The returned channel is closed at its end.
func (s *system) profile(dir, name string, length time.Duration) <-chan struct{} {
	done := make(chan struct{})
	if dir == "" || s.prof == "" {
		close(done)
		return done
	}
	go func() {
		defer close(done)
		res, err := http.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", s.prof, int(length.Seconds())))
		if err != nil {
			fmt.Fprintln(os.Stderr, "no profile:", err)
			return
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+".pprof"), b, 0o644)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "no profile:", err)
		}
	}()
	return done
}

func startBeckonPostgres(dir string) (*system, error) {
	prof, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	c, err := cluster.Start(context.Background(),
		cluster.Options{Program: "bin/beckon", Dir: dir, Nodes: 1, Plain: true, Args: append(unlimited(), "--pprof", prof),
			Log: io.Discard})
	if err != nil {
		return nil, err
	}
	node := c.Nodes[0]
	return &system{dial: dialBeckon(node.Addr, node.Data), prof: prof, stop: func() { _ = c.Close() },
		pids: func() []int { return append(family(node.PID()), family(c.Primary.PID())...) }}, nil
}

func kamailio(transport string, bye bool, wait string, flags ...string) func(string) (*system, error) {
	return func(dir string) (*system, error) {
		addr, err := freeport.Address()
		if err != nil {
			return nil, err
		}
		file := filepath.Join(dir, "kamailio.cfg")
		if err := os.WriteFile(file, []byte(strings.Replace(kamailioConfig, "WAIT", wait, 1)), 0o644); err != nil {
			return nil, err
		}
		asked := addr
		if transport == "udp" {
			asked = ""
		}
		s, err := launch(unbound("kamailio", append([]string{"-f", file, "-A", "WITH_" + strings.ToUpper(transport), "-DD",
			"-E", "-m", "1024", "-M", "32", "-l", transport + ":" + addr, "-P", filepath.Join(dir, "pid"), "-Y", dir},
			flags...)...), asked)
		if err == nil {
			time.Sleep(2 * time.Second) // UDP has no probe except a REGISTER, which is retried
			s.dial = dialSIP(transport, addr, bye)
		}
		return s, err
	}
}

// ejabberd listens on TCP and for WebSockets; frames = users connect over WebSocket.
func ejabberd(frames bool, modules string) func(string) (*system, error) {
	return func(dir string) (*system, error) {
		tcp, err := freeport.Address()
		web, also := freeport.Address()
		if err := errors.Join(err, also); err != nil {
			return nil, err
		}
		_, port, _ := net.SplitHostPort(tcp)
		_, webPort, _ := net.SplitHostPort(web)
		config := strings.NewReplacer("TCP_PORT", port, "WEBSOCKET_PORT", webPort, "MODULES", modules).Replace(ejabberdConfig)
		cmd, err := ejabberdCommand(dir, "peer"+port+"@localhost", config)
		if err != nil {
			return nil, err
		}
		addr, dial := tcp, dialStream
		if frames {
			addr, dial = web, dialFrames
		}
		s, err := launch(cmd, addr)
		if err == nil {
			s.dial = dialXMPP(addr, dial)
		}
		return s, err
	}
}

func ejabberdCommand(dir, node, config string) (*exec.Cmd, error) {
	file, logs, spool := filepath.Join(dir, "ejabberd.yml"), filepath.Join(dir, "log"), filepath.Join(dir, "spool")
	if err := errors.Join(os.WriteFile(file, []byte(config), 0o644), os.Chmod(dir, 0o777)); err != nil {
		return nil, err
	}
	for _, sub := range []string{spool, logs} {
		if err := errors.Join(os.Mkdir(sub, 0o777), os.Chmod(sub, 0o777)); err != nil {
			return nil, err
		}
	}
	cmd := unbound("ejabberdctl", "--node", node, "--config", file, "--config-dir", dir, "--logs", logs, "--spool", spool,
		"foreground")
	cmd.Env = append(os.Environ(), "HOME="+spool)
	if os.Getuid() == 0 { // otherwise it switches the user with su, which cannot access the files
		who, err := osuser.Lookup("ejabberd")
		if err != nil {
			return nil, err
		}
		uid, _ := strconv.Atoi(who.Uid)
		gid, _ := strconv.Atoi(who.Gid)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	return cmd, nil
}

// family returns a process and its descendants.
func family(pid int) []int {
	list := []int{pid}
	for i := 0; i < len(list); i++ {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", list[i]))
		for _, t := range tasks {
			b, _ := os.ReadFile(t)
			for _, f := range strings.Fields(string(b)) {
				child, _ := strconv.Atoi(f)
				list = append(list, child)
			}
		}
	}
	return list
}

// spent returns the user and system time of processes.
func spent(pids []int) time.Duration {
	var sum time.Duration
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		p := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		user, _ := strconv.ParseInt(p[11], 10, 64)
		sys, _ := strconv.ParseInt(p[12], 10, 64)
		sum += time.Duration(user+sys) * time.Second / 100
	}
	return sum
}

// resident returns the memory of processes in bytes; shared memory is counted once.
func resident(pids []int) int64 {
	var sum int64
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
				kb, _ := strconv.ParseInt(f[1], 10, 64)
				sum += kb << 10
			}
		}
	}
	return sum
}
