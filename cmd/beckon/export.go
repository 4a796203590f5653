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
	return errors.Join(beckon.Export(ctx, c.Data, c.Postgres, out), out.Close())
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
	return beckon.Import(ctx, c.Data, c.Postgres, c.Restored, in)
}

type restoredCmd struct{ database }

// Run renews the identity of the database.
func (c *restoredCmd) Run(ctx context.Context) error { return beckon.Restored(ctx, c.Data, c.Postgres) }
