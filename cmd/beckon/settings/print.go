package settings

import (
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

// masked replaces a secret.
const masked = "********"

// Write writes the settings of a parsed command as a configuration file in YAML, each with its source as a comment.
// Secrets are masked.
func (s *Sources) Write(w io.Writer, c *kong.Context) error {
	section := ""
	for _, flag := range c.Selected().Flags {
		if flag.Hidden || flag.Group == nil {
			continue
		}
		if flag.Group.Title != section {
			if section != "" {
				fmt.Fprintln(w)
			}
			section = flag.Group.Title
			fmt.Fprintf(w, "# %s\n", section)
		}
		if _, err := fmt.Fprintf(w, "%s: %s # %s\n", flag.Name, text(flag), s.source(c, flag)); err != nil {
			return err
		}
	}
	return nil
}

// text returns the value of a flag in YAML.
func text(flag *kong.Flag) string {
	switch v := flag.Target.Interface().(type) {
	case []string:
		list := make([]string, len(v))
		for i, one := range v {
			list[i] = quoted(flag, one)
		}
		return "[" + strings.Join(list, ", ") + "]"
	case fmt.Stringer: // a duration
		return v.String()
	}
	if flag.Target.Kind() == reflect.String {
		return quoted(flag, flag.Target.String())
	}
	return fmt.Sprint(flag.Target.Interface())
}

// The secrets in an address, or in a list of them.
var (
	userInfo = regexp.MustCompile(`://([^/\s]*)@`)
	password = regexp.MustCompile(`(?i)(password|passfile|sslpassword)\s*=\s*('[^']*'|[^&\s]+)`)
	inQuery  = regexp.MustCompile(`(?i)([?&][^=&]*(?:token|key|secret|sig|auth)[^=&]*=)[^&\s]+`)
)

// quoted returns a text in YAML, a secret masked. Of an address only its credentials are secret.
func quoted(flag *kong.Flag, value string) string {
	switch {
	case !secret(flag) || value == "":
	case flag.Tag.Get("secret") != "url":
		value = masked
	default:
		value = userInfo.ReplaceAllStringFunc(value, func(found string) string {
			if user, _, ok := strings.Cut(strings.TrimPrefix(found, "://"), ":"); ok {
				return "://" + user + ":" + masked + "@"
			}
			return "://" + masked + "@" // a token
		})
		value = password.ReplaceAllString(value, "$1="+masked)
		value = inQuery.ReplaceAllString(value, "${1}"+masked)
	}
	return strconv.Quote(value)
}

// source returns where the value of a flag comes from.
func (s *Sources) source(c *kong.Context, flag *kong.Flag) string {
	for _, p := range c.Path {
		if p.Flag == flag && !p.Resolved {
			return "command line"
		}
	}
	if from := outside(flag); from.source != "" {
		return from.source
	}
	for _, f := range s.files {
		if value, from, err := f.value(flag); err == nil && value != nil {
			return from
		}
	}
	return "default"
}

// Values returns the values of the flags of a parsed command.
func Values(c *kong.Context) map[string]string {
	values := map[string]string{}
	for _, flag := range c.Selected().Flags {
		values[flag.Name] = fmt.Sprint(flag.Target.Interface())
	}
	return values
}

// Changed lists the flags with different values.
func Changed(old, now map[string]string) (names []string) {
	for name, value := range now {
		if old[name] != value {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
