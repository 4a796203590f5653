package api

import (
	"bytes"
	"fmt"
	"html/template"
	"reflect"
	"strings"

	"github.com/beckon-im/beckon/internal/contract"
)

// Contract describes all methods.
func Contract() *contract.Document {
	a := &API{}
	a.order = a.table()
	return a.contract()
}

// contract describes the methods for the OpenAPI document.
func (a *API) contract() *contract.Document {
	d := &contract.Document{Upload: pathFiles, Webhooks: contract.WebhookKinds(), Status: status}
	for _, v := range a.order {
		d.Methods = append(d.Methods, contract.Method{Name: v.name, Doc: v.doc, Tag: v.tag, Users: v.callers != servers,
			Servers: v.callers != users, Request: v.request, Response: v.response, Codes: v.codes})
	}
	return d
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
The machine-readable description is <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>
<nav>{{range .}}<a href="#{{.Name}}">{{.Name}}</a> {{end}}</nav>
{{range .}}<h2 id="{{.Name}}"><code>{{.Name}}</code></h2><p>{{.Doc}}</p>
{{if .Fields}}<table>{{range .Fields}}
<tr><td><code>{{.Name}}</code></td><td><code>{{.Type}}</code></td><td>{{.Doc}}</td></tr>
{{end}}</table>{{end}}{{end}}</html>`
