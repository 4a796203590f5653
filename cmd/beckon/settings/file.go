// Package settings reads settings from files, the environment and credentials of systemd, checks their names, and
// prints where each comes from.
//
// It does not know the meaning of a setting.
package settings

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/pelletier/go-toml/v2"
	"gopkg.in/yaml.v3"
)

// file resolves flags from a configuration file; its keys are the names of flags.
type file struct {
	name   string
	values map[string]any
}

// Sources are the files that settings come from.
type Sources struct{ files []*file }

// Read reads a configuration file in YAML or JSON, or in TOML if its name ends in .toml. It is a
// kong.ConfigurationLoader.
func (s *Sources) Read(r io.Reader) (kong.Resolver, error) {
	f := &file{name: "the configuration file", values: map[string]any{}}
	if named, ok := r.(*os.File); ok {
		f.name = named.Name()
	}
	raw, err := f.decode(r)
	if err != nil {
		return nil, err
	}
	for key, value := range raw {
		name := strings.ReplaceAll(key, "_", "-") // tls_cert is accepted for tls-cert
		if _, twice := f.values[name]; twice {
			return nil, fmt.Errorf("%s sets %s twice", f.name, name)
		}
		f.values[name] = value
	}
	s.files = append(s.files, f)
	return f, nil
}

func (f *file) decode(r io.Reader) (raw map[string]any, err error) {
	raw = map[string]any{}
	if strings.HasSuffix(f.name, ".toml") {
		if err := toml.NewDecoder(r).Decode(&raw); err != nil {
			return nil, fmt.Errorf("%s is not TOML: %w", f.name, err)
		}
		return raw, nil
	}
	dec := yaml.NewDecoder(r)
	if err = dec.Decode(&raw); err == nil {
		if err = dec.Decode(new(any)); err == nil { // exactly one document is allowed
			err = errors.New("more than one document")
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s is neither YAML nor JSON: %w", f.name, err)
	}
	return raw, nil
}

// ofFile ends the key and the variable that name the file of a secret.
const ofFile = "-file"

// Validate refuses unknown keys, and suggests the nearest flag.
func (f *file) Validate(app *kong.Application) error {
	var names []string
	for _, node := range append([]*kong.Node{app.Node}, leaves(app.Node)...) {
		for _, flag := range node.Flags {
			if flag.Name == "config" || flag.Name == "help" || flag.Name == "version" {
				continue
			}
			names = append(names, flag.Name)
			if secret(flag) {
				names = append(names, flag.Name+ofFile)
			}
		}
	}
	slices.Sort(names)
	for _, key := range slices.Sorted(maps.Keys(f.values)) {
		if slices.Contains(names, key) {
			continue
		}
		if near := nearest(key, names); near != "" {
			return fmt.Errorf("%s has the unknown key %q; did you mean %q?", f.name, key, near)
		}
		return fmt.Errorf("%s has the unknown key %q; keys are the names of flags, see beckon serve --help", f.name, key)
	}
	return nil
}

// Resolve returns the value of a flag, or nil. The environment precedes the file.
func (f *file) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if flag.Tag.Get("env") == "-" { // of the command line only; another command may have a key of this name
		return nil, nil
	}
	if from := outside(flag); from.source != "" {
		return from.value()
	}
	value, _, err := f.value(flag)
	return value, err
}

// value returns the value of a flag in the file, and its source; nil if there is none.
func (f *file) value(flag *kong.Flag) (value any, source string, err error) {
	if named, ok := f.values[flag.Name+ofFile]; ok && secret(flag) {
		path, _ := named.(string)
		if path == "" {
			return nil, "", fmt.Errorf("%s must name a file in %s", flag.Name+ofFile, f.name)
		}
		if _, both := f.values[flag.Name]; both {
			return nil, "", fmt.Errorf("%s sets both %s and %s; set one of them", f.name, flag.Name, flag.Name+ofFile)
		}
		from := origin{source: "file " + path + " (" + flag.Name + ofFile + " in " + f.name + ")", path: path, flag: flag}
		value, err = from.value()
		return value, from.source, err
	}
	return f.values[flag.Name], "file " + f.name, nil
}

// Environment resolves flags without a configuration file: secrets in files that variables name, and credentials of
// systemd.
var Environment kong.ResolverFunc = func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	return outside(flag).value()
}

// origin is where a value outside of the command line and the configuration file comes from.
type origin struct {
	source string // empty = nowhere
	path   string // of the secret's file; empty = the value is in the environment, where kong reads it
	flag   *kong.Flag
	twice  bool // another variable names a file
}

// outside finds the value of a flag: in a variable, in a file that a variable names, or among the credentials of
// systemd.
func outside(flag *kong.Flag) origin {
	for _, name := range flag.Envs {
		path, named := os.LookupEnv(name + "_FILE")
		named = named && secret(flag)
		if _, ok := os.LookupEnv(name); ok {
			return origin{source: "environment " + name, twice: named}
		}
		if named {
			return origin{source: "file " + path + " (environment " + name + "_FILE)", path: path, flag: flag}
		}
	}
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" && secret(flag) {
		path := filepath.Join(dir, flag.Name)
		if _, err := os.Stat(path); err == nil {
			return origin{source: "credential " + flag.Name, path: path, flag: flag}
		}
	}
	return origin{}
}

// value reads the file of a secret: a text, or one per line for a list.
func (o origin) value() (any, error) {
	if o.twice {
		return nil, fmt.Errorf("%s and the variable of its file are both set; unset one of them", o.source)
	}
	if o.path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(o.path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the secret: %w", err)
	}
	text := strings.TrimSpace(string(b))
	if text == "" {
		return nil, fmt.Errorf("the file of the secret %s is empty", o.path)
	}
	if !o.flag.IsSlice() {
		return text, nil
	}
	var list []any
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list, nil
}

// secret reports whether a flag is one that is masked, and may be in a file of its own.
func secret(flag *kong.Flag) bool { return flag.Tag.Has("secret") }

func leaves(n *kong.Node) (list []*kong.Node) {
	for _, child := range n.Children {
		list = append(append(list, child), leaves(child)...)
	}
	return list
}

// nearest returns the name with the fewest edits from key, or "" if none is near.
func nearest(key string, names []string) (best string) {
	most := 1 + len(key)/3
	for _, name := range names {
		if d := distance(key, name); d <= most {
			best, most = name, d-1
		}
	}
	return best
}

// distance returns the Levenshtein distance of two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
