package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/beckon-im/beckon/protocol"
)

// OpenAPI returns the OpenAPI document of all methods.
func OpenAPI() []byte {
	a := &API{}
	a.order = a.table()
	return a.openAPI()
}

// openAPI returns the OpenAPI 3.1 document, with schemas generated from the Go types.
func (a *API) openAPI() []byte {
	reg := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "Beckon", Version: protocol.Version,
			Description: "Every method can also be called over a device session, with the same JSON. " +
				"An app server sends its API key, and the header Beckon-User to act for a user. A device sends its own token."},
		Components: &huma.Components{Schemas: reg, SecuritySchemes: map[string]*huma.SecurityScheme{
			"bearer": {Type: "http", Scheme: "bearer", Description: "An app server's API key, or a device's token."},
		}},
		Security: []map[string][]string{{"bearer": {}}},
	}
	failed := &huma.Response{Description: "Error with code, message and details.",
		Content: map[string]*huma.MediaType{"application/json": {Schema: reg.Schema(reflect.TypeFor[protocol.Error](), true,
			"Error")}}}
	for _, v := range a.order {
		op := &huma.Operation{
			OperationID: v.name, Method: http.MethodPost, Path: "/v1/" + v.name, Summary: v.doc, Tags: []string{v.tag},
			RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
				"application/json": {Schema: reg.Schema(v.request, true, v.name+"Request")}}},
			Responses: map[string]*huma.Response{
				"200": {Description: "Success. Changes are durable.", Content: map[string]*huma.MediaType{
					"application/json": {Schema: reg.Schema(v.response, true, v.name+"Response")}}},
				"default": failed,
			},
		}
		if v.callers != servers {
			op.Parameters = []*huma.Param{{Name: HeaderUser, In: "header",
				Description: "With an API key: the user to act for.", Schema: &huma.Schema{Type: huma.TypeString}}}
		}
		doc.AddOperation(op)
	}
	doc.AddOperation(uploadOperation(reg, failed))
	for _, t := range []reflect.Type{reflect.TypeFor[protocol.Signaling](), reflect.TypeFor[protocol.PushNotice](),
		reflect.TypeFor[protocol.GroupEvent](), reflect.TypeFor[protocol.Message](), reflect.TypeFor[protocol.MessageEvent](),
		reflect.TypeFor[protocol.ConversationEvent](), reflect.TypeFor[protocol.PersonEvent](),
		reflect.TypeFor[protocol.ReactionEvent](), reflect.TypeFor[protocol.TypingEvent](),
		reflect.TypeFor[protocol.RoomEvent](), reflect.TypeFor[protocol.Welcome](), reflect.TypeFor[protocol.Hello]()} {
		reg.Schema(t, true, t.Name()) // schemas of events and connect data, for code generators
	}
	b, err := json.Marshal(doc)
	if err != nil {
		panic(fmt.Sprintf("api: the OpenAPI document cannot be encoded: %v", err)) // built from our own types only
	}
	return b
}

// uploadOperation describes the upload of files, the only request without a JSON body.
func uploadOperation(reg huma.Registry, failed *huma.Response) *huma.Operation {
	text := func(name, doc string, required bool, enum ...any) *huma.Param {
		return &huma.Param{Name: name, In: "query", Required: required, Description: doc,
			Schema: &huma.Schema{Type: huma.TypeString, Enum: enum}}
	}
	return &huma.Operation{
		OperationID: "uploadFile", Method: http.MethodPost, Path: pathFiles, Tags: []string{"Messages"},
		Summary: "Upload a file as the request body. Content-Type is needed only for audio and video formats " +
			"that cannot be detected from the content.",
		Parameters: []*huma.Param{
			text("kind", "The kind of message that the file is sent as.", true, "image", "sound", "video", "file"),
			text("name", "The file name, at most 255 bytes.", false),
			{Name: HeaderUser, In: "header", Description: "With an API key: the user to act for.",
				Schema: &huma.Schema{Type: huma.TypeString}},
		},
		RequestBody: &huma.RequestBody{Required: true,
			Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString,
				Format: "binary"}}}},
		Responses: map[string]*huma.Response{
			"200": {Description: "Success. The file is stored.",
				Content: map[string]*huma.MediaType{"application/json": {
					Schema: reg.Schema(reflect.TypeFor[protocol.UploadResponse](), true, "UploadResponse")}}},
			"default": failed,
		},
	}
}

// docsPage returns the HTML documentation of all methods. It has no external resources.
func (a *API) docsPage() []byte {
	type field struct{ Name, Type, Doc string }
	type entry struct {
		Name, Doc string
		Fields    []field
	}
	var list []entry
	for _, v := range a.order {
		e := entry{Name: v.name, Doc: v.doc}
		for _, f := range reflect.VisibleFields(v.request) {
			if f.Anonymous {
				continue
			}
			doc := f.Tag.Get("doc")
			if enum := f.Tag.Get("enum"); enum != "" {
				doc += " One of: " + strings.ReplaceAll(enum, ",", ", ") + "."
			}
			e.Fields = append(e.Fields, field{jsonName(f), f.Type.String(), doc})
		}
		list = append(list, e)
	}
	var b bytes.Buffer
	if err := template.Must(template.New("docs").Parse(docsTemplate)).Execute(&b, list); err != nil {
		panic(fmt.Sprintf("api: the documentation page cannot be rendered: %v", err))
	}
	return b.Bytes()
}

func jsonName(f reflect.StructField) string {
	name, _, _ := bytes.Cut([]byte(f.Tag.Get("json")), []byte(","))
	return string(name)
}

const docsTemplate = `<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Beckon API methods</title><style>
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}
code{font-family:ui-monospace,monospace}h2{margin-top:2.2rem;font-size:1.1rem}
td{padding:.15rem 1rem .15rem 0;vertical-align:top}
nav a{margin-right:.8rem;white-space:nowrap}</style>
<h1>API methods</h1>
<p>Call a method with <code>POST /v1/&lt;method&gt;</code> and a JSON object, or over a device session.
The machine-readable description is <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).</p>
<nav>{{range .}}<a href="#{{.Name}}">{{.Name}}</a> {{end}}</nav>
{{range .}}<h2 id="{{.Name}}"><code>{{.Name}}</code></h2><p>{{.Doc}}</p>
{{if .Fields}}<table>{{range .Fields}}
<tr><td><code>{{.Name}}</code></td><td><code>{{.Type}}</code></td><td>{{.Doc}}</td></tr>
{{end}}</table>{{end}}{{end}}</html>`
