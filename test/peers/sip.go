package main

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// sipUser is a SIP user agent over UDP: an invitation is an INVITE, its acceptance the 200, which it acknowledges; with bye it
// hangs up too. The proxy keeps a transaction for each, and nothing afterwards.
type sipUser struct {
	conn  *net.UDPConn
	proxy string
	me    int
	local string
	ear   ear
	bye   bool
	calls map[string]string // invitations that this user got, by id: what the 200 repeats
}

func dialSIP(proxy string, bye bool) func(int, ear) (user, error) {
	return func(i int, e ear) (user, error) {
		to, err := net.ResolveUDPAddr("udp", proxy)
		if err != nil {
			return nil, err
		}
		conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, to)
		if err != nil {
			return nil, err
		}
		_ = conn.SetReadBuffer(1 << 20)
		u := &sipUser{conn: conn, proxy: proxy, me: i, local: conn.LocalAddr().String(), ear: e, bye: bye, calls: map[string]string{}}
		reply := make([]byte, 4096)
		for range 5 {
			if _, err := conn.Write([]byte(u.request("REGISTER", "sip:"+proxy, i, "reg"+strconv.Itoa(i), 1, "Expires: 3600\r\n", ""))); err != nil {
				return nil, err
			}
			_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
			if n, err := conn.Read(reply); err == nil && bytes.HasPrefix(reply[:n], []byte("SIP/2.0 200")) {
				_ = conn.SetReadDeadline(time.Time{})
				go u.listen()
				return u, nil
			}
		}
		return nil, fmt.Errorf("the proxy does not take a REGISTER: %s", reply)
	}
}

// request writes a request of this user's.
func (u *sipUser) request(method, uri string, to int, id string, seq int, more, body string) string {
	tag := ""
	if method == "ACK" || method == "BYE" {
		tag = ";tag=t" + strconv.Itoa(to)
	}
	return method + " " + uri + " SIP/2.0\r\nVia: SIP/2.0/UDP " + u.local + ";branch=z9hG4bK" + id + method + "\r\nMax-Forwards: 70\r\n" +
		"From: <sip:" + name(u.me) + "@" + u.proxy + ">;tag=f" + strconv.Itoa(u.me) + "\r\nTo: <sip:" + name(to) + "@" + u.proxy + ">" + tag + "\r\n" +
		"Call-ID: " + id + "\r\nCSeq: " + strconv.Itoa(seq) + " " + method + "\r\nContact: <sip:" + name(u.me) + "@" + u.local + ">\r\n" + more +
		"Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

func (u *sipUser) invite(to int, id string) error {
	_, err := u.conn.Write([]byte(u.request("INVITE", "sip:"+name(to)+"@"+u.proxy, to, id, 1, "Content-Type: text/plain\r\n", strings.Repeat("x", payload))))
	return err
}

// accept answers 200 with what a response repeats of its request.
func (u *sipUser) accept(_ int, id string) error {
	head := u.calls[id]
	delete(u.calls, id)
	_, err := u.conn.Write([]byte("SIP/2.0 200 OK\r\n" + head + "Contact: <sip:" + name(u.me) + "@" + u.local + ">\r\nContent-Length: 0\r\n\r\n"))
	return err
}

func (u *sipUser) close() { _ = u.conn.Close() }

func (u *sipUser) listen() {
	b := make([]byte, 64<<10)
	for {
		n, err := u.conn.Read(b)
		if err != nil {
			return
		}
		lines := strings.Split(string(b[:n]), "\r\n")
		switch first := lines[0]; {
		case strings.HasPrefix(first, "INVITE "):
			id := field(lines, "Call-ID: ")
			if _, again := u.calls[id]; again {
				continue
			}
			u.calls[id] = repeated(lines, u.me)
			from, _ := strconv.Atoi(strings.TrimPrefix(between(field(lines, "From: "), "sip:", "@"), "user"))
			u.ear.invited(u.me, from, id)
		case strings.HasPrefix(first, "BYE "):
			_, _ = u.conn.Write([]byte("SIP/2.0 200 OK\r\n" + repeated(lines, u.me) + "Content-Length: 0\r\n\r\n"))
		case strings.HasPrefix(first, "SIP/2.0 200") && strings.HasSuffix(field(lines, "CSeq: "), "INVITE"):
			u.answered(lines)
		case strings.HasPrefix(first, "SIP/2.0 200") && strings.HasSuffix(field(lines, "CSeq: "), "BYE"):
			u.ear.accepted(field(lines, "Call-ID: "))
		}
	}
}

// answered acknowledges a 200 along the route that it came, and hangs up where that is measured too.
func (u *sipUser) answered(lines []string) {
	id, contact := field(lines, "Call-ID: "), between(field(lines, "Contact: "), "<", ">")
	to, _ := strconv.Atoi(strings.TrimPrefix(between(contact, "sip:", "@"), "user"))
	route := ""
	if r := field(lines, "Record-Route: "); r != "" {
		route = "Route: " + r + "\r\n"
	}
	_, _ = u.conn.Write([]byte(u.request("ACK", contact, to, id, 1, route, "")))
	if !u.bye {
		u.ear.accepted(id)
		return
	}
	_, _ = u.conn.Write([]byte(u.request("BYE", contact, to, id, 2, route, "")))
}

func field(lines []string, name string) string {
	for _, l := range lines {
		if strings.HasPrefix(l, name) {
			return l[len(name):]
		}
	}
	return ""
}

func between(s, after, before string) string {
	_, s, _ = strings.Cut(s, after)
	s, _, _ = strings.Cut(s, before)
	return s
}

// repeated are the lines of a request that its response has too.
func repeated(lines []string, me int) string {
	var b strings.Builder
	for _, l := range lines {
		switch {
		case strings.HasPrefix(l, "To: ") && !strings.Contains(l, "tag="):
			b.WriteString(l + ";tag=t" + strconv.Itoa(me) + "\r\n")
		case strings.HasPrefix(l, "Via: "), strings.HasPrefix(l, "Record-Route: "), strings.HasPrefix(l, "From: "), strings.HasPrefix(l, "To: "),
			strings.HasPrefix(l, "Call-ID: "), strings.HasPrefix(l, "CSeq: "):
			b.WriteString(l + "\r\n")
		}
	}
	return b.String()
}
