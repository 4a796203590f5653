package api

import (
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"

	"github.com/beckon-im/beckon/im"
)

// shape describes a JSON value: the names of an object's fields, and which of them are required.
type shape struct {
	fields   map[string]field // nil: any name
	required []string         // in the order of the fields of the struct
	mask     uint64           // bits of the required fields
	each     *shape           // shape of list elements, or of values of an object with any names; nil: any
	scalar   bool             // a string, number, or true or false
}

type field struct {
	bit   uint64 // bit in the set of fields already seen
	value *shape // nil: any
}

// shapeOf returns the shape that a type is decoded from; nil (any JSON) for types with their own UnmarshalJSON.
func shapeOf(t reflect.Type, known map[reflect.Type]*shape) *shape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if s, ok := known[t]; ok || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return s
	}
	s := &shape{}
	known[t] = s
	switch t.Kind() {
	case reflect.Slice, reflect.Array, reflect.Map:
		s.each = shapeOf(t.Elem(), known)
	case reflect.Struct:
		s.fields = map[string]field{}
		s.add(t, known)
	default:
		s.scalar = true
	}
	return s
}

// add adds the fields of a struct, including embedded ones.
func (s *shape) add(t reflect.Type, known map[reflect.Type]*shape) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case f.Anonymous && name == "" && inner.Kind() == reflect.Struct:
			s.add(inner, known)
			continue
		case !f.IsExported() || name == "-":
			continue
		case name == "":
			name = f.Name
		}
		if _, taken := s.fields[name]; !taken {
			if len(s.fields) == 64 {
				panic("api: " + t.Name() + " has more fields than a word has bits")
			}
			bit := uint64(1) << len(s.fields)
			s.fields[name] = field{bit: bit, value: shapeOf(f.Type, known)}
			if !strings.Contains(options, "omitempty") {
				s.required, s.mask = append(s.required, name), s.mask|bit
			}
		}
	}
}

// exact checks the fields of an object beyond what encoding/json does: names match the shape exactly, including case,
// and occur once; required fields are there; no string, number or truth value is null; whole numbers are exact in every
// language. text must be valid JSON.
func (s *shape) exact(text []byte) error {
	w := names{text: text}
	w.space()
	return w.value(s, "body")
}

// names scans valid JSON.
type names struct {
	text []byte
	at   int
	path []string
}

func (w *names) space() {
	for w.at < len(w.text) && w.text[w.at] <= ' ' {
		w.at++
	}
}

// maxExact is the largest whole number that is exact in a 64-bit float, as JavaScript's numbers are.
const maxExact = 1<<53 - 1

// value scans the value of a field and checks the names in it.
func (w *names) value(s *shape, name string) error {
	switch w.text[w.at] {
	case '{':
		return w.object(s)
	case '[':
		var each *shape
		if s != nil {
			each = s.each
		}
		for w.at++; ; w.at++ {
			if w.space(); w.text[w.at] == ']' {
				break
			}
			if err := w.value(each, ""); err != nil {
				return err
			}
			if w.space(); w.text[w.at] == ']' {
				break
			}
		}
		w.at++
	case '"':
		w.string()
	default:
		begin := w.at
		for w.at < len(w.text) && strings.IndexByte(",]} \t\r\n", w.text[w.at]) < 0 {
			w.at++
		}
		if s != nil && s.scalar {
			return w.literal(w.text[begin:w.at], name)
		}
	}
	return nil
}

// literal checks null, a number, true or false.
func (w *names) literal(text []byte, name string) error {
	if string(text) == "null" {
		return im.Bad(w.field(name), "must not be null; omit the field instead")
	}
	if len(text) < len("9007199254740991") {
		return nil
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if errors.Is(err, strconv.ErrRange) || err == nil && (n > maxExact || n < -maxExact) {
		return im.Bad(w.field(name), "is beyond the whole numbers that are exact in all languages: at most 2^53-1")
	}
	return nil
}

// string scans a string and returns the text between its quotes; escaped means that it has to be decoded.
func (w *names) string() (inner []byte, escaped bool) {
	w.at++
	begin := w.at
	for ; w.text[w.at] != '"'; w.at++ {
		if w.text[w.at] == '\\' {
			escaped = true
			w.at++
		}
	}
	w.at++
	return w.text[begin : w.at-1], escaped
}

func (w *names) object(s *shape) error {
	var seen uint64
	var others map[string]bool // names seen if any name is permitted
	for w.at++; ; w.at++ {
		if w.space(); w.text[w.at] == '}' {
			break
		}
		begin := w.at
		name, escaped := w.string()
		if escaped {
			var plain string
			if err := json.Unmarshal(w.text[begin:w.at], &plain); err != nil {
				return badJSON(err)
			}
			name = []byte(plain)
		}
		var value *shape
		twice := false
		if s != nil && s.fields != nil {
			f, ok := s.fields[string(name)]
			if !ok {
				return im.Bad(w.field(string(name)), "is not a field of this method; field names are case-sensitive")
			}
			value, twice, seen = f.value, seen&f.bit != 0, seen|f.bit
		} else {
			if s != nil {
				value = s.each
			}
			if others == nil {
				others = map[string]bool{}
			}
			twice = others[string(name)]
			others[string(name)] = true
		}
		if twice {
			return im.Bad(w.field(string(name)), "must not be repeated")
		}
		w.space()
		w.at++ // the colon
		w.space()
		if err := w.within(name, value); err != nil {
			return err
		}
		if w.space(); w.text[w.at] == '}' {
			break
		}
	}
	w.at++
	if s != nil && seen&s.mask != s.mask {
		return w.missing(s, seen)
	}
	return nil
}

// missing returns the error for the first required field that is not among those seen.
func (w *names) missing(s *shape, seen uint64) error {
	for _, name := range s.required {
		if seen&s.fields[name].bit == 0 {
			return im.Bad(w.field(name), "is missing")
		}
	}
	return nil
}

// within scans the value of a field, and adds its name to the path.
func (w *names) within(name []byte, s *shape) error {
	if c := w.text[w.at]; c != '{' && c != '[' {
		return w.value(s, string(name))
	}
	w.path = append(w.path, string(name))
	err := w.value(s, string(name))
	w.path = w.path[:len(w.path)-1]
	return err
}

// field returns the path of a field.
func (w *names) field(name string) string {
	if name == "" { // an element of the list at the path
		return clip(strings.Join(w.path, "."))
	}
	return clip(strings.Join(append(w.path, name), "."))
}
