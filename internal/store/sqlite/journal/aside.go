package journal

import (
	"errors"
	"fmt"
)

// WriteAside keeps an entry that the database refuses in a file of its own.
func WriteAside(dir string, number uint64, ops []Operation, noSync bool) error {
	j := New(Options{Dir: dir, NoSync: noSync, Last: number - 1, Prefix: AsidePrefix, Segment: 1})
	_, err := j.Add(ops)
	return errors.Join(err, j.Close())
}

// Aside lists the entries of a directory that the database has refused.
func Aside(dir string) ([]string, error) { return names(dir, AsidePrefix) }

// ReadAside returns the operations of a refused entry.
func ReadAside(path string) (ops []Operation, err error) {
	c, reason, err := load(path)
	if err != nil {
		return nil, err
	}
	_, ops, ok, err := c.next()
	if err == nil && (!ok || reason != "") {
		err = fmt.Errorf("%s has no whole entry %s", path, reason)
	}
	return ops, err
}
