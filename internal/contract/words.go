package contract

import (
	_ "embed"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed comments.json
var commentText []byte

// comments are those of the Go types and fields of package protocol, by "Type" and "Type.Field". TestComments writes
// them.
var comments = func() map[string]string {
	var m map[string]string
	if err := json.Unmarshal(commentText, &m); err != nil {
		panic("contract: comments.json: " + err.Error())
	}
	return m
}()

// description returns the tag doc of a field, or its comment, or what its name says everywhere.
func description(t reflect.Type, f *reflect.StructField, name string) string {
	if doc := f.Tag.Get("doc"); doc != "" {
		return doc
	}
	for _, key := range []string{t.Name() + "." + f.Name, "." + f.Name} {
		if text := comments[key]; text != "" {
			return capital(text)
		}
	}
	return names[name]
}

// capital makes a comment a sentence.
func capital(text string) string {
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	if word, _, _ := strings.Cut(text, " "); len(word) > 1 && strings.ToLower(word) == word &&
		names[strings.Trim(word, ":,;")] == "" {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	return text
}

// example returns an example of a field.
func example(name string, s *huma.Schema) any {
	if len(s.Examples) > 0 {
		return s.Examples[0]
	}
	if e, ok := examples[name]; ok && fits(e, s) {
		return e
	}
	switch s.Type {
	case huma.TypeBoolean:
		return true
	case huma.TypeInteger, huma.TypeNumber:
		if s.Minimum != nil && *s.Minimum > 0 {
			return *s.Minimum
		}
		return 1
	}
	return "text"
}

// fits reports whether an example has the type of a schema.
func fits(e any, s *huma.Schema) bool {
	_, text := e.(string)
	return text == (s.Type == huma.TypeString)
}
