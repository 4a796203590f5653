package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
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
		value := json
		if value == `"7s"` || f.Enum != "" {
			value = `"` + onLine + `"`
		}
		for name, text := range map[string]string{
			"c.toml": f.Name + " = " + value, "c.yaml": f.Name + ": " + inFile, "c.json": `{"` + f.Name + `": ` + json + `}`, "old.json": `{"` +
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

// TestPrecedence: the command line overrides the environment, which overrides a secret's file that a variable names,
// credentials of systemd, and the configuration file, in this order.
func TestPrecedence(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	read := func(args ...string) (secret string, keys []string, printed string) {
		t.Helper()
		var c cli
		parsed, err := parser(t, &c).Parse(append([]string{"serve"}, args...))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := c.Sources.Write(&b, parsed); err != nil {
			t.Fatal(err)
		}
		return c.Serve.JWTSecret, c.Serve.APIKey, b.String()
	}
	config := write("c.yaml", "jwt-secret: of the configuration\nlisten: file\napi-key-file: "+write("keys", "one\ntwo\n"))
	indirect := write("d.toml", `jwt-secret-file = "`+write("own", " of its file \n")+`"`)
	expect := func(want, source string, args ...string) {
		t.Helper()
		got, _, printed := read(args...)
		if got != want || !strings.Contains(printed, "jwt-secret: \"********\" # "+source) ||
			strings.Contains(printed, want) && want != "" {
			t.Errorf("the secret is %q, not %q:\n%.900s", got, want, printed)
		}
	}
	expect("of the configuration", "file "+config, "--config", config)
	expect("of its file", "file "+filepath.Join(dir, "own")+" (jwt-secret-file in "+indirect+")", "--config", indirect)
	if _, keys, printed := read("--config", config); !slices.Equal(keys, []string{"one", "two"}) ||
		!strings.Contains(printed, `api-key: ["********", "********"]`) {
		t.Errorf("the keys are %q:\n%s", keys, printed)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	write("jwt-secret", "of systemd")
	expect("of systemd", "credential jwt-secret", "--config", config)
	t.Setenv("BECKON_JWT_SECRET_FILE", write("named", "of a variable's file\n"))
	expect("of a variable's file", "file "+filepath.Join(dir, "named"), "--config", config)
	t.Setenv("BECKON_JWT_SECRET", "of a variable")
	if _, err := parser(t, &cli{}).Parse([]string{"serve"}); err == nil || !strings.Contains(err.Error(), "both set") {
		t.Errorf("a secret in a variable and in a file that one names: %v", err)
	}
	if err := os.Unsetenv("BECKON_JWT_SECRET_FILE"); err != nil {
		t.Fatal(err)
	}
	expect("of a variable", "environment BECKON_JWT_SECRET", "--config", config)
	expect("of the line", "command line", "--config", config, "--jwt-secret", "of the line")
	t.Setenv("BECKON_LISTEN", "environment")
	if _, _, printed := read("--config", config); !strings.Contains(printed,
		`listen: "environment" # environment BECKON_LISTEN`) {
		t.Errorf("the environment does not override the file:\n%.300s", printed)
	}
}

// TestMasks: no credential of an address is printed.
func TestMasks(t *testing.T) {
	for name, address := range map[string]string{
		"POSTGRES": "postgres://user:SECRET@SECRET@h1,h2/x?password=SECRET", "NATS": "nats://a:SECRET@h1,nats://SECRET@h2",
		"POSTGRES_READ": "host=h1 password = 'SECRET SECRET' user=user", "WEBHOOK": "https://h1/x?token=SECRET&a=b",
		"BEFORE_HOOK": "https://user:SECRET@h1/", "TRACES": "http://SECRET@h1", "JWKS_URL": "https://h1/?api_key=SECRET",
		"JWT_SECRET": "SECRET", "API_KEY": "SECRET,SECRET", "LIVEKIT_SECRET": "SECRET",
	} {
		t.Setenv("BECKON_"+name, address)
	}
	var c cli
	parsed, err := parser(t, &c).Parse([]string{"serve"})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := c.Sources.Write(&b, parsed); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "h1"); strings.Contains(b.String(), "SECRET@") || strings.Contains(b.String(),
		"SECRET\"") || strings.Contains(b.String(), "=SECRET") || strings.Contains(b.String(), "SECRET ") || n != 7 {
		t.Errorf("a secret is printed, or an address is not (%d of 7):\n%s", n, b.String())
	}
}

// TestSecretsOfAllCommands: a flag with the name of a secret of serve is one in each command.
func TestSecretsOfAllCommands(t *testing.T) {
	secret := map[string]bool{}
	for _, f := range serveFlags(t) {
		secret[f.Name] = f.Tag.Has("secret")
	}
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		for _, f := range n.Flags {
			if secret[f.Name] && !f.Tag.Has("secret") {
				t.Errorf("the flag %s of %s is not a secret", f.Name, n.Name)
			}
		}
		for _, child := range n.Children {
			walk(child)
		}
	}
	walk(parser(t, &cli{}).Model.Node)
}

// TestSecretFiles: a secret that cannot be read, is empty or is given twice is an error that names the file.
func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"jwt-secret-file: " + dir + "/none":        dir + "/none",
		"jwt-secret-file: " + empty:                empty + " is empty",
		"jwt-secret: x\njwt-secret-file: " + empty: "both jwt-secret and jwt-secret-file",
		"jwt-secret-file:":                         "must name a file",
		"jwt-secret-file: [a, b]":                  "must name a file",
		"postgres-file: 123":                       "must name a file",
		"listen-file: " + empty:                    `unknown key "listen-file"`,
		"webhook-secret-fiel: " + empty:            "webhook-secret-file",
	} {
		file := filepath.Join(dir, "c.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := parser(t, &cli{}).Parse([]string{"serve", "--config", file}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestConfigCheck: settings that serve would refuse are refused without starting it.
func TestConfigCheck(t *testing.T) {
	for flags, want := range map[string]string{
		"--retention-days=30":                       "",
		"--nats=nats://x":                           "requires a shared database",
		"--jwt-secret=short":                        "at least 32 characters",
		"--tls-cert=/none.pem":                      "tls-key",
		"--memory-limit=many":                       "many",
		"--apns-key=/none.p8":                       "none.p8",
		"--device-policy=whatever":                  "device-policy",
		"--api-key=short":                           "16 characters",
		"--webhook=ftp://x":                         "must have the form",
		"--trusted-proxies=x":                       "x",
		"--postgres=postgres://h/x?pgbouncer=maybe": "pgbouncer=maybe",
		"--pprof=admin":                             "admin-listen",
	} {
		c := &cli{}
		parsed, err := parser(t, c).Parse([]string{"config", "check", "--", flags})
		if err == nil {
			err = parsed.Run()
		}
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", flags, err)
		}
	}
}

// TestConfigurationDocument: docs/configuration.md lists every flag of serve as it is; -docs.update writes it.
func TestConfigurationDocument(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("# Configuration\n\nGenerated from the flags of `beckon serve` by " +
		"`go test ./cmd/beckon -run TestConfigurationDocument -docs.update`.\n\n" +
		"Each setting is a flag (`--jwt-secret`), an environment variable (`BECKON_JWT_SECRET`), and a key of the file " +
		"given by\n`--config` (`jwt-secret`), in YAML, JSON or TOML (`.toml`). " +
		"Flags override the environment, which overrides the file. Unknown keys are an error.\n\n" +
		"A secret may be in a file of its own: `jwt-secret-file` in the configuration file, `BECKON_JWT_SECRET_FILE`, or " +
		"the\ncredential `jwt-secret` of systemd (`LoadCredential=`). A list has one on each line. These are secrets: ")
	var secrets []string
	for _, f := range serveFlags(t) {
		if f.Tag.Has("secret") {
			secrets = append(secrets, "`"+f.Name+"`")
		}
	}
	b.WriteString(strings.Join(secrets, ", ") + ".\n\n" +
		"`beckon config print --config FILE` prints the effective settings with the source of each, and masks secrets. " +
		"`beckon config check --config FILE`\nchecks them, except those of media, and connects to nothing. Both take flags of `serve` after `--`.\n")
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
