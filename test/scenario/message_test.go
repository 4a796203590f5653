package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/beckontest"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/client/upload"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// diary is the messages that a device has heard, in order.
type diary struct {
	mu    sync.Mutex
	seqs  map[string][]uint64
	ids   map[string]int
	moved chan struct{}
}

func newDiary() *diary {
	return &diary{seqs: map[string][]uint64{}, ids: map[string]int{}, moved: make(chan struct{})}
}

func (d *diary) note(where string, seq uint64, m protocol.Message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seqs[where] = append(d.seqs[where], seq)
	d.ids[m.MessageID]++
	close(d.moved)
	d.moved = make(chan struct{})
}

// wait waits until the diary has n different messages.
func (d *diary) wait(t *testing.T, n int) {
	t.Helper()
	limit := time.NewTimer(beckontest.Patience)
	defer limit.Stop()
	for {
		d.mu.Lock()
		have, moved := len(d.ids), d.moved
		d.mu.Unlock()
		if have >= n {
			return
		}
		select {
		case <-moved:
		case <-limit.C:
			t.Fatalf("%d messages of %d came", have, n)
		}
	}
}

// TestFiveHundredWhileAway: of two devices of one user one is away for 500 messages from one peer and a group. When it
// returns it has the same unread counts as the other, the same order, and nothing twice.
func TestFiveHundredWhileAway(t *testing.T) {
	house := newHouse(t, beckon.Config{UserRate: 1e6, UserBurst: 1e6})
	ctx := t.Context()
	here, away := newDiary(), newDiary()
	desk := house.DeviceWith(client.Options{Token: house.Token("ann"), DeviceID: "desk", Inbox: true,
		Listener: client.Listener{OnReceiveMessage: here.note}})
	phone := house.DeviceWith(client.Options{Token: house.Token("ann"), DeviceID: "phone", Inbox: true,
		Listener: client.Listener{OnReceiveMessage: away.note}})
	bob := house.Device("bob", "bob-1", client.Listener{})
	if _, err := bob.CreateGroup(ctx, protocol.CreateGroupRequest{GroupID: "g", Type: "Work",
		MemberList: []string{"ann"}}); err != nil {
		t.Fatal(err)
	}
	send := func(n int) {
		for i := range n {
			req := protocol.SendMessageRequest{UserID: "ann", Body: protocol.Body{Text: fmt.Sprint("message ", i)}}
			if i%2 == 1 {
				req.UserID, req.GroupID = "", "g"
			}
			if _, err := bob.SendMessage(ctx, req); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(10)
	here.wait(t, 10)
	away.wait(t, 10)
	epoch, positions := phone.Positions()
	phone.Close()
	send(500)
	here.wait(t, 510)
	if _, err := desk.MarkConversationRead(ctx, "c2c_bob", here.seqs["c2c_bob"][99]); err != nil { // 100 of 255 are read
		t.Fatal(err)
	}
	phone = house.DeviceWith(client.Options{Token: house.Token("ann"), DeviceID: "phone", Inbox: true, Epoch: epoch,
		Positions: positions,
		Listener:  client.Listener{OnReceiveMessage: away.note}})
	away.wait(t, 510)
	for _, where := range []string{"c2c_bob", "group_g"} {
		if a, b := here.seqs[where], away.seqs[where]; !slices.Equal(a, b) || !slices.IsSorted(a) || len(a) != 255 {
			t.Errorf("%s: the desk heard %d messages, the phone %d, and not in the same order", where, len(a), len(b))
		}
	}
	for id, n := range away.ids {
		if n != 1 {
			t.Errorf("the phone heard %s %d times", id, n)
		}
	}
	want := "c2c_bob:155 group_g:255"
	for name, c := range map[string]*client.Client{"desk": desk, "phone": phone} {
		res, err := c.GetConversationList(ctx, protocol.ConversationsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if got := unreadOf(res.Conversations); got != want || res.TotalUnread != 410 {
			t.Errorf("the %s is told %s, %d in all", name, got, res.TotalUnread)
		}
		if got := unreadOf(c.Conversations()); got != want {
			t.Errorf("the %s has put together %s", name, got)
		}
	}
}

func unreadOf(list []protocol.Conversation) string {
	var out []string
	for _, v := range list {
		out = append(out, fmt.Sprintf("%s:%d", v.ConversationID, v.Unread))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// picture is a PNG of some size.
func picture(t *testing.T, w, h int) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for x := range w {
		m.Set(x, x%h, color.RGBA{200, uint8(x), 0, 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// fetchURL reads a link, without any token.
func fetchURL(t *testing.T, url string) (int, []byte, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, b, res.Header
}

func TestFilesAreReadByTheirConversation(t *testing.T) {
	now := &clock{now: time.Date(2026, 1, 2, 8, 0, 0, 0, time.UTC).UnixMilli()}
	house := beckontest.StartWith(t, beckon.Config{Now: now.read, MaxFile: 1000})
	ctx := t.Context()
	ann, bob, eve := house.Device("ann", "a", client.Listener{}), house.Device("bob", "b",
		client.Listener{}), house.Device("eve", "e", client.Listener{})
	data := picture(t, 800, 400)
	up, err := ann.UploadFile(ctx, upload.File{Kind: "image", Name: "../cat.png", MediaType: "text/plain",
		Body: bytes.NewReader(data)})
	if err != nil {
		t.Fatal(err)
	}
	if up.Type != "image/png" || up.Name != "cat.png" || up.Width != 800 || up.Height != 400 || up.ThumbID == "" ||
		up.Size != int64(len(data)) || len(up.Hash) != 64 {
		t.Errorf("the upload is %+v", up)
	}
	if _, err := bob.GetFile(ctx, up.FileID); im.CodeOf(err) != im.CodeNoFile {
		t.Errorf("bob may read what nobody has sent him: %v", err)
	}
	if _, err := eve.SendMessage(ctx, protocol.SendMessageRequest{UserID: "bob",
		Body: protocol.Body{Image: &protocol.FileElem{FileID: up.FileID}}}); im.CodeOf(err) != im.CodeNoFile {
		t.Errorf("eve may pass on what she may not read: %v", err)
	}
	if _, err := ann.SendMessage(ctx, protocol.SendMessageRequest{UserID: "bob",
		Body: protocol.Body{File: &protocol.FileElem{FileID: up.FileID}}}); im.CodeOf(err) != im.CodeBadParameter {
		t.Errorf("an image is sent as a file: %v", err)
	}
	res, err := ann.SendMessage(ctx, protocol.SendMessageRequest{UserID: "bob",
		Body: protocol.Body{Image: &protocol.FileElem{FileID: up.FileID}}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := bob.GetMessage(ctx, protocol.MessageRequest{ConversationID: "c2c_ann", MessageID: res.MessageID})
	if err != nil || got.Message.Image.Width != 800 || got.Message.Image.ThumbID != up.ThumbID ||
		got.Message.Image.Size != up.Size {
		t.Errorf("the message says %+v, %v", got.Message.Image, err)
	}
	for _, id := range []string{up.FileID, up.ThumbID} {
		f, err := bob.GetFile(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		status, body, head := fetchURL(t, f.URL)
		if status != 200 || head.Get("Content-Type") != f.Type || head.Get("X-Content-Type-Options") != "nosniff" ||
			int64(len(body)) != f.Size {
			t.Errorf("%s: %d, %d bytes of %d, %v", id, status, len(body), f.Size, head)
		}
		if id == up.FileID && !bytes.Equal(body, data) {
			t.Error("the bytes are not those that were sent")
		}
		if m, _, err := image.Decode(bytes.NewReader(body)); id == up.ThumbID &&
			(err != nil || m.Bounds().Dx() != 320 || m.Bounds().Dy() != 160) {
			t.Errorf("the thumbnail is %v, %v", m.Bounds(), err)
		}
		if status, _, _ := fetchURL(t, f.URL[:len(f.URL)-2]+"00"); status != http.StatusForbidden {
			t.Errorf("a forged link answers %d", status)
		}
		if _, err := eve.GetFile(ctx, id); im.CodeOf(err) != im.CodeNoFile {
			t.Errorf("eve may read it: %v", err)
		}
		now.move(3601)
		if status, _, _ := fetchURL(t, f.URL); status != http.StatusForbidden {
			t.Errorf("an old link answers %d", status)
		}
	}
	for _, c := range []struct {
		kind, name string
		body       []byte
		code       int
		field      string
	}{
		{"", "x", []byte("x"), im.CodeBadParameter, "kind"},
		{"picture", "x", []byte("x"), im.CodeBadParameter, "kind"},
		{"image", "x.png", []byte("no image"), im.CodeBadParameter, "body"},
		{"image", "x.png", data[:20], im.CodeBadParameter, "body"},
		{"sound", "x.mp3", []byte("no sound"), im.CodeBadParameter, "body"},
		{"video", "x.mp4", []byte("no video"), im.CodeBadParameter, "body"},
		{"sound", "x", nil, im.CodeBadParameter, "body"},
		{"file", strings.Repeat("x", 256), []byte("x"), im.CodeTooLong, "name"},
		{"file", "x", make([]byte, 1001), im.CodeTooLong, "body"},
		{"file", "x", make([]byte, 5000), im.CodeTooLong, "body"},
	} {
		_, err := ann.UploadFile(ctx, upload.File{Kind: c.kind, Name: c.name, Body: bytes.NewReader(c.body)})
		e := refused(t, err, c.code)
		if e.Field != c.field {
			t.Errorf("%s %.20s: the refusal names %q and should name %q", c.kind, c.name, e.Field, c.field)
		}
	}
}

// TestDroppedSilently: with DropBlocked the sender is told of success, and the blocker hears and finds nothing.
func TestDroppedSilently(t *testing.T) {
	house := newHouse(t, beckon.Config{DropBlocked: true})
	ctx := t.Context()
	tape := beckontest.NewRecorder(t, "ann")
	heard := newDiary()
	l := tape.Listener()
	l.OnReceiveMessage = heard.note
	ann, bob := house.Device("ann", "a", l), house.Device("bob", "b", client.Listener{})
	if _, err := ann.AddToBlackList(ctx, []string{"bob"}); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.SendMessage(ctx, protocol.SendMessageRequest{UserID: "ann",
		Body: protocol.Body{Text: "hello?"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.Invite(ctx, call("ann", "i1", 60)); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.Invite(ctx, protocol.InviteRequest{InviteeList: []string{"ann", "cat"},
		InviteOptions: protocol.InviteOptions{InviteID: "i2"}}); err != nil {
		t.Fatal(err)
	}
	refused(t, second(ann.Accept(ctx, "i1", "")), im.CodeOver)
	refused(t, second(ann.GetInvitation(ctx, protocol.GetInvitationRequest{InviteID: "i2"})), im.CodeOver)
	if res, err := bob.Cancel(ctx, protocol.CancelRequest{InviteID: "i1"}); err != nil || !res.Over {
		t.Errorf("the inviter's own invitation: %+v, %v", res, err)
	}
	if list, err := ann.ListInvitations(ctx); err != nil || len(list.Invitations) != 0 {
		t.Errorf("the blocker finds %+v, %v", list.Invitations, err)
	}
	if list, err := ann.GetConversationList(ctx, protocol.ConversationsRequest{}); err != nil ||
		len(list.Conversations) != 0 {
		t.Errorf("the blocker finds %+v, %v", list.Conversations, err)
	}
	if list, err := bob.GetConversationList(ctx, protocol.ConversationsRequest{}); err != nil ||
		len(list.Conversations) != 2 {
		t.Errorf("the sender finds %+v, %v", list.Conversations, err)
	}
	if _, err := ann.DeleteFromBlackList(ctx, []string{"bob"}); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.SendMessage(ctx, protocol.SendMessageRequest{UserID: "ann", MessageID: "after",
		Body: protocol.Body{Text: "hello"}}); err != nil {
		t.Fatal(err)
	}
	heard.wait(t, 1)
	if heard.ids["after"] != 1 || len(tape.Lines()) != 0 {
		t.Errorf("the blocker heard %v and %v", heard.ids, tape.Lines())
	}
}

func TestDevicePolicies(t *testing.T) {
	for policy, stays := range map[beckon.DevicePolicy][]string{
		beckon.ManyDevices: {"pad", "phone", "web"}, beckon.OnePerPlatform: {"phone", "web"}, beckon.SingleDevice: {"phone"},
	} {
		t.Run(string(policy), func(t *testing.T) {
			var now atomic.Int64 // no two devices come in the same second
			now.Store(time.Now().UnixMilli())
			cfg := beckon.Config{DevicePolicy: policy}
			if *nodes == 1 { // several have the database's clock
				cfg.Now = func() int64 { return now.Add(1000) }
			}
			house := newHouse(t, cfg)
			kicked := make(chan string, 3)
			var last *client.Client
			for _, d := range [][2]string{{"web", "web"}, {"pad", "ios"}, {"phone", "ios"}} {
				last = house.DeviceWith(client.Options{Token: house.Token("ann"), DeviceID: d[0], Platform: d[1],
					Listener: client.Listener{OnKickedOffline: func(string) { kicked <- d[0] }}})
			}
			for range 3 - len(stays) {
				if d := <-kicked; slices.Contains(stays, d) {
					t.Errorf("%s was kicked offline", d)
				}
			}
			res, err := last.GetDeviceList(t.Context())
			var names []string
			for _, d := range res.Devices {
				names = append(names, d.DeviceID)
			}
			if err != nil || !slices.Equal(names, stays) {
				t.Errorf("connected are %v, %v", names, err)
			}
		})
	}
}

// TestRetention: what is older than the retention goes, what is newer stays, and numbers go on.
func TestRetention(t *testing.T) {
	now := &clock{now: time.Date(2026, 1, 2, 8, 0, 0, 0, time.UTC).UnixMilli()}
	house := beckontest.StartWith(t, beckon.Config{Now: now.read, Retention: 24 * time.Hour, UserRate: 1e6,
		UserBurst: 1e6})
	ctx := t.Context()
	ann, bob := house.Device("ann", "a", client.Listener{}), house.Device("bob", "b", client.Listener{})
	send := func(text string) {
		if _, err := ann.SendMessage(ctx, protocol.SendMessageRequest{UserID: "bob",
			Body: protocol.Body{Text: text}}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1200 {
		send(fmt.Sprint("old words ", i))
	}
	now.move(25 * 3600)
	send("new words")
	if err := house.Server.Trim(ctx); err != nil {
		t.Fatal(err)
	}
	for who, c := range map[string]*client.Client{"bob": ann, "ann": bob} {
		h, err := c.GetHistoryMessageList(ctx, protocol.HistoryRequest{ConversationID: "c2c_" + who})
		if err != nil || len(h.Messages) != 1 || !h.Complete || h.Messages[0].Seq != 1201 ||
			!strings.Contains(string(h.Messages[0].Event), "new words") {
			t.Errorf("history of %s: %d entries, %v", who, len(h.Messages), err)
		}
		found, err := c.SearchMessages(ctx, protocol.SearchRequest{Text: "words"})
		if err != nil || len(found.Found) != 1 {
			t.Errorf("%d are found, %v", len(found.Found), err)
		}
	}
	report, err := beckon.Inspect(ctx, house.DataDir, "")
	if err != nil || len(report.Faults) > 0 {
		t.Errorf("after trimming: %+v, %v", report, err)
	}
}

// TestSearchFindsPartsOfWords: the beginning of a word is enough, and scripts without spaces are found anywhere.
func TestSearchFindsPartsOfWords(t *testing.T) {
	house := newHouse(t, beckon.Config{})
	ctx := t.Context()
	ann := house.Device("ann", "a", client.Listener{})
	for _, text := range []string{"The quick brown fox", "会议在三点开始", "naïve Café", `say "hello" AND go`,
		"100% sure_thing"} {
		if _, err := ann.SendMessage(ctx, protocol.SendMessageRequest{UserID: "bob",
			Body: protocol.Body{Text: text}}); err != nil {
			t.Fatal(err)
		}
	}
	for words, want := range map[string]int{
		"QUICK": 1, "qui bro": 1, "uick": 0, "三点": 1, "三始": 0, "cafe": 1, `"hello"`: 1, "AND": 1, "sure": 1, "* OR NEAR(": 0,
		"fox*": 1, "会议 开始": 1,
	} {
		res, err := ann.SearchMessages(ctx, protocol.SearchRequest{Text: words})
		if err != nil || len(res.Found) != want {
			t.Errorf("%s finds %d, %v; want %d", words, len(res.Found), err, want)
		}
	}
}

// TestLargeGroup: in a large group the inviter hears every answer, the onlookers hear digests, and nothing is lost over
// a restart.
func TestLargeGroup(t *testing.T) {
	dir := t.TempDir()
	house := beckontest.StartWith(t, beckon.Config{DataDir: dir, LargeGroup: 5, UserRate: 1e6, UserBurst: 1e6})
	ctx := t.Context()
	tapes := map[string]*beckontest.Recorder{}
	devices := map[string]*client.Client{}
	for _, d := range []string{"ann/1", "bob/1", "bob/2", "eve/1"} {
		user, n, _ := strings.Cut(d, "/")
		tapes[d] = beckontest.NewRecorder(t, d)
		devices[d] = house.Device(user, user+"-"+n, tapes[d].Listener())
	}
	people := []string{"bob", "eve"}
	for i := range 200 {
		people = append(people, fmt.Sprintf("p%03d", i))
	}
	if _, err := devices["ann/1"].CreateGroup(ctx,
		protocol.CreateGroupRequest{GroupID: "g", Type: "Meeting", MemberList: people}); err != nil {
		t.Fatal(err)
	}
	if _, err := devices["ann/1"].InviteInGroup(ctx,
		protocol.InviteInGroupRequest{GroupID: "g", Everyone: true,
			InviteOptions: protocol.InviteOptions{InviteID: "i", Timeout: 3600}}); err != nil {
		t.Fatal(err)
	}
	tapes["bob/2"].Wait("new i")
	if _, err := devices["bob/1"].Accept(ctx, "i", "me"); err != nil {
		t.Fatal(err)
	}
	tapes["bob/2"].Wait("elsewhere i accept")
	tapes["ann/1"].Wait(`accepted i by bob data "me"`)
	tapes["eve/1"].Wait("accepted i by bob")
	var all sync.WaitGroup
	for i := range 150 {
		all.Go(func() {
			if got := postFor(ctx, t, house, fmt.Sprintf("p%03d", i), "reject",
				`{"inviteID":"i","data":"no"}`); strings.Contains(got, `"code"`) {
				t.Error(got)
			}
		})
	}
	all.Wait()
	for i := range 150 {
		tapes["ann/1"].Wait(fmt.Sprintf(`rejected i by p%03d data "no"`, i))
	}
	wantCounts := func(m protocol.Signaling) bool {
		return m.Digest != nil && m.Digest.Counts.Rejected == 150 && m.Digest.Counts.Accepted == 1
	}
	eventually(t, "the onlookers hear the counts",
		func() bool { return slices.ContainsFunc(tapes["eve/1"].Raw(), wantCounts) })
	for _, m := range tapes["eve/1"].Raw() {
		if len(m.Answers) > 0 && m.Inviter != "eve" || m.Digest != nil && len(m.Digest.Accepted)+
			len(m.Digest.Rejected) > 100 {
			t.Errorf("an onlooker hears %+v", m)
		}
	}
	if n := tapes["ann/1"].Count("rejected i"); n != 150 {
		t.Errorf("the inviter heard %d of 150 answers", n)
	}
	if _, err := devices["ann/1"].Cancel(ctx, protocol.CancelRequest{InviteID: "i"}); err != nil {
		t.Fatal(err)
	}
	tapes["eve/1"].Wait("cancelled i")
	refused(t, second(devices["eve/1"].Accept(ctx, "i", "")), im.CodeOver)
	if end := tapes["bob/1"].Wait("cancelled i"); strings.Contains(end, "bob") {
		t.Errorf("who has accepted takes the cancel for their own: %s", end)
	}
}

func postFor(ctx context.Context, t *testing.T, house *beckontest.Cluster, user, verb, body string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, house.URL+"/v1/"+verb, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return ""
	}
	req.Header.Set("Authorization", "Bearer "+house.Server.APIKey())
	req.Header.Set("Beckon-User", user)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || !json.Valid(b) {
		t.Error(string(b), err)
	}
	return string(b)
}

// eventually waits for what must come true, and looks often.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	limit, again := time.NewTimer(beckontest.Patience), time.NewTicker(5*time.Millisecond)
	defer limit.Stop()
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-limit.C:
			t.Fatalf("it never came true that %s", what)
		}
	}
}
