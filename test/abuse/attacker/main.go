//go:build linux

// Command attacker attacks a server in every way at once, until its standard input ends. Then it says what it has done.
//
// It is a program of its own, which runs only where nobody else wants to, because attackers have machines of their own:
// what is measured beside it is the server under attack and not how two cores are shared.
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

// attack is what the attacker is told, as one line of JSON.
type attack struct {
	Addr   string
	Tokens map[string]string // of the users that attack from within
	Rate   int               // bare connects per second
	Only   string            // part of the name of the ways to go; empty = all
	Names  int               // invented members of the large group

	mu    sync.Mutex
	wrong []string

	accounts accounts
}

// tally is what came of one way.
type tally struct {
	Done   int64 // the server answered, or bore it
	Failed int64 // most often the server did not even listen
}

// outcome is what the attacker says at its end.
type outcome struct {
	Ways     map[string]*tally
	Seconds  float64
	Connects int64    // bare ones
	Wrong    []string // what the server should not have done
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
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil { // it is prepared
		return err
	}
	var begins string
	if err := in.Decode(&begins); err != nil {
		return err
	}
	go func() {
		defer stop()
		_, _ = io.Copy(io.Discard, os.Stdin) // the program that started this ends it by closing
	}()
	begin := time.Now()
	var attacking sync.WaitGroup
	ways := a.ways()
	for n, name := range slices.Sorted(maps.Keys(ways)) {
		t, w := &tally{}, ways[name]
		out.Ways[name] = t
		if !strings.Contains(name, a.Only) {
			continue
		}
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

// yield makes the whole program one that the scheduler runs when nothing else is to be run. Threads have that from the
// one that made them, so the program begins anew.
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

// again attacks until ctx ends, from an address of its own; refusals are what it wants.
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

// note keeps what the server should not have done, each once.
func (a *attack) note(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Contains(a.wrong, what) && len(a.wrong) < 20 {
		a.wrong = append(a.wrong, what)
	}
}

// knockers are the addresses that connect as fast as they can be told to.
const knockers = 10

// knock connects at its share of the rate, says what a forger says, and is gone before it is answered.
func (a *attack) knock(ctx context.Context, n int, connects *atomic.Int64) {
	at := netip.MustParseAddrPort(a.Addr)
	server := &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}
	from := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 3, byte(1 + n)}}
	says := []byte("GET /connection/websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: " +
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
			if once(from, server, says) == nil {
				connects.Add(1)
			}
		}
	}
}

// once connects, says something and hangs up, with no more system calls than that takes.
func once(from, server unix.Sockaddr, says []byte) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(s) }()
	// no state stays behind
	if err := unix.SetsockoptLinger(s, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return err
	}
	if err := unix.Bind(s, from); err != nil {
		return err
	}
	if err := unix.Connect(s, server); err != nil {
		return err
	}
	_ = unix.Send(s, says, unix.MSG_NOSIGNAL) // it may be reset already
	return nil
}

// frame is a text frame of a WebSocket, masked with zeros.
func frame(text string) string {
	return "\x81" + string([]byte{0x80 | byte(len(text)), 0, 0, 0, 0}) + text
}
