package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// TestDeployFiles: every setting in the deployment files is a flag of this program with a valid value, and
// their YAML is valid.
func TestDeployFiles(t *testing.T) {
	known := map[string]bool{}
	k, err := kong.New(&cli{}, kong.DefaultEnvars("BECKON"), kong.Vars{"version": "", "pid": ""})
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range k.Model.Children {
		for _, f := range node.Flags {
			for _, env := range f.Envs {
				known[env] = true
			}
		}
	}
	setting := regexp.MustCompile(`BECKON_[A-Z0-9_]+`)
	seen := 0
	if err := filepath.WalkDir("../../deploy", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, name := range setting.FindAllString(string(b), -1) {
			if seen++; !known[name] {
				t.Errorf("%s sets %s, which is no flag", path, name)
			}
		}
		if strings.HasSuffix(path, ".yaml") {
			for part := range strings.SplitSeq(string(b), "\n---\n") {
				var v map[string]any
				if err := yaml.Unmarshal([]byte(part), &v); err != nil || len(v) == 0 {
					t.Errorf("%s cannot be read: %v", path, err)
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Errorf("only %d settings were found", seen)
	}
}
