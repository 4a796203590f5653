//go:build linux

// Command relay is the network between users and a server: it carries IP packets between TUN interfaces, with delay,
// loss, a limited rate, blocked protocols and ports, and with address translation that forgets. Kernels may lack netem
// and netfilter; this needs /dev/net/tun only.
//
// Usage: relay USER…. It makes the interface bk-server, and bk-USER for each user, which the caller configures and
// moves into the namespaces of the users. It then reads a command per line from its standard input, as JSON, and
// writes a line for each. It ends with its input.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// command is a line of input. Fields that are absent change nothing.
type command struct {
	User       string      `json:"user"`
	Private    netip.Addr  `json:"private"` // with Public: other addresses
	Public     netip.Addr  `json:"public"`
	Forget     bool        `json:"forget"` // all mappings of the address translation
	Conditions *Conditions `json:"conditions"`
}

// response is a line of output.
type response struct {
	Error string  `json:"error,omitempty"`
	Up    *Counts `json:"up,omitempty"` // from the user to the server
	Down  *Counts `json:"down,omitempty"`
}

// user is a user with both directions of the network.
type user struct {
	nat      nat
	tun      *os.File
	up, down *path
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

func run(names []string) error {
	server, err := openTUN("bk-server")
	if err != nil {
		return err
	}
	users := map[string]*user{}
	for i, name := range names {
		tun, err := openTUN("bk-" + name)
		if err != nil {
			return err
		}
		u := &user{tun: tun, up: newPath(server, uint64(2*i)), down: newPath(tun, uint64(2*i+1))}
		u.nat.clear()
		users[name] = u
		go u.up.run()
		go u.down.run()
		go read(tun, func(p packet) {
			if port := p.dst.Port(); u.nat.outgoing(p) {
				u.up.send(p, port, time.Now())
			}
		})
	}
	go read(server, func(p packet) {
		for _, u := range users {
			if u.nat.has(p.dst.Addr()) && u.nat.incoming(p) {
				u.down.send(p, p.src.Port(), time.Now())
			}
		}
	})
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(response{}); err != nil { // the interfaces exist
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if err := out.Encode(apply(users, lines.Bytes())); err != nil {
			return err
		}
	}
	return lines.Err()
}

// apply executes one command.
func apply(users map[string]*user, line []byte) response {
	var c command
	if err := json.Unmarshal(line, &c); err != nil {
		return response{Error: fmt.Sprintf("%q is not a command: %v", line, err)}
	}
	u, ok := users[c.User]
	if !ok {
		return response{Error: fmt.Sprintf("there is no user %q", c.User)}
	}
	if c.Private.IsValid() != c.Public.IsValid() {
		return response{Error: "private and public change together"}
	}
	if c.Private.IsValid() {
		u.nat.move(c.Private, c.Public)
	}
	if c.Forget {
		u.nat.forget()
	}
	if c.Conditions != nil {
		u.up.set(*c.Conditions)
		u.down.set(*c.Conditions)
	}
	up, down := u.up.count(), u.down.count()
	return response{Up: &up, Down: &down}
}

// read passes the packets of an interface on, until it is closed.
func read(tun *os.File, pass func(packet)) {
	buf := make([]byte, 1<<16)
	for {
		n, err := tun.Read(buf)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // down, or between two namespaces
			continue
		}
		if p, ok := parse(buf[:n]); ok {
			pass(p)
		}
	}
}

// openTUN makes an interface. It is gone when the program ends.
func openTUN(name string) (*os.File, error) {
	const device = "/dev/net/tun"
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", device, err)
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("make the interface %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
