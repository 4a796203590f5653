//go:build linux

// Command attacker runs all attacks on a server concurrently, until its standard input is closed. Then it prints its
// results.
//
// It is a program of its own with idle scheduling priority, because real attackers have their own machines:
// measurements beside it should show the server under attack, not the sharing of two cores.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// attack is the configuration, read as one line of JSON. mu guards wrong.
type attack struct {
	Addr   string
	Tokens map[string]string // of the users of authenticated attacks
	Rate   int               // bare connects per second
	Only   string            // filter: part of an attack's name; empty = all
	Wire   bool              // only the attacks on the transport, not those of ordinary accounts
	Names  int               // generated members of the large group

	mu    sync.Mutex
	wrong []string

	accounts accounts
}

// tally is the result of one attack.
type tally struct {
	Done   int64 // the server responded, or tolerated it
	Failed int64 // most often the connection was refused or reset
}

// outcome is the result of all attacks.
type outcome struct {
	Ways     map[string]*tally
	Seconds  float64
	Connects int64    // bare connects
	Wrong    []string // faults of the server
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	if err := yield(); err != nil {
		return err
	}
	var a attack
	in := json.NewDecoder(os.Stdin)
	if err := in.Decode(&a); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	end, err := a.prepare(ctx)
	if err != nil {
		return err
	}
	defer end()
	out := outcome{Ways: map[string]*tally{}}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil { // signals that preparation is complete
		return err
	}
	var begins string
	if err := in.Decode(&begins); err != nil {
		return err
	}
	go func() {
		defer stop()
		_, _ = io.Copy(io.Discard, os.Stdin) // the parent process ends the attack by closing
	}()
	begin := time.Now()
	var attacking sync.WaitGroup
	ways := a.ways()
	for n, name := range slices.Sorted(maps.Keys(ways)) {
		if !a.wants(name) {
			continue
		}
		t, w := &tally{}, ways[name]
		out.Ways[name] = t
		for worker := range max(2, w.workers) {
			attacking.Go(func() { a.again(ctx, name, fmt.Sprintf("127.0.%d.%d", 1+worker%2, 2+n), w.once, t) })
		}
	}
	var connects atomic.Int64
	for n := range knockers {
		attacking.Go(func() { a.knock(ctx, n, &connects) })
	}
	attacking.Wait()
	out.Seconds, out.Connects, out.Wrong = time.Since(begin).Seconds(), connects.Load(), a.wrong
	return json.NewEncoder(os.Stdout).Encode(out)
}

// wants reports whether an attack is part of this run.
func (a *attack) wants(name string) bool {
	ofAccounts := slices.ContainsFunc([]string{nameLarge, namePictures, namePushes, nameStrangers},
		func(account string) bool { return strings.HasPrefix(name, account) })
	return strings.Contains(name, a.Only) && !(a.Wire && ofAccounts)
}

// yield gives the whole process idle scheduling priority. Threads inherit it from their creator, so the program
// re-executes itself.
func yield() error {
	runtime.LockOSThread()
	have, err := unix.SchedGetAttr(0, 0)
	if err != nil || have.Policy == unix.SCHED_IDLE {
		runtime.UnlockOSThread()
		return err
	}
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, os.Environ())
}

// again repeats an attack until ctx ends, from its own address; refusals are the expected result.
func (a *attack) again(
	ctx context.Context, name, from string, once func(context.Context, string) error, t *tally,
) {
	for ctx.Err() == nil {
		switch err := once(ctx, from); {
		case err == nil:
			atomic.AddInt64(&t.Done, 1)
		case errors.Is(err, errLetIn), errors.Is(err, errWrong):
			a.note(name + ": " + err.Error())
		default:
			atomic.AddInt64(&t.Failed, 1)
		}
		<-time.After(time.Millisecond)
	}
}

// note records a fault of the server, each once.
func (a *attack) note(fault string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Contains(a.wrong, fault) && len(a.wrong) < 20 {
		a.wrong = append(a.wrong, fault)
	}
}

// knockers are the addresses of bare connects.
const knockers = 10

// knock connects at its share of the rate, sends a forged token, and closes without reading.
func (a *attack) knock(ctx context.Context, n int, connects *atomic.Int64) {
	at := netip.MustParseAddrPort(a.Addr)
	server := &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}
	from := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 3, byte(1 + n)}}
	request := []byte("GET /connection/websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: " +
		"websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" +
		frame(`{"id":1,"connect":{"token":"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.AAAA"}}`))
	const beat = 20 * time.Millisecond
	each := a.Rate / knockers * int(beat) / int(time.Second)
	beats := time.NewTicker(beat)
	defer beats.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beats.C:
		}
		for range each {
			if once(from, server, request) == nil {
				connects.Add(1)
			}
		}
	}
}

// once connects, sends a request and resets the connection, with as few system calls as possible.
func once(from, server unix.Sockaddr, request []byte) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(s) }()
	// reset on close: leave no TIME_WAIT state
	if err := unix.SetsockoptLinger(s, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return err
	}
	if err := unix.Bind(s, from); err != nil {
		return err
	}
	if err := unix.Connect(s, server); err != nil {
		return err
	}
	_ = unix.Send(s, request, unix.MSG_NOSIGNAL) // it may already be reset
	return nil
}

// frame encodes a WebSocket text frame, masked with zeros.
func frame(text string) string {
	return "\x81" + string([]byte{0x80 | byte(len(text)), 0, 0, 0, 0}) + text
}
