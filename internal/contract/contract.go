// Package contract describes the methods, events and webhooks as an OpenAPI document: the Go types of package protocol
// with the limits that the server enforces.
//
// It reads the limits from the tags of the fields and, for IDs, from their names. test/contract compares them with what
// a server accepts and refuses.
package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

// Method is a method of the API.
type Method struct {
	Name, Doc, Tag    string
	Users, Servers    bool // its callers: devices and app servers for a user; app servers for themselves
	Request, Response reflect.Type
	Codes             []int // the error codes besides those of every method
}

// Document is what the OpenAPI document describes.
type Document struct {
	Methods  []Method
	Upload   string        // path of uploads
	Webhooks []string      // kinds of events
	Status   func(int) int // the HTTP status of an error code
}

// Common are the error codes of every method.
var Common = []int{im.CodeBadParameter, im.CodeTooLong, im.CodeTooOften, im.CodeInternal, im.CodeTokenExpired,
	im.CodeTokenMalformed, im.CodeTokenRefused, im.CodeTokenUser, im.CodeTokenApp}

// JSON returns the document as OpenAPI 3.1.
func (d *Document) JSON() []byte { return encode(json.Marshal(d.build())) }

// JSON30 returns the document as OpenAPI 3.0, for generators without 3.1: without webhooks, and without the rules about
// fields that exclude each other.
func (d *Document) JSON30() []byte {
	doc := d.build()
	doc.Webhooks = nil
	doc.Info.License = &huma.License{Name: "Apache-2.0", URL: "https://www.apache.org/licenses/LICENSE-2.0"}
	for _, s := range doc.Components.Schemas.Map() {
		s.AllOf, s.OneOf, s.Not, s.DependentRequired = nil, nil, nil, nil
		for _, p := range s.Properties {
			if p.Ref != "" {
				p.Description, p.ReadOnly = "", false // 3.0 takes nothing beside a reference
			}
		}
	}
	for _, name := range []string{"Event", "Content"} {
		doc.Components.Schemas.Map()[name] = &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true,
			Description: doc.Components.Schemas.Map()[name].Description}
	}
	text := encode(doc.Downgrade())
	return bytes.ReplaceAll(text, []byte(`"contentMediaType":"application/octet-stream",`), nil) // not in 3.0
}

func encode(b []byte, err error) []byte {
	if err != nil {
		panic(fmt.Sprintf("contract: the OpenAPI document cannot be encoded: %v", err)) // built from our own types only
	}
	return b
}

const overview = "Every method can also be called over a device session, with the same JSON; PROTOCOL.md " +
	"describes sessions and events.\n\nAn app server sends its API key, and the header Beckon-User to act for a " +
	"user. A device sends its own token.\n\nUnknown fields of requests are refused, also within objects. Limits " +
	"of strings are in bytes of UTF-8: `x-maxBytes` has them, and `maxLength` the same number."

func (d *Document) build() *huma.OpenAPI {
	reg := huma.NewMapRegistry(schemaPath, huma.DefaultSchemaNamer)
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "Beckon", Version: protocol.Version, Description: overview,
			License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}},
		Servers: []*huma.Server{{URL: "/", Description: "The server of this document."}},
		Components: &huma.Components{Schemas: reg, SecuritySchemes: map[string]*huma.SecurityScheme{
			"apiKey":      {Type: "http", Scheme: "bearer", Description: "The API key of an app server."},
			"deviceToken": {Type: "http", Scheme: "bearer", Description: "The token of a device: a JWT or a UserSig."},
		},
			Parameters: map[string]*huma.Param{
				"CallIDHeader": header("X-Request-Id", "ID of the call for logs; returned in the response.", "call-1"),
				"ActAsHeader": header(
					"Beckon-User",
					"With an API key: the user to act for, percent-encoded outside of ASCII.",
					"alice",
				),
				"UserHeader": header(
					"Beckon-User",
					"With an API key: the user to act for, percent-encoded outside of ASCII; required with an API key.",
					"alice",
				),
				"DeviceHeader": header(
					"Beckon-Device",
					"With a device token that names no device: the ID of the calling device.",
					"phone-1",
				),
			},
			Headers: map[string]*huma.Header{
				"CallID":     {Description: "ID of the call for logs.", Schema: &huma.Schema{Type: huma.TypeString}},
				"RetryAfter": {Description: "Seconds to wait.", Schema: &huma.Schema{Type: huma.TypeInteger}},
			},
		},
	}
	s := schemas{reg: reg, requests: map[string]bool{}}
	failed := s.of(reflect.TypeFor[protocol.Error](), "Error")
	for i := range d.Methods {
		m := &d.Methods[i]
		doc.AddOperation(d.operation(&s, m, failed))
		if !slices.ContainsFunc(doc.Tags, func(t *huma.Tag) bool { return t.Name == m.Tag }) {
			doc.Tags = append(
				doc.Tags,
				&huma.Tag{Name: m.Tag, Description: "Methods about " + strings.ToLower(m.Tag) + "."},
			)
		}
	}
	doc.AddOperation(d.upload(&s, failed))
	for _, t := range events() {
		s.of(t, t.Name())
	}
	for _, t := range []reflect.Type{reflect.TypeFor[protocol.PushNotice](), reflect.TypeFor[protocol.Welcome](),
		reflect.TypeFor[protocol.Hello]()} {
		s.of(t, t.Name())
	}
	s.refine()
	reg.Map()["StoredPush"] = s.storedPush()
	reg.Map()["Event"] = oneOf("An event on a timeline.", events())
	reg.Map()["Content"] = oneOf("An event in the history of a conversation.", shown())
	doc.Webhooks = d.webhooks()
	return doc
}

// operation describes a method.
func (d *Document) operation(s *schemas, m *Method, failed *huma.Schema) *huma.Operation {
	op := &huma.Operation{
		OperationID: m.Name, Method: http.MethodPost, Path: "/v1/" + m.Name, Summary: m.Doc, Description: m.Doc,
		Tags: []string{m.Tag},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/json": {Schema: s.request(m.Request, m.Name+"Request")}}},
		Responses:  d.failures(m.Codes, failed),
		Parameters: []*huma.Param{parameter("CallIDHeader")},
	}
	op.Responses["200"] = &huma.Response{Description: "Success. Changes are durable.", Headers: callID(),
		Content: map[string]*huma.MediaType{"application/json": {Schema: s.of(m.Response, m.Name+"Response")}}}
	d.callers(op, m.Users, m.Servers)
	return op
}

// callers adds the security schemes of an operation, and the headers that name its caller.
func (d *Document) callers(op *huma.Operation, users, servers bool) {
	op.Security = []map[string][]string{{"apiKey": {}}}
	if !users {
		return
	}
	op.Security = append(op.Security, map[string][]string{"deviceToken": {}})
	user := "UserHeader"
	if servers {
		user = "ActAsHeader"
	}
	op.Parameters = append(op.Parameters, parameter(user), parameter("DeviceHeader"))
}

func parameter(name string) *huma.Param { return &huma.Param{Ref: "#/components/parameters/" + name} }

func header(name, doc string, example any) *huma.Param {
	return &huma.Param{Name: name, In: "header", Description: doc,
		Schema: &huma.Schema{Type: huma.TypeString, Examples: []any{example}}}
}

func callID() map[string]*huma.Header {
	return map[string]*huma.Header{"X-Request-Id": {Ref: "#/components/headers/CallID"}}
}

// failures describes the error responses of a method, by HTTP status.
func (d *Document) failures(codes []int, schema *huma.Schema) map[string]*huma.Response {
	by := map[int][]int{}
	for _, c := range slices.Concat(Common, codes) {
		by[d.Status(c)] = append(by[d.Status(c)], c)
	}
	all := map[string]*huma.Response{"default": {Description: "An error.", Headers: callID(),
		Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}}
	for status, codes := range by {
		slices.Sort(codes)
		var text []string
		for _, c := range slices.Compact(codes) {
			text = append(text, strconv.Itoa(c)+" "+meanings[c])
		}
		r := &huma.Response{Description: http.StatusText(status) + ": " + strings.Join(text, "; ") + ".",
			Headers: callID(),
			Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}
		if status == http.StatusTooManyRequests || status >= http.StatusInternalServerError {
			r.Headers["Retry-After"] = &huma.Header{Ref: "#/components/headers/RetryAfter"}
		}
		all[strconv.Itoa(status)] = r
	}
	return all
}

// upload describes the upload of files, the only request without a JSON body.
func (d *Document) upload(s *schemas, failed *huma.Schema) *huma.Operation {
	op := &huma.Operation{
		OperationID: "uploadFile", Method: http.MethodPost, Path: d.Upload, Tags: []string{"Messages"},
		Summary: "Upload a file.",
		Description: "The request body is the file. Content-Type is needed only for audio and video formats that cannot be " +
			"detected from the content.",
		Parameters: []*huma.Param{
			{Name: "kind", In: "query", Required: true, Description: "The kind of message that the file is sent as.",
				Schema: &huma.Schema{Type: huma.TypeString, Enum: []any{"image", "sound", "video", "file"}}},
			{Name: "name", In: "query", Description: "The file name, at most 255 bytes.",
				Schema: &huma.Schema{Type: huma.TypeString, MaxLength: number(255), Examples: []any{"photo.jpg"}}},
			parameter("CallIDHeader"),
		},
		RequestBody: &huma.RequestBody{Required: true,
			Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString,
				Format: "binary"}}}},
		Responses: d.failures(nil, failed),
	}
	op.Responses["200"] = &huma.Response{Description: "Success. The file is stored.", Headers: callID(),
		Content: map[string]*huma.MediaType{"application/json": {
			Schema: s.of(reflect.TypeFor[protocol.UploadResponse](), "UploadResponse")}}}
	d.callers(op, true, false)
	return op
}

// events returns the types of events.
func events() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[protocol.Signaling](), reflect.TypeFor[protocol.GroupEvent](),
		reflect.TypeFor[protocol.Message](), reflect.TypeFor[protocol.MessageEvent](),
		reflect.TypeFor[protocol.ConversationEvent](), reflect.TypeFor[protocol.PersonEvent](),
		reflect.TypeFor[protocol.ReactionEvent](), reflect.TypeFor[protocol.TypingEvent](),
		reflect.TypeFor[protocol.RoomEvent](), reflect.TypeFor[protocol.ParticipantEvent]()}
}

const schemaPath = "#/components/schemas/"

// contentFields are the fields that hold an event of a conversation, by type.
var contentFields = map[string][]string{"Entry": {"event"}, "Conversation": {"last"}}

// shown returns the types of events in the history of conversations.
func shown() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[protocol.Message](), reflect.TypeFor[protocol.Signaling](),
		reflect.TypeFor[protocol.GroupEvent]()}
}

// oneOf is one of some types of events, which their field type tells apart.
func oneOf(doc string, types []reflect.Type) *huma.Schema {
	s := &huma.Schema{Description: doc, Discriminator: &huma.Discriminator{PropertyName: "type",
		Mapping: map[string]string{}}}
	for _, t := range types {
		s.OneOf = append(s.OneOf, &huma.Schema{Ref: schemaPath + t.Name()})
		for _, name := range enums[t.Name()+".type"] {
			s.Discriminator.Mapping[name.(string)] = schemaPath + t.Name()
		}
	}
	return s
}

// webhooks describes the webhook of each kind of event.
func (d *Document) webhooks() map[string]*huma.PathItem {
	all := map[string]*huma.PathItem{}
	for _, kind := range d.Webhooks {
		body := &huma.Schema{Type: huma.TypeObject, Required: []string{"type", "timestamp", "data"},
			Properties: map[string]*huma.Schema{
				"type":      {Type: huma.TypeString, Enum: []any{kind}, Description: "The kind of the event."},
				"timestamp": {Type: huma.TypeString, Format: "date-time", Description: "The time of the event."},
				"data":      {Ref: schemaPath + eventOf(kind), Description: "The event, as devices receive it."},
			}}
		op := &huma.Operation{OperationID: "on." + kind, Summary: "The event " + kind + ".",
			Description: "Signed as Standard Webhooks specifies. Delivered at least once, with the same webhook-id.",
			Tags:        []string{"Webhooks"}, Security: []map[string][]string{},
			Parameters: []*huma.Param{
				required(header("webhook-id", "ID of the event.", "msg_1")),
				required(header("webhook-timestamp", "Unix time of the attempt, in seconds.", "1764518400")),
				required(header("webhook-signature", "Signatures, separated by spaces.", "v1,K5oZfz…")),
			},
			RequestBody: &huma.RequestBody{Required: true,
				Content: map[string]*huma.MediaType{"application/json": {Schema: body}}},
			Responses: map[string]*huma.Response{
				"2XX": {Description: "Accepted."}, "410": {Description: "The receiver is gone: the event is given up."}}}
		all[kind] = &huma.PathItem{Post: op}
	}
	return all
}

func required(p *huma.Param) *huma.Param {
	p.Required = true
	return p
}

// eventOf returns the name of the schema of a webhook's event.
func eventOf(kind string) string {
	family, name, _ := strings.Cut(kind, ".")
	switch {
	case family == "invitation":
		return "Signaling"
	case kind == "message.sent", family == "call":
		return "Message"
	case name == "reactions":
		return "ReactionEvent"
	case family == "message":
		return "MessageEvent"
	case family == "room":
		return "RoomEvent"
	}
	return "GroupEvent"
}

// Meanings returns the meaning of each error code.
func Meanings() map[int]string { return maps.Clone(meanings) }
