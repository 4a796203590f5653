package contract

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// mutation is a request that is valid but for one fault.
type mutation struct {
	what   string
	body   []byte
	unsaid bool // a schema cannot state the rule
}

// mutations returns the near-valid requests of a schema: for each rule of each field one that breaks it.
func (g *generator) mutations(s *schema) []mutation {
	var list []mutation
	add := func(what string, o map[string]any) {
		b, err := json.Marshal(o)
		if err != nil {
			panic(err)
		}
		nested := strings.Contains(what, "with an unknown field") // the objects within are those of responses too
		list = append(list, mutation{what: what, body: b, unsaid: nested})
	}
	add("an unknown field", with(g.object(s, ""), "nonsense", 1))
	for _, name := range s.Required {
		o := g.object(s, "")
		delete(o, name)
		add("without "+name, o)
	}
	for _, rule := range s.AllOf {
		if len(rule.OneOf) > 1 {
			first, second := rule.OneOf[0].Required[0], rule.OneOf[1].Required[0]
			o := g.object(s, first)
			add("both "+first+" and "+second, with(o, second, g.value(second, s.Properties[second])))
			o = g.object(s, first)
			delete(o, first)
			add("neither "+first+" nor another", o)
		}
		if rule.Not != nil && len(rule.Not.Required) > 1 {
			o := g.object(s, rule.Not.Required[0])
			for _, name := range rule.Not.Required {
				o[name] = g.set(name, s.Properties[name])
			}
			add("together "+strings.Join(rule.Not.Required, ", "), o)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		for what, v := range g.faults(name, g.doc.resolve(p)) {
			add(name+" "+what, with(g.object(s, name), name, v))
		}
		if p.ReadOnly {
			add(name+", which only the server writes", with(g.object(s, ""), name, g.value(name, p)))
			list[len(list)-1].unsaid = true
		}
	}
	return list
}

// set returns a value that is not the zero value.
func (g *generator) set(name string, s *schema) any {
	for range 100 {
		switch v := g.value(name, s).(type) {
		case bool:
			if v {
				return v
			}
		case int64:
			if v != 0 {
				return v
			}
		default:
			return v
		}
	}
	return nil
}

func with(o map[string]any, name string, v any) map[string]any {
	o[name] = v
	return o
}

// faults returns wrong values of a field, by what is wrong.
func (g *generator) faults(name string, s *schema) map[string]any {
	all := map[string]any{}
	if len(s.Enum) > 0 {
		all["not of its values"] = "nonsense"
		if s.is("integer") {
			all["not of its values"] = 12345
		}
		return all
	}
	switch {
	case s.is("string"):
		all["a number"], all["null"] = 7, nil
		if s.MaxLength != nil {
			all["too long"] = strings.Repeat("x", *s.MaxLength+1)
			if strings.Contains(s.Pattern, "c2c") {
				all["too long"] = "c2c_" + all["too long"].(string)
			}
		}
		if s.MinLength > 0 {
			all["empty"] = ""
		}
		if s.Pattern != "" {
			all["against its pattern"] = "a b"
		}
	case s.is("integer"), s.is("number"):
		all["a string"], all["null"] = "7", nil
		if s.is("integer") {
			all["a fraction"] = 1.5
		}
		if s.Minimum != nil {
			all["too small"] = int64(*s.Minimum) - 1
		}
		if s.Maximum != nil {
			all["too large"] = int64(*s.Maximum) + 1
		}
	case s.is("boolean"):
		all["a string"], all["null"] = "true", nil
	case s.is("array"):
		all["an object"], all["a string"] = map[string]any{}, "x"
		g.listFaults(all, name, s)
	case s.is("object") && len(s.Properties) > 0:
		all["a list"] = []any{}
		for what, v := range g.within(s) {
			all[what] = v
		}
	}
	return all
}

func (g *generator) listFaults(all map[string]any, name string, s *schema) {
	for what, v := range g.faults(name, g.doc.resolve(s.Items)) {
		list := g.list(name, s)
		if len(list) == 0 {
			list = []any{v}
		}
		list[0] = v
		all["with an element "+what] = list
	}
	if s.MinItems > 0 {
		all["empty"] = []any{}
	}
	if s.MaxItems != nil {
		var list []any
		for range *s.MaxItems + 1 {
			list = append(list, g.value(name, s.Items))
		}
		all["too long"] = list
	}
}

// within returns objects with one fault in a field.
func (g *generator) within(s *schema) map[string]any {
	all := map[string]any{"with an unknown field": with(g.object(s, ""), "nonsense", 1)}
	for _, name := range s.Required {
		o := g.object(s, "")
		delete(o, name)
		all["without "+name] = o
	}
	for name, p := range s.Properties {
		for what, v := range g.faults(name, g.doc.resolve(p)) {
			all["with "+name+" "+what] = with(g.object(s, name), name, v)
		}
	}
	return all
}
