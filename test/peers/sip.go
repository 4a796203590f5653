package main

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// sipUser is a SIP user agent over UDP, or over one persistent TCP connection: an invitation is an INVITE, its
// acceptance the 200, which it acknowledges; with bye it hangs up too. The proxy keeps a transaction for each, and no
// state afterwards.
type sipUser struct {
	conn  net.Conn
	in    *bufio.Reader
	proxy string
	me    int
	via   string // prefix of its Via headers
	// contact address; over TCP the local end of the connection, by which the proxy finds the user
	contact string
	ear     ear
	bye     bool
	calls   map[string]string // received invitations by ID: the headers that the 200 repeats
}

func dialSIP(transport, proxy string, bye bool) func(int, ear) (user, error) {
	return func(i int, e ear) (user, error) {
		conn, err := net.Dial(transport, proxy)
		if err != nil {
			return nil, err
		}
		if datagrams, ok := conn.(*net.UDPConn); ok {
			_ = datagrams.SetReadBuffer(1 << 20)
		}
		local := conn.LocalAddr().String()
		u := &sipUser{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), proxy: proxy, me: i, ear: e, bye: bye,
			calls: map[string]string{},
			via:   "SIP/2.0/" + strings.ToUpper(transport) + " " + local, contact: "<sip:" + name(i) + "@" + local +
				";transport=" + transport + ">"}
		var reply []string
		for range 5 {
			if err = u.send(u.request("REGISTER", "sip:"+proxy, i, "reg"+strconv.Itoa(i), 1, "Expires: 3600\r\n",
				"")); err != nil {
				break
			}
			_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
			if reply, err = u.read(); err == nil && strings.HasPrefix(reply[0], "SIP/2.0 200") {
				_ = conn.SetReadDeadline(time.Time{})
				go u.listen()
				return u, nil
			}
		}
		u.close()
		return nil, fmt.Errorf("the proxy does not take a REGISTER: %q, %v", reply, err)
	}
}

func (u *sipUser) send(text string) error {
	_, err := u.conn.Write([]byte(text))
	return err
}

// read reads the lines of a message, and skips its body. A datagram has a content length as well, and fits the buffer.
func (u *sipUser) read() ([]string, error) {
	var lines []string
	for {
		line, err := u.in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		if line = strings.TrimSuffix(line, "\r\n"); line != "" {
			lines = append(lines, line)
		} else if len(lines) > 0 { // empty lines before a message are keepalives
			break
		}
	}
	n, err := strconv.Atoi(field(lines, "Content-Length: "))
	if err == nil {
		_, err = u.in.Discard(n)
	}
	return lines, err
}

// request writes a request by this user.
func (u *sipUser) request(method, uri string, to int, id string, seq int, more, body string) string {
	tag := ""
	if method == "ACK" || method == "BYE" {
		tag = ";tag=t" + strconv.Itoa(to)
	}
	return method + " " + uri + " SIP/2.0\r\nVia: " + u.via + ";branch=z9hG4bK" + id + method +
		"\r\nMax-Forwards: 70\r\n" +
		"From: <sip:" + name(u.me) + "@" + u.proxy + ">;tag=f" + strconv.Itoa(u.me) + "\r\nTo: <sip:" + name(to) + "@" +
		u.proxy + ">" + tag + "\r\n" +
		"Call-ID: " + id + "\r\nCSeq: " + strconv.Itoa(seq) + " " + method + "\r\nContact: " + u.contact + "\r\n" + more +
		"Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

func (u *sipUser) invite(to int, id string) error {
	return u.send(u.request("INVITE", "sip:"+name(to)+"@"+u.proxy, to, id, 1, "Content-Type: text/plain\r\n",
		strings.Repeat("x", payload)))
}

// accept responds 200 with the headers repeated from the request.
func (u *sipUser) accept(_ int, id string) error {
	head := u.calls[id]
	delete(u.calls, id)
	return u.send("SIP/2.0 200 OK\r\n" + head + "Contact: " + u.contact + "\r\nContent-Length: 0\r\n\r\n")
}

func (u *sipUser) close() { _ = u.conn.Close() }

func (u *sipUser) listen() {
	for {
		lines, err := u.read()
		if err != nil {
			return
		}
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
			_ = u.send("SIP/2.0 200 OK\r\n" + repeated(lines, u.me) + "Content-Length: 0\r\n\r\n")
		case strings.HasPrefix(first, "SIP/2.0 200") && strings.HasSuffix(field(lines, "CSeq: "), "INVITE"):
			u.answered(lines)
		case strings.HasPrefix(first, "SIP/2.0 200") && strings.HasSuffix(field(lines, "CSeq: "), "BYE"):
			u.ear.accepted(field(lines, "Call-ID: "))
		}
	}
}

// answered acknowledges a 200 along its route, and hangs up if bye is set.
func (u *sipUser) answered(lines []string) {
	id, contact := field(lines, "Call-ID: "), between(field(lines, "Contact: "), "<", ">")
	to, _ := strconv.Atoi(strings.TrimPrefix(between(contact, "sip:", "@"), "user"))
	route := ""
	if r := field(lines, "Record-Route: "); r != "" {
		route = "Route: " + r + "\r\n"
	}
	_ = u.send(u.request("ACK", contact, to, id, 1, route, ""))
	if !u.bye {
		u.ear.accepted(id)
		return
	}
	_ = u.send(u.request("BYE", contact, to, id, 2, route, ""))
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

// repeated returns the headers of a request that its response repeats.
func repeated(lines []string, me int) string {
	var b strings.Builder
	for _, l := range lines {
		switch {
		case strings.HasPrefix(l, "To: ") && !strings.Contains(l, "tag="):
			b.WriteString(l + ";tag=t" + strconv.Itoa(me) + "\r\n")
		case strings.HasPrefix(l, "Via: "), strings.HasPrefix(l, "Record-Route: "), strings.HasPrefix(l, "From: "),
			strings.HasPrefix(l, "To: "),
			strings.HasPrefix(l, "Call-ID: "), strings.HasPrefix(l, "CSeq: "):
			b.WriteString(l + "\r\n")
		}
	}
	return b.String()
}
