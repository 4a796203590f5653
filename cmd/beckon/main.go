// Command beckon is the server, a terminal phone, a load generator, and their tools.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/beckon-im/beckon/cmd/beckon/bench"
	"github.com/beckon-im/beckon/cmd/beckon/datadir"
	"github.com/beckon-im/beckon/cmd/beckon/settings"
	"github.com/beckon-im/beckon/protocol"
)

// cli is the command line. Every flag is also an environment variable BECKON_<FLAG>, and a key of the configuration
// file.
type cli struct {
	Config  kong.ConfigFlag  `help:"Configuration file in YAML, JSON or TOML; its keys are the names of flags." placeholder:"FILE"`
	Sources settings.Sources `kong:"-"`
	Version kong.VersionFlag `help:"Print the version." env:"-"`

	Serve    serveCmd        `cmd:"" help:"Run the server."`
	Dev      devCmd          `cmd:"" help:"Run the server for trying it out: demo users, ready-made tokens, any web origin."`
	Settings configCmd       `cmd:"" help:"Print or check the settings of serve." name:"config"`
	Token    tokenCmd        `cmd:"" help:"Mint a token for a device of a user."`
	Phone    phoneCmd        `cmd:"" help:"Terminal phone: ring, answer, invite, chat."`
	Bench    bench.Bench     `cmd:"" help:"Load generator: connected users, invitations per second, latency, memory."`
	OpenAPI  openAPICmd      `cmd:"" help:"Print the OpenAPI description of all methods." name:"openapi"`
	Export   exportCmd       `cmd:"" help:"Write the whole database to standard output: a backup, or a move to another database."`
	Import   importCmd       `cmd:"" help:"Fill an empty database with an export from standard input."`
	Backup   datadir.Backup  `cmd:"" help:"Copy the data directory of a running or stopped server: database, keys and uploaded files."`
	Compact  datadir.Compact `cmd:"" help:"Rewrite the SQLite database of a stopped server without free space."`
	Aside    datadir.Aside   `cmd:"" help:"Show the commits that the database refused, and apply them."`
	Restored restoredCmd     `cmd:"" help:"Record that a database was restored by other means than import, so that devices reload from it."`
	Doctor   doctorCmd       `cmd:"" help:"Check a data directory or a running server."`
}

func newParser(c *cli, options ...kong.Option) (*kong.Kong, error) {
	return kong.New(c, append(options, kong.Name("beckon"),
		kong.Description("Self-hosted invitations: calls, raised hands, microphone seats."),
		kong.DefaultEnvars("BECKON"), kong.Configuration(c.Sources.Read), kong.Resolvers(settings.Environment),
		kong.ShortUsageOnError(), kong.Bind(c),
		kong.Vars{"version": version(), "pid": strconv.Itoa(os.Getpid())})...)
}

// commit is the commit that the program was built from; the Makefile sets it.
var commit string

// version returns the version of the program, its commit and the version of Go.
func version() string {
	text := "beckon " + protocol.Version
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return text
	}
	from := commit
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			from = s.Value[:min(len(s.Value), 12)]
		}
	}
	if from != "" {
		text += " commit " + from
	}
	return text + " " + info.GoVersion
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	k, err := newParser(&c, kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(arguments(os.Args[1:])))
	if err != nil {
		panic(err) // a programming error in the flags
	}
	command, err := k.Parse(os.Args[1:])
	k.FatalIfErrorf(err)
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "beckon:", err)
		os.Exit(1)
	}
}
