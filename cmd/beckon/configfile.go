package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// configFile resolves flags from a configuration file in YAML or JSON; its keys are the names of flags.
type configFile struct{ values map[string]any }

// readConfigFile is a kong.ConfigurationLoader.
func readConfigFile(r io.Reader) (kong.Resolver, error) {
	f := &configFile{values: map[string]any{}}
	raw := map[string]any{}
	dec := yaml.NewDecoder(r)
	err := dec.Decode(&raw)
	if err == nil {
		err = dec.Decode(new(any)) // exactly one document is allowed
		if err == nil {
			err = errors.New("more than one document")
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the configuration file is neither YAML nor JSON: %w", err)
	}
	for key, value := range raw {
		name := strings.ReplaceAll(key, "_", "-") // tls_cert is accepted for tls-cert
		if _, twice := f.values[name]; twice {
			return nil, fmt.Errorf("the configuration file sets %s twice", name)
		}
		f.values[name] = value
	}
	return f, nil
}

// Validate refuses unknown keys, and suggests the nearest flag.
func (f *configFile) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, node := range append([]*kong.Node{app.Node}, leaves(app.Node)...) {
		for _, flag := range node.Flags {
			known[flag.Name] = true
		}
	}
	var names []string
	for name := range known {
		if name != "config" && name != "help" && name != "version" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, key := range slices.Sorted(keysOf(f.values)) {
		if slices.Contains(names, key) {
			continue
		}
		if near := nearest(key, names); near != "" {
			return fmt.Errorf("the configuration file has the unknown key %q; did you mean %q?", key, near)
		}
		return fmt.Errorf(
			"the configuration file has the unknown key %q; keys are the names of flags, see beckon serve --help", key)
	}
	return nil
}

// Resolve returns the value of a flag, or nil.
func (f *configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if flag.Tag.Get("env") == "-" { // of the command line only; another command may have a key of this name
		return nil, nil
	}
	return f.values[flag.Name], nil
}

func keysOf(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

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
