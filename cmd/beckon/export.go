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

// database are the flags that select a database.
type database struct {
	Data     string `help:"Data directory." default:"beckon-data" placeholder:"DIR"`
	Postgres string `help:"PostgreSQL database, instead of the one in the data directory." placeholder:"URL" secret:"url"`
}

type exportCmd struct{ database }

// Run writes a compressed export to standard output.
func (c *exportCmd) Run(ctx context.Context) error {
	if term.IsTerminal(int(os.Stdout.Fd())) {
		return errors.New("standard output is a terminal; redirect it: beckon export > backup.beckon")
	}
	out, err := gzip.NewWriterLevel(os.Stdout, gzip.BestSpeed)
	if err != nil {
		return err
	}
	rows, err := beckon.Export(ctx, c.Data, c.Postgres, out)
	if err = errors.Join(err, out.Close()); err == nil {
		fmt.Fprintf(os.Stderr, "exported %d rows; keys and uploaded files are not included\n", rows)
	}
	return err
}

type importCmd struct {
	database
	Restored bool `help:"The export is a backup, and the server continued after it: devices reload. Default: devices resume at their positions."`
}

// Run imports an export from standard input.
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

// Run gives the database a new identity, so that devices reload.
func (c *restoredCmd) Run(ctx context.Context) error {
	err := beckon.Restored(ctx, c.Data, c.Postgres)
	if err == nil {
		fmt.Fprintln(os.Stderr, "recorded: devices will reload; restart servers that use this database")
	}
	return err
}
