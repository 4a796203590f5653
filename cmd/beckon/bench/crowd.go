package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// Parameters of the crowd measurement.
const (
	crowdMessages = 20
	crowdAnswers  = 5 * time.Second // period over which all members answer
	crowdPatience = 2 * time.Minute
)

// crowd measures one large group in which the bench's users are connected: the delay of a message to the last of them,
// and the delay from the last answer to an invitation of all members until the inviter has all answers.
func (b *bench) crowd(ctx context.Context, res *benchResult) error {
	ctx, cancel := context.WithTimeout(ctx, crowdPatience)
	defer cancel()
	group := b.cmd.Prefix + "crowd-" + client.NewID()[24:]
	if err := b.importGroup(ctx, group); err != nil {
		return err
	}
	for n := range crowdMessages {
		took, err := b.broadcast(ctx, group, fmt.Sprint(group, "-", n))
		if err != nil {
			return err
		}
		if n > 0 { // the first also waits for subscriptions
			_ = b.latency.RecordValue(took.Microseconds())
		}
	}
	cpu := cpuTime(b.cmd.PID...)
	late, err := b.inviteAll(ctx, group)
	if err != nil {
		return err
	}
	res.Mode = fmt.Sprintf("a group of %d, %d of them connected", b.cmd.Crowd, b.cmd.Users)
	b.quantiles(res)
	res.RSS = residentBytes(b.cmd.PID...)
	res.Note = fmt.Sprintf("latency is that of %d group messages to the last of %d connected members; %d "+
		"answers to one invitation within %s: "+
		"the inviter had all of them %d ms after the last was acknowledged, at %d µs of server CPU each",
		crowdMessages-1, b.cmd.Users-1, b.cmd.Crowd-1, crowdAnswers, late.Milliseconds(),
		(cpuTime(b.cmd.PID...)-cpu).Microseconds()/int64(b.cmd.Crowd-1))
	return nil
}

// importGroup imports the group: the first user is its owner, the other connected users are members, and the rest of
// the members are not connected.
func (b *bench) importGroup(ctx context.Context, group string) error {
	g := protocol.ImportGroup{GroupID: group, Type: "Meeting", Owner: b.name(0)}
	for i := 1; i < b.cmd.Crowd; i++ {
		g.Members = append(g.Members, protocol.ImportMember{UserID: b.name(i)})
	}
	var res protocol.ImportResponse
	return b.post(ctx, "importGroups", "", protocol.ImportGroupsRequest{Groups: []protocol.ImportGroup{g}}, &res)
}

// membershipSize is the number of members of a group of --memberships.
const membershipSize = 50

// importMemberships imports groups so that each user is a member of the wanted number.
func (b *bench) importMemberships(ctx context.Context) error {
	if b.cmd.Users < membershipSize {
		return fmt.Errorf("--memberships needs at least %d --users", membershipSize)
	}
	var page []protocol.ImportGroup
	run := client.NewID()[24:]
	for round := range b.cmd.Member {
		for at := 0; at < b.cmd.Users; at += membershipSize {
			g := protocol.ImportGroup{GroupID: fmt.Sprint(b.cmd.Prefix, run, "-", round, "-", at), Type: "Work",
				Owner: b.name((at + round*13) % b.cmd.Users)}
			for i := 1; i < min(membershipSize, b.cmd.Users-at); i++ {
				g.Members = append(g.Members, protocol.ImportMember{UserID: b.name((at + i + round*13) % b.cmd.Users)})
			}
			page = append(page, g)
			if len(page) < membershipPage && (round+1 < b.cmd.Member || at+membershipSize < b.cmd.Users) {
				continue
			}
			var res protocol.ImportResponse
			if err := b.post(ctx, "importGroups", "", protocol.ImportGroupsRequest{Groups: page}, &res); err != nil {
				return err
			}
			page = page[:0]
		}
	}
	return nil
}

// membershipPage is the number of groups of one importGroups call.
const membershipPage = 50

// post calls a method as an app server, for a user or for itself.
func (b *bench) post(ctx context.Context, method, user string, request, response any) error {
	keys, err := beckon.LoadKeys(b.cmd.Data)
	if err != nil {
		return err
	}
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.cmd.Server[0]+"/v1/"+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+keys.APIKey)
	if user != "" {
		req.Header.Set("Beckon-User", user)
	}
	reply, err := b.web.Do(req)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	var refused protocol.Error
	if reply.StatusCode != http.StatusOK {
		_ = json.NewDecoder(reply.Body).Decode(&refused) // the status is reported in any case
		return fmt.Errorf("%s: %s: %s", method, reply.Status, refused.Message)
	}
	return json.NewDecoder(reply.Body).Decode(response)
}

// broadcast sends a message and waits for its delivery to every other connected member.
func (b *bench) broadcast(ctx context.Context, group, id string) (time.Duration, error) {
	var received atomic.Int64
	all := make(chan struct{})
	b.setOnMessage(func(m protocol.Message) {
		if m.MessageID == id && received.Add(1) == int64(b.cmd.Users-1) {
			close(all)
		}
	})
	start := time.Now()
	_, err := b.users[0].SendMessage(ctx, protocol.SendMessageRequest{GroupID: group, MessageID: id,
		Body: protocol.Body{Text: string(make7bit(b.cmd.Payload))}})
	if err != nil {
		return 0, err
	}
	select {
	case <-all:
		return time.Since(start), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("%d of %d connected members received the message", received.Load(), b.cmd.Users-1)
	}
}

// inviteAll invites the whole group; all members answer, spread over crowdAnswers. It returns the delay from the last
// response to the inviter's last event.
func (b *bench) inviteAll(ctx context.Context, group string) (late time.Duration, err error) {
	id := client.NewID()
	f := &flow{start: time.Now(), waiting: b.cmd.Crowd - 1, done: make(chan struct{})}
	b.mu.Lock()
	b.flows[id] = f
	b.mu.Unlock()
	if _, err := b.users[0].InviteInGroup(ctx,
		protocol.InviteInGroupRequest{GroupID: group, Everyone: true,
			InviteOptions: protocol.InviteOptions{InviteID: id, Timeout: 600}}); err != nil {
		return 0, err
	}
	var g errgroup.Group
	g.SetLimit(256)
	start := time.Now()
	var mu sync.Mutex
	var last time.Time
	for i := 1; i < b.cmd.Crowd; i++ {
		due := start.Add(crowdAnswers * time.Duration(i) / time.Duration(b.cmd.Crowd))
		if err := sleepUntil(ctx, due); err != nil {
			return 0, err
		}
		g.Go(func() error {
			var res protocol.ActionResponse
			err := b.post(ctx, "accept", b.name(i), protocol.AnswerRequest{InviteID: id, Data: "yes"}, &res)
			mu.Lock()
			defer mu.Unlock()
			last = time.Now()
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	select {
	case <-f.done:
		return max(0, time.Since(last)), nil
	case <-ctx.Done():
		return 0, errors.New("the inviter did not receive all answers")
	}
}

func sleepUntil(ctx context.Context, due time.Time) error {
	wait := time.Until(due)
	if wait <= 0 {
		return nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// setOnMessage sets the handler of messages.
func (b *bench) setOnMessage(f func(protocol.Message)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.onMessage = f
}

func (b *bench) message(m protocol.Message) {
	b.mu.Lock()
	f := b.onMessage
	b.mu.Unlock()
	if f != nil {
		f(m)
	}
}
