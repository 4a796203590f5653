package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// xmppUser is an XMPP client over TCP: an invitation is a message with a propose of XEP-0353, its acceptance one with a proceed.
type xmppUser struct {
	conn net.Conn
	in   *bufio.Reader
}

const xmppOpen = `<stream:stream to="localhost" xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" version="1.0">`

func dialXMPP(addr string) func(int, ear) (user, error) {
	return func(i int, e ear) (user, error) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return nil, err
		}
		u := &xmppUser{conn, bufio.NewReader(conn)}
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		auth := base64.StdEncoding.EncodeToString([]byte("\x00" + name(i) + "\x00pass"))
		for _, step := range [][2]string{
			{xmppOpen, "</stream:features>"},
			{`<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">` + auth + `</auth>`, "<success"},
			{xmppOpen, "</stream:features>"},
			{`<iq type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><resource>r</resource></bind></iq>`, "</iq>"},
			{`<presence/>`, "<presence"},
		} {
			if err := u.send(step[0]); err != nil {
				return nil, err
			}
			if err := u.until(step[1]); err != nil {
				return nil, fmt.Errorf("after %.60s: %w", step[0], err)
			}
		}
		_ = conn.SetReadDeadline(time.Time{})
		go u.listen(i, e)
		return u, nil
	}
}

func (u *xmppUser) send(text string) error {
	_, err := u.conn.Write([]byte(text))
	return err
}

// until reads elements until one has a text.
func (u *xmppUser) until(text string) error {
	seen := ""
	for !strings.Contains(seen, text) {
		part, err := u.in.ReadString('>')
		if err != nil {
			return fmt.Errorf("%w, having read %s", err, seen)
		}
		if seen += part; strings.Contains(seen, "<failure") {
			return fmt.Errorf("it says %s", seen)
		}
	}
	return nil
}

func (u *xmppUser) message(to int, what, id, body string) error {
	return u.send(`<message to="` + name(to) + `@localhost/r" type="chat" id="` + id + `"><` + what + ` xmlns="urn:xmpp:jingle-message:0" id="` + id + `">` + body + `</` + what + `><store xmlns="urn:xmpp:hints"/></message>`) // as XEP-0353 asks for: else an archive leaves it out
}

func (u *xmppUser) invite(to int, id string) error {
	return u.message(to, "propose", id, `<description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio">`+strings.Repeat("x", payload)+`</description>`)
}
func (u *xmppUser) accept(from int, id string) error { return u.message(from, "proceed", id, "") }
func (u *xmppUser) close()                           { _ = u.conn.Close() }

func (u *xmppUser) listen(me int, e ear) {
	stanza := ""
	for {
		part, err := u.in.ReadString('>')
		if err != nil {
			return
		}
		if stanza += part; !strings.Contains(stanza, "</message>") {
			if strings.HasPrefix(stanza, "<presence") && (strings.HasSuffix(stanza, "/>") || strings.HasSuffix(stanza, "</presence>")) {
				stanza = ""
			}
			continue
		}
		from, _ := strconv.Atoi(strings.TrimPrefix(between(attribute(stanza, "from"), "", "@"), "user"))
		id := attribute(stanza, "id")
		if strings.Contains(stanza, "<propose") {
			e.invited(me, from, id)
		} else if strings.Contains(stanza, "<proceed") {
			e.accepted(id)
		}
		stanza = ""
	}
}

// attribute reads an attribute of the outermost element, with either kind of quotes.
func attribute(stanza, name string) string {
	head, _, _ := strings.Cut(stanza, ">")
	for _, quote := range []string{"'", `"`} {
		if _, rest, ok := strings.Cut(head, " "+name+"="+quote); ok {
			value, _, _ := strings.Cut(rest, quote)
			return value
		}
	}
	return ""
}
