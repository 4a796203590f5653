package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"github.com/beckon-im/beckon/cmd/beckon/listener"
	"github.com/beckon-im/beckon/cmd/beckon/memory"
)

// configCmd shows and checks settings.
type configCmd struct {
	Print configPrintCmd `cmd:"" help:"Print the settings of serve as a configuration file, with the source of each. Secrets are masked."`
	Check configCheckCmd `cmd:"" help:"Check the settings of serve, and the files that they name, without starting it."`
}

type configPrintCmd struct{ serveArgs }

// Run prints the settings.
func (p *configPrintCmd) Run(c *cli) error {
	serve, parsed, err := p.parse(c)
	if err != nil {
		return err
	}
	return serve.Sources.Write(os.Stdout, parsed)
}

type configCheckCmd struct{ serveArgs }

// Run checks the settings.
func (p *configCheckCmd) Run(c *cli) error {
	serve, _, err := p.parse(c)
	if err != nil {
		return err
	}
	f := &serve.Serve
	cfg := f.config(f.logger())
	if cfg.Push, err = f.pushFlags.config(); err != nil {
		return err
	}
	if _, err := memory.Parse(f.MemoryLimit); err != nil {
		return err
	}
	if _, _, err := listener.Secure(f.TLSCert, f.TLSKey); err != nil {
		return err
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	if f.Pprof == atAdmin && f.AdminListen == "" {
		return errProfiles
	}
	fmt.Println("the settings are valid")
	return nil
}

// serveArgs are the arguments of serve.
type serveArgs struct {
	Flags []string `arg:"" optional:"" help:"Flags of serve, after --." env:"-"`
}

// parse parses the command line of serve with the same environment and configuration file.
func (a *serveArgs) parse(c *cli) (serve *cli, parsed *kong.Context, err error) {
	args := []string{"serve"}
	if c.Config != "" {
		args = append(args, "--config", string(c.Config))
	}
	serve = &cli{}
	k, err := newParser(serve)
	if err != nil {
		return nil, nil, err
	}
	parsed, err = k.Parse(append(args, a.Flags...))
	return serve, parsed, err
}
