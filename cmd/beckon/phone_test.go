package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is the timeout for an expected output.
const patience = 20 * time.Second

// town is the real program, as a server and as phones, over pipes.
type town struct {
	t                  *testing.T
	program, data, url string
	phones             map[string]*handset
}

func newTown(t *testing.T) *town {
	t.Helper()
	dir := t.TempDir()
	w := &town{t: t, program: filepath.Join(dir, "beckon"), data: filepath.Join(dir, "data"),
		phones: map[string]*handset{}}
	if out, err := exec.Command("go", "build", "-o", w.program, ".").CombinedOutput(); err != nil {
		t.Fatalf("the program does not build: %v\n%s", err, out)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	w.url = "http://" + addr
	ready := w.start("server", "dev", "--listen", addr, "--data", w.data)
	ready.wait("beckon is ready at " + w.url)
	ready.wait("token alice")
	return w
}

// handset is a running program with its recorded output.
type handset struct {
	t     *testing.T
	name  string
	in    io.WriteCloser
	mu    sync.Mutex
	lines []string
	moved chan struct{}
	ended chan struct{} // closed at the end of the program
}

func (w *town) start(name string, args ...string) *handset {
	w.t.Helper()
	cmd := exec.Command(w.program, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	h := &handset{t: w.t, name: name, in: in, moved: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(h.ended)
		for s := bufio.NewScanner(out); s.Scan(); {
			h.mu.Lock()
			h.lines = append(h.lines, s.Text())
			close(h.moved)
			h.moved = make(chan struct{})
			h.mu.Unlock()
		}
	}()
	w.t.Cleanup(func() {
		_ = in.Close() // the phone ends with its input
		if args[0] == "dev" {
			_ = cmd.Process.Signal(os.Interrupt)
		}
		<-h.ended
		if err := cmd.Wait(); err != nil {
			w.t.Errorf("%s ended with %v", name, err)
		}
	})
	return h
}

func (w *town) phone(user string, args ...string) *handset {
	w.t.Helper()
	h := w.start(user, append([]string{"phone", user, "--server", w.url, "--data", w.data, "--device", user + "-phone",
		"--state", filepath.Join(w.data, "phones")}, args...)...)
	h.wait("You are " + user)
	w.phones[user] = h
	return h
}

func (h *handset) print(line string) {
	h.t.Helper()
	if _, err := fmt.Fprintln(h.in, line); err != nil {
		h.t.Fatal(err)
	}
}

// wait waits for a line with a text, and drops the lines before it.
func (h *handset) wait(text string) string {
	h.t.Helper()
	return h.find(true, text)
}

// waitOne waits for a line with any of the texts, and keeps all lines.
func (h *handset) waitOne(texts ...string) string {
	h.t.Helper()
	return h.find(false, texts...)
}

func (h *handset) find(forget bool, texts ...string) string {
	h.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		h.mu.Lock()
		moved := h.moved
		i := slices.IndexFunc(h.lines, func(l string) bool {
			return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(l, text) })
		})
		if i >= 0 {
			line := h.lines[i]
			if forget {
				h.lines = h.lines[i+1:]
			}
			h.mu.Unlock()
			return line
		}
		seen := strings.Join(h.lines, "\n  ")
		h.mu.Unlock()
		select {
		case <-moved:
		case <-limit.C:
			h.t.Fatalf("%s never showed any of %q; it showed:\n  %s", h.name, texts, seen)
		}
	}
}

func TestPhones(t *testing.T) {
	w := newTown(t)
	alice, bob := w.phone("alice"), w.phone("bob")

	alice.print("call bob dinner?")
	bob.wait(`alice calls: "dinner?"`)
	alice.wait("it rings at bob")
	bob.print("a")
	bob.wait("you said: yes")
	alice.wait("bob accepted")

	alice.print("call bob")
	bob.wait("alice calls")
	bob.print("r")
	alice.wait("bob declined")

	alice.print("call bob")
	bob.wait("alice calls")
	bob.print("b")
	alice.wait("bob declined (busy)")

	alice.print("call bob")
	bob.wait("alice calls")
	alice.print("cancel")
	bob.wait("the call from alice was cancelled")

	alice.print("call bob 1")
	bob.wait("alice calls")
	alice.wait("no answer from bob")
	bob.wait("you missed a call from alice")

	bob.print("a")
	bob.wait("nothing rings")
	alice.print("nonsense")
	alice.wait(`there is no "nonsense" here`)
	alice.print("list")
	alice.wait("nothing is open")
}

// TestPhoneOpensAgain: a restarted phone reports answers received while it was closed.
func TestPhoneOpensAgain(t *testing.T) {
	w := newTown(t)
	alice, bob := w.phone("alice"), w.phone("bob")
	alice.print("call bob 60 dinner?")
	bob.wait(`alice calls: "dinner?"`)
	alice.wait("it rings at bob")
	alice.print("q")
	select {
	case <-alice.ended:
	case <-time.After(patience):
		t.Fatal("the phone does not end")
	}
	bob.print("b")
	bob.wait("you said: busy")
	w.phone("alice").wait("bob declined (busy)")
}

func TestPhonesInAGroup(t *testing.T) {
	w := newTown(t)
	teacher := w.phone("teacher")
	var pupils []string
	for i := range 5 {
		pupils = append(pupils, fmt.Sprintf("pupil%d", i))
		w.phone(pupils[i])
	}
	teacher.print("group new class " + strings.Join(pupils, ","))
	teacher.wait("done")
	for _, p := range pupils {
		w.phones[p].wait("you are now in the group class")
	}
	teacher.print("group call class 3 raise your hands")
	for _, p := range pupils {
		w.phones[p].wait(`teacher calls in class: "raise your hands"`)
	}
	w.phones["pupil0"].print("a")
	w.phones["pupil1"].print("r")
	w.phones["pupil2"].print("b")
	teacher.wait("accepted")
	w.phones["pupil3"].waitOne("pupil2 declined (busy)")
	teacher.print("cancel pupil3")
	w.phones["pupil3"].wait("the call from teacher was cancelled")
	teacher.wait("no answer from pupil4")
	w.phones["pupil4"].wait("you missed a call from teacher")

	teacher.print("first pupil0,pupil1,pupil2")
	for _, p := range pupils[:3] {
		w.phones[p].wait("teacher calls")
	}
	for _, p := range pupils[:3] {
		w.phones[p].print("a")
	}
	teacher.wait("accepted")
	won := 0
	for _, p := range pupils[:3] {
		if l := w.phones[p].waitOne("you said: yes", "others answered first"); strings.Contains(l, "yes") {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d of three phones won", won)
	}
}

func TestTools(t *testing.T) {
	w := newTown(t)
	out, err := exec.Command(w.program, "doctor", "--data", w.data, "--server", w.url).CombinedOutput()
	if err != nil || strings.Count(string(out), "✓") != 5 {
		t.Errorf("doctor: %v\n%s", err, out)
	}
	if out, err := exec.Command(w.program, "doctor", "--data", t.TempDir()).CombinedOutput(); err == nil {
		t.Errorf("doctor finds nothing wrong with an empty directory:\n%s", out)
	}
	out, err = exec.Command(w.program, "bench", "--server", w.url, "--data", w.data, "--users", "20", "--flight", "4",
		"--duration", "1s", "--warmup", "100ms").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "0 failed") || !strings.Contains(string(out), "server CPU per flow") {
		t.Errorf("bench: %v\n%s", err, out)
	}
	out, err = exec.Command(w.program, "bench", "--server", w.url, "--data", w.data, "--users", "20", "--group", "10",
		"--flight", "2", "--duration", "1s", "--warmup", "100ms").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "0 failed") {
		t.Errorf("bench of groups: %v\n%s", err, out)
	}
	token, err := exec.Command(w.program, "token", "alice", "--data", w.data).Output()
	if err != nil || strings.Count(string(token), ".") != 2 {
		t.Errorf("token: %v %s", err, token)
	}
	for _, path := range []string{"/docs", "/openapi.json", "/metrics", "/healthz", "/readyz"} {
		res, err := http.Get(w.url + path)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%s: %v %v", path, res, err)
			continue
		}
		_ = res.Body.Close()
	}
}
