package invite_test

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/invite"
)

var update = flag.Bool("update", false, "write the transcripts anew; review them as a diff")

// TestScripts runs the commands under testdata and compares their output. A line is "seconds command arguments"; the
// lines with an arrow are the expected output.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts under testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("%s differs; run go test ./invite -update and review the diff\n%s", file, got)
			}
		})
	}
}

// stage is one invitation on a script's stage.
type stage struct {
	v       invite.Invitation
	who     map[string]*invite.Invitee
	order   []string
	created bool
}

func play(t *testing.T, script string) string {
	s := &stage{who: map[string]*invite.Invitee{}}
	var out strings.Builder
	for in := bufio.NewScanner(strings.NewReader(script)); in.Scan(); {
		line := in.Text()
		if strings.HasPrefix(line, "   ") {
			continue // the transcript of before
		}
		out.WriteString(line + "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		words := strings.Fields(line)
		seconds, err := strconv.ParseFloat(words[0], 64)
		if err != nil {
			t.Fatalf("%q does not begin with seconds", line)
		}
		for _, l := range s.run(t, int64(seconds*1000)+1_000_000, words[1], words[2:]) {
			out.WriteString("   → " + l + "\n")
		}
	}
	return out.String()
}

// options reads key=value words; the rest stays.
func options(args []string) (map[string]string, []string) {
	opt, rest := map[string]string{}, []string(nil)
	for _, a := range args {
		if k, v, ok := strings.Cut(a, "="); ok {
			opt[k] = v
		} else {
			rest = append(rest, a)
		}
	}
	return opt, rest
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

func (s *stage) run(t *testing.T, now int64, command string, args []string) []string {
	opt, rest := options(args)
	by := invite.Actor{Device: opt["device"], RequestID: opt["request"]}
	if len(rest) > 0 {
		by.User = rest[0]
	}
	var names []string
	if len(rest) > 1 {
		names = strings.Split(rest[1], ",")
	}
	switch command {
	case "invite":
		return s.invite(by, names, opt, now)
	case "accept", "reject", "ring":
		act := map[string]invite.Act{"accept": invite.Accept, "reject": invite.Reject, "ring": invite.Ring}[command]
		return s.step(invite.Answer{Act: act, By: by, Reason: opt["reason"], Data: opt["data"]}, now)
	case "cancel":
		list := s.open()
		if names != nil {
			list = s.named(names)
		}
		return s.change(invite.Cancel(s.v, list, names, by, now))
	case "modify":
		return s.change(invite.Modify(s.v, opt["data"], by, now))
	case "add":
		return s.change(invite.Add(s.v, s.named(names), names, number(opt["timeout"]), by, now))
	case "expire":
		return s.change(invite.Expire(s.v, s.open(), now), nil)
	case "leave":
		return s.change(invite.Leave(s.v, s.named([]string{by.User}), now), nil)
	case "look":
		return s.look(now)
	}
	t.Fatalf("there is no command %q", command)
	return nil
}

func (s *stage) invite(by invite.Actor, names []string, opt map[string]string, now int64) []string {
	terms := invite.Terms{ID: "i", Inviter: by.User, GroupID: opt["group"], Timeout: number(opt["timeout"]),
		Notify:      invite.NotifyMembers,
		AcceptLimit: int(number(opt["limit"])), MinRing: number(opt["minRing"]), Data: opt["data"]}
	if err := terms.Check(names); err != nil {
		return refused(err)
	}
	print := invite.Fingerprint(terms, names)
	if s.created {
		if err := s.v.Again(by.User, print); err != nil {
			return refused(err)
		}
		return []string{"repeat"}
	}
	v, list := invite.New(terms, names, by, print, now)
	s.created = true
	return s.change(invite.Change{Invitation: v, Invitees: list}, nil)
}

func (s *stage) step(a invite.Answer, now int64) []string {
	st, err := invite.Apply(s.v, s.who[a.By.User], a, now)
	if err != nil {
		return refused(err)
	}
	if st.Repeat {
		return []string{"repeat"}
	}
	out := s.change(invite.Change{Invitation: st.Invitation, Invitees: []invite.Invitee{st.Invitee}}, nil)
	if st.CloseRest {
		out = append(out, "the limit is reached")
		out = append(out, s.change(invite.Rest(s.v, s.open(), now), nil)...)
	}
	return out
}

func (s *stage) change(c invite.Change, err error) []string {
	if err != nil {
		return refused(err)
	}
	if c.Repeat {
		return []string{"repeat"}
	}
	s.v = c.Invitation
	var out []string
	for i := range c.Invitees {
		w := c.Invitees[i]
		if s.who[w.UserID] == nil {
			s.order = append(s.order, w.UserID)
		}
		s.who[w.UserID] = &w
		out = append(out, describe(&w))
	}
	return append(out, fmt.Sprintf("version %d, %d open, over %v, due %s", s.v.Version, s.v.Counts.Open, s.v.Over(),
		clock(s.v.Due)))
}

func (s *stage) look(now int64) (out []string) {
	for _, u := range s.order {
		out = append(out, fmt.Sprintf("%s is %s", u, s.who[u].StateAt(now)))
	}
	return out
}

func (s *stage) open() (list []*invite.Invitee) {
	for _, u := range s.order {
		if w := *s.who[u]; w.State == invite.Open {
			list = append(list, &w)
		}
	}
	return list
}

func (s *stage) named(names []string) (list []*invite.Invitee) {
	for _, u := range names {
		if w := s.who[u]; w != nil {
			c := *w
			list = append(list, &c)
		} else {
			list = append(list, nil)
		}
	}
	return list
}

func describe(w *invite.Invitee) string {
	out := w.UserID + " " + w.State.String()
	if w.Reason != "" {
		out += " (" + w.Reason + ")"
	}
	if w.State == invite.Open {
		out += " until " + clock(w.Deadline)
	}
	return out
}

func clock(ms int64) string {
	if ms == 0 {
		return "never"
	}
	return strconv.FormatFloat(float64(ms-1_000_000)/1000, 'f', -1, 64)
}

func refused(err error) []string {
	var e *im.Error
	if !errors.As(err, &e) {
		return []string{"not an im.Error: " + err.Error()}
	}
	return []string{fmt.Sprintf("refused %d: %s", e.Code, e.Message)}
}
