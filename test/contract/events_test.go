package contract

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// events collects the events that devices and webhooks receive.
type events struct {
	mu             sync.Mutex
	hooks, devices [][]byte
	streams        sync.WaitGroup
}

func (e *events) add(to *[][]byte, body []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	*to = append(*to, body)
}

// listen connects a device of a user over HTTP streaming until the test ends, and collects its events.
func (s *suite) listen(user string) {
	command := fmt.Sprintf(`{"id":1,"connect":{"token":%q,"data":{}}}`, s.Token(user))
	r, err := http.NewRequestWithContext(s.Context(), http.MethodPost, s.URL+"/connection/http_stream",
		strings.NewReader(command))
	if err != nil {
		s.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = res.Body.Close() })
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() {
		s.Fatalf("the stream of %s has no reply", user)
	}
	var reply struct {
		Connect struct {
			Data json.RawMessage `json:"data"`
		} `json:"connect"`
	}
	if err := json.Unmarshal(lines.Bytes(), &reply); err != nil {
		s.Fatal(err)
	}
	if err := s.valid("/components/schemas/Welcome", reply.Connect.Data); err != nil {
		s.Errorf("the connect reply %s is against the document: %v", reply.Connect.Data, err)
	}
	s.seen.streams.Go(func() {
		for lines.Scan() {
			var push struct {
				Push struct {
					Pub struct {
						Data json.RawMessage `json:"data"`
					} `json:"pub"`
				} `json:"push"`
			}
			if json.Unmarshal(lines.Bytes(), &push) == nil && len(push.Push.Pub.Data) > 0 {
				s.seen.add(&s.seen.devices, push.Push.Pub.Data)
			}
		}
	})
}

// checkEvents stops the server and compares the events that were received with the document.
func (s *suite) checkEvents() {
	s.Stop()
	s.seen.streams.Wait()
	types, kinds := map[string]int{}, map[string]int{}
	for _, event := range s.seen.devices {
		var head struct {
			Type string `json:"type"`
		}
		if err := json.Unmarshal(event, &head); err != nil {
			s.Fatal(err)
		}
		if types[head.Type]++; head.Type == "reload" {
			continue
		}
		if err := s.valid("/components/schemas/Event", event); err != nil {
			s.Errorf("the event %s is against the document: %v", event, err)
		}
	}
	for _, body := range s.seen.hooks {
		var head struct {
			Type string `json:"type"`
		}
		if err := json.Unmarshal(body, &head); err != nil {
			s.Fatal(err)
		}
		kinds[head.Type]++
		at := "/webhooks/" + head.Type + "/post/requestBody/content/application~1json/schema"
		if _, declared := s.doc.Webhooks[head.Type]; !declared {
			s.Errorf("the document lacks the webhook %s", head.Type)
		} else if err := s.valid(at, body); err != nil {
			s.Errorf("the webhook %s is against the document: %v", body, err)
		}
	}
	s.Logf("events of devices: %v, of webhooks: %v", types, kinds)
	for _, want := range []string{"signaling", "message", "group", "conversationChanged", "userChanged"} {
		if types[want] == 0 {
			s.Errorf("no device received the event %s; the others are %v", want, slices.Sorted(maps.Keys(types)))
		}
	}
	for _, want := range []string{"invitation.created", "message.sent", "group.memberInvited"} {
		if kinds[want] == 0 {
			s.Errorf("no webhook had the event %s; the others are %v", want, slices.Sorted(maps.Keys(kinds)))
		}
	}
}
