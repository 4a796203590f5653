package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// schema is the part of a JSON schema that the document uses.
type schema struct {
	Ref           string              `json:"$ref"`
	Type          any                 `json:"type"`
	Enum          []any               `json:"enum"`
	Minimum       *float64            `json:"minimum"`
	Maximum       *float64            `json:"maximum"`
	MultipleOf    *float64            `json:"multipleOf"`
	MinLength     int                 `json:"minLength"`
	MaxLength     *int                `json:"maxLength"`
	Pattern       string              `json:"pattern"`
	Items         *schema             `json:"items"`
	MinItems      int                 `json:"minItems"`
	MaxItems      *int                `json:"maxItems"`
	Unique        bool                `json:"uniqueItems"`
	Properties    map[string]*schema  `json:"properties"`
	Required      []string            `json:"required"`
	MinProperties int                 `json:"minProperties"`
	MaxProperties *int                `json:"maxProperties"`
	ReadOnly      bool                `json:"readOnly"`
	Depends       map[string][]string `json:"dependentRequired"`
	AllOf         []*schema           `json:"allOf"`
	OneOf         []*schema           `json:"oneOf"`
	AnyOf         []*schema           `json:"anyOf"`
	Not           *schema             `json:"not"`
	Additional    json.RawMessage     `json:"additionalProperties"`
}

// is reports whether values have a type.
func (s *schema) is(kind string) bool { return s.Type == kind }

// document is the part of the OpenAPI document that the test reads.
type document struct {
	Paths map[string]struct {
		Post struct {
			OperationID string `json:"operationId"`
			Tags        []string
			Security    []map[string][]string
			RequestBody struct {
				Content map[string]struct {
					Schema *schema `json:"schema"`
				} `json:"content"`
			} `json:"requestBody"`
			Responses map[string]struct {
				Content map[string]struct {
					Schema *schema `json:"schema"`
				} `json:"content"`
			} `json:"responses"`
		} `json:"post"`
	} `json:"paths"`
	Webhooks   map[string]any `json:"webhooks"`
	Components struct {
		Schemas map[string]*schema `json:"schemas"`
	} `json:"components"`
}

// resolve follows a reference.
func (d *document) resolve(s *schema) *schema {
	for s.Ref != "" {
		s = d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	return s
}

// generator makes values of schemas.
type generator struct {
	doc  *document
	rnd  *rand.Rand
	pool map[string][]string // IDs that exist, by the names of fields
	seq  uint64              // a sequence that exists; 0 = any
	// all IDs are of the pool
	known bool
}

// value returns a valid value of a field. all means that an object has all its optional fields.
func (g *generator) value(name string, s *schema) any {
	s = g.doc.resolve(s)
	switch {
	case len(s.Enum) > 0:
		return s.Enum[g.rnd.IntN(len(s.Enum))]
	case s.is("string"):
		return g.text(name, s)
	case s.is("integer"), s.is("number"):
		return g.number(name, s)
	case name == "skipInvalid": // malformed IDs would be skipped
		return false
	case s.is("boolean"):
		return g.rnd.IntN(2) == 0
	case s.is("array"):
		return g.list(name, s)
	}
	return g.object(s, "")
}

// meant are numbers whose rules a schema cannot state: the end of an interval comes after its begin, and a birthday is
// a date.
var meant = map[string]int64{"until": time.Now().UnixMilli(), "birthday": 20001231}

func (g *generator) number(name string, s *schema) int64 {
	if n, ok := meant[name]; ok {
		return n
	}
	if name == "seqList" && g.seq > 0 {
		return int64(g.seq)
	}
	low, high := -1000.0, 1000.0
	if s.Minimum != nil {
		low = max(*s.Minimum, low)
		high = low + 1000
	}
	if s.Maximum != nil {
		high = min(high, *s.Maximum)
	}
	n := int64(low) + g.rnd.Int64N(int64(high-low)+1)
	if s.MultipleOf != nil {
		n *= int64(*s.MultipleOf)
	}
	return n
}

func (g *generator) text(name string, s *schema) string {
	if ids := g.pool[name]; len(ids) > 0 && (g.known || g.rnd.IntN(4) > 0 || name == "p256dh" || name == "auth") {
		return ids[g.rnd.IntN(len(ids))]
	}
	if strings.Contains(s.Pattern, "c2c") {
		return "c2c_" + fmt.Sprintf("u%d", g.rnd.IntN(1000))
	}
	if strings.Contains(s.Pattern, ":[0-5]") {
		return fmt.Sprintf("%02d:%02d", g.rnd.IntN(24), g.rnd.IntN(60))
	}
	if strings.Contains(s.Pattern, "https") {
		return fmt.Sprintf("https://push.example.com/%d", g.rnd.IntN(1000))
	}
	return strings.Repeat("x", max(s.MinLength-4, 0)) + fmt.Sprintf("x%d", g.rnd.IntN(1000))
}

func (g *generator) list(name string, s *schema) []any {
	n := s.MinItems + g.rnd.IntN(3)
	if s.MaxItems != nil {
		n = min(n, *s.MaxItems)
	}
	list := []any{}
	for tries := 0; len(list) < n && tries < 100; tries++ {
		v := g.value(name, s.Items)
		if !slices.ContainsFunc(list, func(o any) bool { return fmt.Sprint(o) == fmt.Sprint(v) }) {
			list = append(list, v)
		}
	}
	return list
}

// object returns a valid object. It has the field with.
func (g *generator) object(s *schema, with string) map[string]any {
	o := map[string]any{}
	if len(s.Properties) == 0 && len(s.Additional) > 0 && s.Additional[0] == '{' {
		var each schema
		if json.Unmarshal(s.Additional, &each) == nil {
			for i := range s.MinProperties + g.rnd.IntN(3) {
				o[fmt.Sprintf("key%d", i)] = g.value("", &each)
			}
		}
		return o
	}
	chosen, excluded := g.choose(s, with)
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		wanted := slices.Contains(s.Required, name) || slices.Contains(chosen, name) || name == with
		if isCursor(name, p) { // only the server makes them
			continue
		}
		if wanted || !excluded[name] && !p.ReadOnly && g.rnd.IntN(4) == 0 && g.allowed(s, o, name) {
			o[name] = g.value(name, p)
		}
	}
	g.agree(s, o)
	g.complete(s, o)
	return o
}

// isCursor reports whether a field is the next of a previous page.
func isCursor(name string, s *schema) bool {
	return (name == "after" || name == "before") && s.is("string")
}

// agree sets the fields whose values depend on the presence of others.
func (g *generator) agree(s *schema, o map[string]any) {
	for _, rule := range s.AllOf {
		for _, choice := range rule.OneOf {
			if _, chosen := o[choice.Required[0]]; !chosen {
				continue
			}
			for name, p := range choice.Properties {
				o[name] = g.value(name, p)
			}
		}
	}
}

// complete removes the fields that depend on fields which are not there.
func (g *generator) complete(s *schema, o map[string]any) {
	for name, needs := range s.Depends {
		if _, there := o[name]; !there {
			continue
		}
		for _, need := range needs {
			if _, there := o[need]; !there {
				delete(o, name)
			}
		}
	}
}

// allowed reports whether no rule excludes a field beside those of an object.
func (g *generator) allowed(s *schema, o map[string]any, name string) bool {
	for _, rule := range s.AllOf {
		if rule.Not == nil || !slices.Contains(rule.Not.Required, name) {
			continue
		}
		others := 0
		for _, r := range rule.Not.Required {
			if _, there := o[r]; there {
				others++
			}
		}
		if others == len(rule.Not.Required)-1 {
			return false
		}
	}
	return true
}

// choose chooses one of the fields of each rule that wants one, and returns those that are excluded.
func (g *generator) choose(s *schema, with string) (chosen []string, excluded map[string]bool) {
	excluded = map[string]bool{}
	rules := s.AllOf
	for _, rule := range s.AllOf {
		rules = append(rules, rule.AnyOf...)
	}
	for _, rule := range rules {
		if len(rule.OneOf) == 0 {
			continue
		}
		var fields []string
		for _, o := range rule.OneOf {
			fields = append(fields, o.Required...)
		}
		pick := fields[g.rnd.IntN(len(fields))]
		if slices.Contains(fields, with) {
			pick = with
		}
		for _, f := range fields {
			excluded[f] = f != pick
		}
		chosen = append(chosen, pick)
	}
	return chosen, excluded
}
