// Package datadir has the commands for data directories: backup, compact, aside.
package datadir

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/beckon-im/beckon"
)

// Backup copies a data directory.
type Backup struct {
	Data string `help:"Data directory. The server may be running." default:"beckon-data" placeholder:"DIR"`
	To   string `help:"Directory for the copy; it must be empty or missing." required:"" placeholder:"DIR"`
}

// Run copies a data directory.
func (c *Backup) Run(ctx context.Context) error {
	if err := beckon.Backup(ctx, c.Data, c.To); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "copied; if the server goes on, run beckon restored --data %s before you use the copy\n", c.To)
	return nil
}

// Compact rewrites the database of a data directory.
type Compact struct {
	Data string `help:"Data directory. No server may be running." default:"beckon-data" placeholder:"DIR"`
}

// Run rewrites the database, and shows how far it is.
func (c *Compact) Run(ctx context.Context) error {
	err := beckon.Compact(ctx, c.Data, func(written int64) {
		fmt.Fprintf(os.Stderr, "written: %d MiB\n", written>>20)
	})
	if err == nil {
		fmt.Fprintln(os.Stderr, "compact; from now on the server gives free space back")
	}
	return err
}

// Aside shows the commits that the database refused.
type Aside struct {
	Data  string `help:"Data directory." default:"beckon-data" placeholder:"DIR"`
	Apply bool   `help:"Apply the commits that only add rows. No server may be running."`
	Force bool   `help:"With --apply: also those that replace rows, which later commits may have changed."`
}

// Run shows the commits that were set aside.
func (c *Aside) Run(ctx context.Context) error {
	list, err := beckon.Aside(ctx, c.Data, c.Apply, c.Force)
	if err != nil {
		return err
	}
	refused := 0
	for _, a := range list {
		state := "refused when it was applied"
		switch {
		case c.Apply && a.Refused == nil:
			state = "applied now"
		case c.Apply:
			state = fmt.Sprint("refused again: ", a.Refused)
			refused++
		}
		fmt.Printf("%s: %s\n", a.Name, state)
		for _, op := range a.Operations {
			fmt.Printf("  %s\n", op)
		}
	}
	if len(list) == 0 {
		fmt.Println("no commit is set aside")
	}
	if refused > 0 {
		return errors.New("commits are refused again: report them; remove their files if they are not needed")
	}
	return nil
}
