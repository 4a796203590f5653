package api

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// TestNamesAreExact: field names are case-sensitive and unique, at each depth.
func TestNamesAreExact(t *testing.T) {
	for _, c := range []struct{ verb, body, field string }{
		{"invite", `{"invitee":"bob","invitee":"cat"}`, "invitee"},
		{"invite", `{"invitee":"bob","Invitee":"cat"}`, "Invitee"},
		{"invite", `{"INVITEE":"bob"}`, "INVITEE"},
		{"invite", `{"invitee":"bob","data":"","data":""}`, "data"},
		{"invite", `{"invitee":"bob","inviteeList":[],"\u0069nvitee":"cat"}`, "invitee"},
		{"invite", `{"invitee":"bob","offlinePush":{"title":"a","title":"b"}}`, "offlinePush.title"},
		{"invite", ` { "invitee" : "bob" , "offlinePush" : { "Title" : "a" } } `, "offlinePush.Title"},
		{"sendMessage", `{"userID":"bob","merged":{"title":"t","abstracts":["x"],"messages":[` +
			`{"from":"a","messageType":"text","text":"}\"{","time":1},{"from":"a","From":"b"}]}}`, "merged.messages.From"},
		{"sendMessage", `{"userID":"bob","text":"x","TEXT":"y"}`, "TEXT"},
		{"setGroupAttributes", `{"groupID":"g","attributes":{"k":"1","k":"2"}}`, "attributes.k"},
		{"importUsers", `{"users":[{"userID":"a"},{"userID":"a","userID":"b"}]}`, "users.userID"},
		{"invite", `{"invitee":"bob","offlinePush":{"ttl":1},"offlinePush":{}}`, "offlinePush"},
		{"accept", `{"inviteID":"i","inviteid":"j"}`, "inviteid"},
		{"accept", "{\"inviteID\":\"i\",\"data\":\"a\\\\\",\n\t\"requestID\":\"r\"}", ""},
		{"setGroupAttributes", `{"groupID":"g","attributes":{"k":"1","K":"2"}}`, ""},
		{"getMessage", `{"conversationID":"c2c_b","messageID":"m"}`, ""},
		{"getHistoryMessageList", `{"conversationID":"c2c_b","limit":5}`, ""},
		{"getPushConfig", ``, ""},
		{"getPushConfig", `null`, ""},
		{"getMessage", `null`, "conversationID"},
		{"getMessage", `{"conversationID":"c2c_b"}`, "messageID"},
		{"sendMessage", `{"userID":"bob","text":null}`, "text"},
		{"sendMessage", `{"groupID":"g","text":"x","mentions":["a",null]}`, "mentions"},
		{"sendMessage", `{"groupID":"g","text":"x","mentions":null}`, ""},
		{"sendMessage", `{"userID":"bob","face":{"data":"x"}}`, "face.index"},
		{"searchMessages", `{"text":"x","before":9007199254740992}`, "before"},
		{"searchMessages", `{"text":"x","before":9007199254740991}`, ""},
		{"deleteMessages", `{"conversationID":"c2c_b","seqList":[9223372036854775809]}`, "seqList"},
		{"increaseGroupCounter", `{"groupID":"g","key":"k","value":99999999999999999999}`, "value"},
		{"increaseGroupCounter", `{"groupID":"g","key":"k","value":-9007199254740992}`, "value"},
		{"importUsers", `{"users":[{"nick":"n"}]}`, "users.userID"},
	} {
		var v *row
		for _, r := range (&API{}).table() {
			if r.name == c.verb {
				v = r
			}
		}
		_, err := v.rewrite([]byte(c.body))
		var e *im.Error
		switch {
		case c.field == "" && err != nil:
			t.Errorf("%s %s: %v", c.verb, c.body, err)
		case c.field != "" && (!errors.As(err, &e) || e.Code != im.CodeBadParameter || e.Field != c.field):
			t.Errorf("%s %s: %v, want a refusal of %s", c.verb, c.body, err, c.field)
		}
	}
}

// TestWhatServersWriteIsExact: each method accepts requests as the SDKs encode them.
func TestWhatServersWriteIsExact(t *testing.T) {
	for _, v := range (&API{}).table() {
		text, err := json.Marshal(reflect.New(v.request).Interface())
		if err != nil {
			t.Fatal(err)
		}
		if err := v.shape.exact(text); err != nil {
			t.Errorf("%s %s: %v", v.name, text, err)
		}
	}
}

// FuzzNames: no valid JSON breaks the scanner, and text without objects is never rejected.
func FuzzNames(f *testing.F) {
	for _, s := range []string{`{"a":{"b":[1,{"c":"\\\""}]},"a":0}`, `[]`, `[[],[{}]]`, `"x"`, `-1e9`,
		` {"a" : [ 1 , 2 ] } `} {
		f.Add([]byte(s))
	}
	s := shapeOf(reflect.TypeFor[protocol.SendMessageRequest](), map[reflect.Type]*shape{})
	f.Fuzz(func(t *testing.T, text []byte) {
		var v any
		if json.Unmarshal(text, &v) != nil {
			return
		}
		_ = (&shape{}).exact(text)
		if err := s.exact(text); err == nil {
			var m protocol.SendMessageRequest
			_ = json.Unmarshal(text, &m)
		}
	})
}

// BenchmarkDecode decodes an accept request; names measures the check of field names.
func BenchmarkDecode(b *testing.B) {
	text := []byte(`{"inviteID":"0193f0a2-5d1c-7c3e-9a6b-2f1d8e7c4b5a",` +
		`"data":"{\"businessID\":\"av_call\",\"call_type\":2,\"data\":{\"cmd\":\"videoCall\"}}",` +
		`"requestID":"0193f0a2-5d1c-7c3e-9a6b-2f1d8e7c4b5b"}`)
	s := shapeOf(reflect.TypeFor[protocol.AnswerRequest](), map[reflect.Type]*shape{})
	b.Run("all", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var q protocol.AnswerRequest
			if err := decode(s, text, &q); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("names", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := s.exact(text); err != nil {
				b.Fatal(err)
			}
		}
	})
}
