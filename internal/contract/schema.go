package contract

import (
	"fmt"
	"maps"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/beckon-im/beckon/protocol"
)

// maxExact is the largest whole number that is exact in a 64-bit float, as JavaScript's numbers are.
const maxExact = 1<<53 - 1

// schemas collects the types of the document.
type schemas struct {
	reg      huma.Registry
	types    []reflect.Type
	known    map[reflect.Type]bool
	requests map[string]bool // names of the schemas of requests
}

// of returns the schema of a type.
func (s *schemas) of(t reflect.Type, hint string) *huma.Schema {
	s.visit(t)
	return s.reg.Schema(t, true, hint)
}

// request returns the schema of a type of requests, whose unknown fields are refused.
func (s *schemas) request(t reflect.Type, hint string) *huma.Schema {
	s.requests[t.Name()] = true
	return s.of(t, hint)
}

// visit notes a struct and the structs within.
func (s *schemas) visit(t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || s.known[t] {
		return
	}
	if s.known == nil {
		s.known = map[reflect.Type]bool{}
	}
	s.known[t] = true
	s.types = append(s.types, t)
	for i := range t.NumField() {
		s.visit(t.Field(i).Type)
	}
}

// refine adds limits, enumerations, descriptions and examples to the schemas of all types.
func (s *schemas) refine() {
	for _, t := range s.types {
		schema := s.reg.Map()[t.Name()]
		if schema == nil { // only embedded in others
			continue
		}
		if !s.requests[t.Name()] {
			schema.AdditionalProperties = nil // later versions add fields to responses, and to the objects within
		}
		schema.Description = comments[t.Name()]
		for _, f := range reflect.VisibleFields(t) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if p := schema.Properties[name]; p != nil && !f.Anonymous {
				refineField(p, t, &f, name)
			}
		}
		schema.AllOf = exclusive[t.Name()]
		schema.DependentRequired = needs[t.Name()]
		if p := schema.Properties["offlinePush"]; p != nil && !s.requests[t.Name()] {
			p.Ref = schemaPath + "StoredPush"
		}
		for _, field := range contentFields[t.Name()] {
			schema.Properties[field] = &huma.Schema{Ref: schemaPath + "Content",
				Description: schema.Properties[field].Description}
		}
	}
}

// storedPush returns the schema of the push of a stored message, which may be older than the limits.
func (s *schemas) storedPush() *huma.Schema {
	stored := *s.reg.Map()["Push"]
	stored.Properties = maps.Clone(stored.Properties)
	for name, p := range stored.Properties {
		free := *p
		free.MaxLength, free.Minimum, free.Maximum, free.Extensions = nil, nil, nil, nil
		stored.Properties[name] = &free
	}
	return &stored
}

// refineField completes the schema of a field.
func refineField(p *huma.Schema, t reflect.Type, f *reflect.StructField, name string) {
	p.Description = description(t, f, name)
	p.ReadOnly = f.Type == reflect.TypeFor[*protocol.CallElem]()
	if p.Ref != "" {
		return
	}
	element, of := p, f.Type
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if p.Type == huma.TypeArray {
		p.Nullable = false
		element, of = p.Items, of.Elem()
	}
	if element.Ref == "" {
		refineScalar(element, of, t, name)
		if rule := f.Tag.Get("limit"); rule != "any" && element.Type == huma.TypeString {
			identify(element, name, element == p && strings.Contains(f.Tag.Get("json"), ",omitempty"))
		}
	}
	if rule := f.Tag.Get("limit"); rule != "" && rule != "any" {
		limit(p, rule)
	}
	if p == element && len(p.Enum) == 0 && p.Type != "" && p.Type != huma.TypeObject {
		p.Examples = []any{example(name, p)}
	}
}

// refineScalar adds what the type and the name of a value say.
func refineScalar(s *huma.Schema, of, t reflect.Type, name string) {
	if list, ok := enums[t.Name()+"."+name]; ok {
		s.Enum = list
	} else if list := enumOf[of.String()]; list != nil && len(s.Enum) == 0 {
		s.Enum = list
	}
	switch of.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint64:
		s.Format = "int64"
		if s.Minimum == nil {
			s.Minimum = float(-maxExact)
		}
		s.Maximum = float(maxExact)
		if name == "limit" {
			s.Minimum, s.Maximum = float(0), float(1000)
		}
		if len(s.Enum) > 0 {
			s.Minimum, s.Maximum = nil, nil
		}
	}
}

func float(n float64) *float64 { return &n }

func number(n int) *int { return &n }

// limit applies the rule of a tag: "256 bytes", "1..64 bytes", "0..86400", "0..", "30 items", "1..50 items", "20 keys
// of 32 bytes, values of 500 bytes", or one of forms.
func limit(s *huma.Schema, rule string) {
	if form, ok := forms[rule]; ok {
		form(s)
		return
	}
	first, rest, _ := strings.Cut(rule, " ")
	low, high, ranged := strings.Cut(first, "..")
	if !ranged {
		low, high = "", first
	}
	unit, rest, _ := strings.Cut(rest, " of ")
	least, most := bound(rule, low), bound(rule, high)
	switch unit {
	case "":
		s.Minimum = least
		if most != nil {
			s.Maximum = most
		}
	case "bytes":
		s.MinLength, s.MaxLength = whole(least), whole(most)
		if most != nil {
			s.Extensions = map[string]any{"x-maxBytes": *s.MaxLength}
			s.Description = sentence(s.Description, fmt.Sprintf("At most %d bytes.", *s.MaxLength))
		}
	case "items":
		s.MinItems, s.MaxItems = whole(least), whole(most)
	case "keys":
		s.MinProperties, s.MaxProperties = whole(least), whole(most)
		s.Description = sentence(s.Description, "Keys of at most "+rest+".")
	default:
		panic("contract: unknown limit " + rule)
	}
}

func bound(rule, text string) *float64 {
	if text == "" {
		return nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic("contract: unknown limit " + rule)
	}
	return &n
}

func whole(n *float64) *int {
	if n == nil {
		return nil
	}
	return number(int(*n))
}

func sentence(text, more string) string { return strings.TrimSpace(text + " " + more) }
