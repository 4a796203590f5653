package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// wire exchanges XML with a server: over TCP in parts, over WebSocket in whole elements.
type wire interface {
	write(text string) error
	read() (string, error)
	close()
	SetReadDeadline(at time.Time) error
}

// stream is a wire over TCP.
type stream struct {
	net.Conn
	in *bufio.Reader
}

func (s *stream) write(text string) error {
	_, err := s.Write([]byte(text))
	return err
}
func (s *stream) read() (string, error) { return s.in.ReadString('>') }
func (s *stream) close()                { _ = s.Conn.Close() }

// xmppUser is an XMPP client: an invitation is a message with a propose of XEP-0353, its acceptance one with a proceed.
type xmppUser struct {
	wire
	open string // start of a stream
	ns   string // namespace declaration of each stanza; empty where a stream is one document, which declares it
}

func dialStream(addr string) (*xmppUser, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &xmppUser{wire: &stream{conn, bufio.NewReader(conn)},
		open: `<stream:stream to="localhost" xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" version="1.0">`}, nil
}

// dialFrames connects over WebSocket (RFC 7395).
func dialFrames(addr string) (*xmppUser, error) {
	dialer := websocket.Dialer{Subprotocols: []string{"xmpp"}}
	c, _, err := dialer.Dial("ws://"+addr+"/ws", nil)
	if err != nil {
		return nil, err
	}
	return &xmppUser{wire: &socket{Conn: c},
		open: `<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="localhost" version="1.0"/>`,
		ns:   ` xmlns="jabber:client"`}, nil
}

func dialXMPP(addr string, dial func(addr string) (*xmppUser, error)) func(int, ear) (user, error) {
	return func(i int, e ear) (user, error) {
		u, err := dial(addr)
		if err != nil {
			return nil, err
		}
		if err := u.login(i); err != nil {
			u.close()
			return nil, err
		}
		go u.listen(i, e)
		return u, nil
	}
}

func (u *xmppUser) login(me int) error {
	_ = u.SetReadDeadline(time.Now().Add(20 * time.Second))
	auth := base64.StdEncoding.EncodeToString([]byte("\x00" + name(me) + "\x00pass"))
	for _, step := range [][2]string{
		{u.open, "</stream:features>"},
		{`<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">` + auth + `</auth>`, "<success"},
		{u.open, "</stream:features>"},
		{`<iq` + u.ns + ` type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind">` +
			`<resource>r</resource></bind></iq>`, "</iq>"},
		{`<presence` + u.ns + `/>`, "<presence"},
	} {
		if err := u.write(step[0]); err != nil {
			return err
		}
		if err := u.until(step[1]); err != nil {
			return fmt.Errorf("after %.60s: %w", step[0], err)
		}
	}
	return u.SetReadDeadline(time.Time{})
}

// until reads elements until one contains a text.
func (u *xmppUser) until(text string) error {
	seen := ""
	for !strings.Contains(seen, text) {
		part, err := u.read()
		if err != nil {
			return fmt.Errorf("%w, having read %s", err, seen)
		}
		if seen += part; strings.Contains(seen, "<failure") {
			return fmt.Errorf("unexpected element %s", seen)
		}
	}
	return nil
}

func (u *xmppUser) message(to int, what, id, body string) error {
	// as XEP-0353 requires: otherwise an archive drops it
	return u.write(`<message` + u.ns + ` to="` + name(to) + `@localhost/r" type="chat" id="` + id + `"><` + what +
		` xmlns="urn:xmpp:jingle-message:0" id="` + id + `">` + body + `</` + what +
		`><store xmlns="urn:xmpp:hints"/></message>`)
}

func (u *xmppUser) invite(to int, id string) error {
	return u.message(to, "propose", id, `<description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio">`+
		strings.Repeat("x", payload)+`</description>`)
}
func (u *xmppUser) accept(from int, id string) error { return u.message(from, "proceed", id, "") }

func (u *xmppUser) listen(me int, e ear) {
	stanza := ""
	for {
		part, err := u.read()
		if err != nil {
			return
		}
		if stanza += part; !strings.Contains(stanza, "</message>") {
			if strings.HasPrefix(stanza, "<presence") &&
				(strings.HasSuffix(stanza, "/>") || strings.HasSuffix(stanza, "</presence>")) {
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

// attribute returns an attribute of the outermost element, with either kind of quotes.
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
