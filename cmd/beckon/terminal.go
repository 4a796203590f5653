package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// Styles, used on a terminal only.
const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	bell   = "\a"
	plain  = "\x1b[0m"
)

// terminal is the input and output of the phone: a terminal with line editing, or plain lines for scripts.
type terminal interface {
	print(style, text string)
	lines() <-chan string
	// keys sets a handler of keys pressed on an empty line; it returns true to consume a key.
	keys(func(rune) bool)
	close()
}

func newTerminal(in *os.File, out *os.File, user string) (terminal, error) {
	if !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return &pipe{in: in, out: out}, nil
	}
	old, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, err
	}
	t := &tty{in: in, old: old, Terminal: term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, out}, user+"> ")}
	return t, nil
}

// pipe reads and writes lines, without colours.
type pipe struct {
	in  io.Reader
	out io.Writer
	mu  sync.Mutex
}

func (p *pipe) print(_, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.out, text)
}

func (p *pipe) keys(func(rune) bool) {}
func (p *pipe) close()               {}

func (p *pipe) lines() <-chan string {
	c := make(chan string)
	go func() { // ends with the input, or with the program
		defer close(c)
		for s := bufio.NewScanner(p.in); s.Scan(); {
			c <- s.Text()
		}
	}()
	return c
}

// tty edits an input line and prints events above it.
type tty struct {
	*term.Terminal
	in  *os.File
	old *term.State
}

func (t *tty) print(style, text string) {
	fmt.Fprintf(t.Terminal, "%s%s%s\n", style, text, plain)
}

func (t *tty) keys(f func(rune) bool) {
	t.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if line == "" && f(key) {
			return "", 0, true
		}
		return "", 0, false
	}
}

func (t *tty) lines() <-chan string {
	c := make(chan string)
	go func() { // ends with the input, or with the program
		defer close(c)
		for {
			line, err := t.ReadLine()
			if err != nil {
				return
			}
			c <- line
		}
	}()
	return c
}

func (t *tty) close() { _ = term.Restore(int(t.in.Fd()), t.old) }
