package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var updateDocs = flag.Bool("docs.update", false, "rewrite docs/configuration.md")

func parser(t *testing.T, c *cli) *kong.Kong {
	t.Helper()
	k, err := newParser(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// serveFlags lists the flags of serve.
func serveFlags(t *testing.T) []*kong.Flag {
	t.Helper()
	for _, n := range parser(t, &cli{}).Model.Children {
		if n.Name == "serve" {
			return n.Flags
		}
	}
	t.Fatal("no command serve")
	return nil
}

// example is a value for a flag, as in a file and as on the command line.
func example(f *kong.Flag) (inFile, onLine string) {
	if f.Enum != "" {
		all := strings.Split(f.Enum, ",")
		return all[len(all)-1], all[len(all)-1]
	}
	switch f.Target.Interface().(type) {
	case bool:
		return "true", "true"
	case int, int64, float64:
		return "7", "7"
	case []string:
		return "[one, two]", "one,two"
	}
	if f.Target.Type().String() == "time.Duration" {
		return "7s", "7s"
	}
	return "text", "text"
}

// TestEveryFlagIsAKey: each flag can be given on the command line, in the environment, and in files of both formats, by
// its name.
func TestEveryFlagIsAKey(t *testing.T) {
	for _, f := range serveFlags(t) {
		if f.Name == "help" {
			continue
		}
		inFile, onLine := example(f)
		parse := func(args ...string) string {
			t.Helper()
			var c cli
			if _, err := parser(t, &c).Parse(append([]string{"serve"}, args...)); err != nil {
				t.Errorf("%s: %v", f.Name, err)
			}
			return fmt.Sprintf("%+v", c.Serve)
		}
		want := parse("--" + f.Name + "=" + onLine)
		if plain := parse(); plain == want {
			t.Errorf("%s: the example %s changes nothing", f.Name, onLine)
		}
		json := inFile
		switch {
		case strings.HasPrefix(inFile, "["):
			json = `["one","two"]`
		case inFile != "true" && inFile != "7":
			json = `"` + inFile + `"`
		}
		for name, text := range map[string]string{
			"c.yaml": f.Name + ": " + inFile, "c.json": `{"` + f.Name + `": ` + json + `}`, "old.json": `{"` +
				strings.ReplaceAll(f.Name, "-", "_") + `": ` + json + `}`,
		} {
			file := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := parse("--config", file); got != want {
				t.Errorf("%s in %s:\n%s\nwant\n%s", f.Name, name, got, want)
			}
		}
		t.Run(f.Name, func(t *testing.T) {
			t.Setenv("BECKON_"+strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")), onLine)
			if got := parse(); got != want {
				t.Errorf("in the environment:\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestUnknownKeys: an unknown key is an error that suggests the nearest flag.
func TestUnknownKeys(t *testing.T) {
	for key, want := range map[string]string{
		"tls-crt": "tls-cert", "jwt-secert": "jwt-secret", "auditlog": "audit-log", "retention-day": "retention-days",
		"colour": "keys are the names of flags", "config": "keys are the names of flags",
	} {
		file := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(file, []byte(key+": x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := parser(t, &cli{}).Parse([]string{"serve", "--config", file})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
	for _, f := range serveFlags(t) { // each flag with an extra letter
		if f.Name == "help" {
			continue
		}
		file := filepath.Join(t.TempDir(), "c.json")
		if err := os.WriteFile(file, []byte(`{"`+f.Name+`q": 1}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := parser(t, &cli{}).Parse([]string{"serve", "--config", file}); err == nil ||
			!strings.Contains(err.Error(), f.Name) {
			t.Errorf("%sq: %v", f.Name, err)
		}
	}
	for _, text := range []string{"a: [", `{"listen": "a"} x`, "listen: a\nlisten: b", "listen: a\nlisten_: b"} {
		file := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := parser(t, &cli{}).Parse([]string{"serve", "--config", file}); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

// TestConfigurationDocument: docs/configuration.md lists every flag of serve as it is; -docs.update writes it.
func TestConfigurationDocument(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("# Configuration\n\nGenerated from the flags of `beckon serve` by " +
		"`go test ./cmd/beckon -run TestConfigurationDocument -docs.update`.\n\n" +
		"Each setting is a flag (`--jwt-secret`), an environment variable (`BECKON_JWT_SECRET`), and a key of the file " +
		"given by\n`--config` (`jwt-secret`), in YAML or JSON. " +
		"Flags override the environment, which overrides the file. Unknown keys are an error.\n")
	section := ""
	for _, f := range serveFlags(t) {
		if f.Hidden || f.Group == nil {
			continue
		}
		if f.Group.Title != section {
			section = f.Group.Title
			fmt.Fprintf(&b, "\n## %s\n\n| key | value | default | meaning |\n|---|---|---|---|\n", section)
		}
		value := strings.ReplaceAll(kind(f), "|", "\\|")
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, value, quoted(f.Default), strings.ReplaceAll(f.Help, "|", "\\|"))
	}
	file := filepath.Join("..", "..", "docs", "configuration.md")
	if *updateDocs {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, b.Bytes()) {
		t.Errorf("docs/configuration.md is not what the flags say (%v); run this test with -docs.update", err)
	}
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func kind(f *kong.Flag) string {
	if f.Enum != "" {
		return strings.Trim(strings.ReplaceAll(f.Enum, ",", ", "), ", ")
	}
	switch t := f.Target.Type(); {
	case t.String() == "time.Duration":
		return "duration"
	case t.Kind() == reflect.Bool:
		return "true, false"
	case t.Kind() == reflect.Slice:
		return "list"
	case t.Kind() == reflect.String:
		return "text"
	}
	return "number"
}
