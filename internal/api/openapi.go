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

// OpenAPI describes the table without a server.
func OpenAPI() []byte {
	a := &API{}
	a.order = a.table()
	return a.openAPI()
}

// openAPI describes the table in OpenAPI 3.1, with schemas made from the Go types.
func (a *API) openAPI() []byte {
	reg := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "Beckon", Version: protocol.Version,
			Description: "Every verb is also a call over a device's session, " +
				"with the same JSON. An app server sends its API key and the header Beckon-User to act for a user; a device sends " +
				"its own token."},
		Components: &huma.Components{Schemas: reg, SecuritySchemes: map[string]*huma.SecurityScheme{
			"bearer": {Type: "http", Scheme: "bearer", Description: "An app server's API key, or a device's token."},
		}},
		Security: []map[string][]string{{"bearer": {}}},
	}
	failed := &huma.Response{Description: "Refused: a number, a message, and what applies.",
		Content: map[string]*huma.MediaType{"application/json": {Schema: reg.Schema(reflect.TypeFor[protocol.Error](), true,
			"Error")}}}
	for _, v := range a.order {
		op := &huma.Operation{
			OperationID: v.name, Method: http.MethodPost, Path: "/v1/" + v.name, Summary: v.doc, Tags: []string{v.tag},
			RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
				"application/json": {Schema: reg.Schema(v.request, true, v.name+"Request")}}},
			Responses: map[string]*huma.Response{
				"200": {Description: "Done, and durable.", Content: map[string]*huma.MediaType{
					"application/json": {Schema: reg.Schema(v.response, true, v.name+"Response")}}},
				"default": failed,
			},
		}
		if v.who != servers {
			op.Parameters = []*huma.Param{{Name: HeaderUser, In: "header",
				Description: "With an API key: the user for whom it acts.", Schema: &huma.Schema{Type: huma.TypeString}}}
		}
		doc.AddOperation(op)
	}
	doc.AddOperation(uploadOperation(reg, failed))
	for _, t := range []reflect.Type{reflect.TypeFor[protocol.Signaling](), reflect.TypeFor[protocol.PushNotice](),
		reflect.TypeFor[protocol.GroupEvent](), reflect.TypeFor[protocol.Message](), reflect.TypeFor[protocol.MessageEvent](),
		reflect.TypeFor[protocol.ConversationEvent](), reflect.TypeFor[protocol.PersonEvent](),
		reflect.TypeFor[protocol.RoomEvent](), reflect.TypeFor[protocol.Welcome](), reflect.TypeFor[protocol.Hello]()} {
		reg.Schema(t, true, t.Name()) // what devices are told, for those who generate types
	}
	b, err := json.Marshal(doc)
	if err != nil {
		panic(fmt.Sprintf("api: the OpenAPI document cannot be encoded: %v", err)) // built from our own types alone
	}
	return b
}

// uploadOperation describes the one door that takes no JSON.
func uploadOperation(reg huma.Registry, failed *huma.Response) *huma.Operation {
	text := func(name, doc string, required bool, enum ...any) *huma.Param {
		return &huma.Param{Name: name, In: "query", Required: required, Description: doc,
			Schema: &huma.Schema{Type: huma.TypeString, Enum: enum}}
	}
	return &huma.Operation{
		OperationID: "uploadFile", Method: http.MethodPost, Path: pathFiles, Tags: []string{"Messages"},
		Summary: "Upload a file, whose bytes are the body. Content-Type is needed only for sounds and videos that cannot be " +
			"told by their bytes.",
		Parameters: []*huma.Param{
			text("kind", "What it is sent as.", true, "image", "sound", "video", "file"),
			text("name", "At most 255 bytes.", false),
			{Name: HeaderUser, In: "header", Description: "With an API key: the user for whom it acts.",
				Schema: &huma.Schema{Type: huma.TypeString}},
		},
		RequestBody: &huma.RequestBody{Required: true,
			Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString,
				Format: "binary"}}}},
		Responses: map[string]*huma.Response{
			"200":     {Description: "Kept.", Content: map[string]*huma.MediaType{"application/json": {Schema: reg.Schema(reflect.TypeFor[protocol.UploadResponse](), true, "UploadResponse")}}},
			"default": failed,
		},
	}
}

// docsPage is the description for people. It needs nothing from anywhere else.
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
		panic(fmt.Sprintf("api: the page of verbs cannot be made: %v", err))
	}
	return b.Bytes()
}

func jsonName(f reflect.StructField) string {
	name, _, _ := bytes.Cut([]byte(f.Tag.Get("json")), []byte(","))
	return string(name)
}

const docsTemplate = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Beckon: verbs</title><style>
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}
code{font-family:ui-monospace,monospace}h2{margin-top:2.2rem;font-size:1.1rem}td{padding:.15rem 1rem .15rem 0;vertical-align:top}
nav a{margin-right:.8rem;white-space:nowrap}</style>
<h1>Verbs</h1><p>Each is <code>POST /v1/&lt;verb&gt;</code> with a JSON object, and the same call over a device's session.
The machine-readable description is <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).</p>
<nav>{{range .}}<a href="#{{.Name}}">{{.Name}}</a> {{end}}</nav>
{{range .}}<h2 id="{{.Name}}"><code>{{.Name}}</code></h2><p>{{.Doc}}</p>{{if .Fields}}<table>{{range .Fields}}
<tr><td><code>{{.Name}}</code></td><td><code>{{.Type}}</code></td><td>{{.Doc}}</td></tr>{{end}}</table>{{end}}{{end}}</html>`
