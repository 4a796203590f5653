package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/beckon-im/beckon"
)

// database names one.
type database struct {
	Data     string `help:"The data directory." default:"beckon-data" placeholder:"DIR"`
	Postgres string `help:"The PostgreSQL database, instead of the one in the data directory." placeholder:"URL"`
}

type exportCmd struct{ database }

// Run writes the export, compressed.
func (c *exportCmd) Run(ctx context.Context) error {
	if term.IsTerminal(int(os.Stdout.Fd())) {
		return errors.New("an export is not for reading: write it to a file, as in beckon export > house.beckon")
	}
	out, err := gzip.NewWriterLevel(os.Stdout, gzip.BestSpeed)
	if err != nil {
		return err
	}
	rows, err := beckon.Export(ctx, c.Data, c.Postgres, out)
	if err = errors.Join(err, out.Close()); err == nil {
		fmt.Fprintf(os.Stderr, "exported %d rows; keys and uploaded files are not among them\n", rows)
	}
	return err
}

type importCmd struct {
	database
	Restored bool `help:"The export is a backup, and the house went on after it: devices begin anew. Without, they go on where they stood."`
}

// Run reads the export.
func (c *importCmd) Run(ctx context.Context) error {
	in, err := gzip.NewReader(os.Stdin)
	if err != nil {
		return fmt.Errorf("standard input is not an export: %w", err)
	}
	rows, err := beckon.Import(ctx, c.Data, c.Postgres, c.Restored, in)
	if err == nil {
		fmt.Fprintf(os.Stderr, "imported %d rows\n", rows)
	}
	return err
}

type restoredCmd struct{ database }

// Run renews the identity of the database.
func (c *restoredCmd) Run(ctx context.Context) error {
	err := beckon.Restored(ctx, c.Data, c.Postgres)
	if err == nil {
		fmt.Fprintln(os.Stderr, "devices begin anew with this database; restart a server that is running on it")
	}
	return err
}
