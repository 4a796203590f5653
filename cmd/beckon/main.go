// Command beckon is the server, a terminal phone, a load generator and the tools around them.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/beckon-im/beckon/cmd/beckon/bench"
	"github.com/beckon-im/beckon/protocol"
)

// cli is the command line. Every flag is also an environment variable BECKON_<FLAG>, and a key of the file given by --config.
type cli struct {
	Config  kong.ConfigFlag  `help:"Read flags from this JSON file." placeholder:"FILE"`
	Version kong.VersionFlag `help:"Print the version." env:"-"`

	Serve    serveCmd    `cmd:"" help:"Run the server."`
	Dev      devCmd      `cmd:"" help:"Run the server for trying it out: demo people, ready-made tokens, any web origin."`
	Token    tokenCmd    `cmd:"" help:"Mint a token for a device of a user."`
	Phone    phoneCmd    `cmd:"" help:"A terminal phone: ring, answer, invite, chat."`
	Bench    bench.Bench `cmd:"" help:"Measure a server: connected users, invitations per second, latency, memory."`
	OpenAPI  openAPICmd  `cmd:"" help:"Print the OpenAPI description of every verb, for those who generate types." name:"openapi"`
	Export   exportCmd   `cmd:"" help:"Write everything that the database has to standard output: a backup, or the way to another database."`
	Import   importCmd   `cmd:"" help:"Fill an empty database with an export from standard input."`
	Restored restoredCmd `cmd:"" help:"Tell a database that it was set back by other means than import, so that devices begin anew with it."`
	Doctor   doctorCmd   `cmd:"" help:"Check a data directory or the address of a running server."`
}

func main() {
	var c cli
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	k := kong.Parse(&c, kong.Name("beckon"), kong.Description("Self-hosted invitations: calls, raised hands, microphone seats."),
		kong.DefaultEnvars("BECKON"), kong.Configuration(kong.JSON), kong.UsageOnError(),
		kong.Vars{"version": "beckon " + protocol.Version, "pid": strconv.Itoa(os.Getpid())}, kong.BindTo(ctx, (*context.Context)(nil)))
	if err := k.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "beckon:", err)
		os.Exit(1)
	}
}
