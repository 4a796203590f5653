package sqldb

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// SchemaVersions are the versions of the schema of a database and of a program.
type SchemaVersions struct {
	Have, Want int64 // of the database, and of the program
	First      int64 // the oldest version that this program migrates
	Oldest     int64 // the schema of the oldest program that may use the database; 0 = unknown
}

// Check refuses a database that this program may not use.
func (v SchemaVersions) Check() error {
	switch {
	case v.Have > v.Want && (v.Oldest == 0 || v.Oldest > v.Want):
		return fmt.Errorf("the database has schema %d, and this program knows schemas up to %d: run the version that "+
			"migrated it, or a newer one", v.Have, v.Want)
	case v.Have > 0 && v.Have < v.First:
		return fmt.Errorf("the database has schema %d, and this program migrates schemas from %d on: run an earlier version "+
			"first, which migrates it", v.Have, v.First)
	}
	return nil
}

// NewestMigration returns the number of the last migration in a directory: the version of the schema after it.
func NewestMigration(dir fs.FS) int64 {
	names, err := fs.Glob(dir, "*.sql")
	if err != nil || len(names) == 0 {
		panic("sqldb: there are no migrations")
	}
	digits, _, _ := strings.Cut(slices.Max(names), "_")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		panic("sqldb: a migration begins with its number: " + err.Error())
	}
	return n
}

// missingShown limits the objects that an error names.
const missingShown = 3

// MissingObjects returns the lines of a description of a schema that a database does not have.
func MissingObjects(description string, have []string) (missing []string) {
	for line := range strings.Lines(description) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(have, line) {
			missing = append(missing, line)
		}
	}
	return missing
}

// SchemaFault describes missing objects; nil when there are none.
func SchemaFault(missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("the schema of the database lacks %q (%d differences): a migration was changed after it ran, or "+
		"the schema was changed by hand; restore a backup, or export with the version that made it and import",
		missing[:min(len(missing), missingShown)], len(missing))
}
