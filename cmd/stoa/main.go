// Command stoa is the whole product in one binary: the server and the tools for it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set at build time.
var version = "dev"

// commands are what the binary can do.
type commands struct {
	Serve    serveCommand        `cmd:"" help:"Run the server."`
	Doctor   doctorCommand       `cmd:"" help:"Look at this machine the way serve will use it: ports, disk, files, ffmpeg and the parts of a mesh. Takes the settings of serve."`
	Admin    adminCommand        `cmd:"" help:"Operate a running server: users, rooms, audit log."`
	Demo     demoCommand         `cmd:"" help:"Put a demo channel on the air of a running server."`
	Restored restoredCommand     `cmd:"" help:"Tell a stopped server that its data folder is a restored backup, so that devices fetch everything anew."`
	Service  serviceTokenCommand `cmd:"" name:"service-token" help:"Print a token, good for half a minute and more, by which a back end calls internal RPCs."`
	Xds      xdsCommand          `cmd:"" help:"Tell Envoys in front of a mesh where everything is."`
	Version  versionCommand      `cmd:"" help:"Print the version."`
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run() error {
	fmt.Println(version)
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	var cli commands
	parser := kong.Must(&cli, kong.Name("stoa"), kong.Description("A self-hosted backend for live video, chat and calls."),
		kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)), kong.BindTo(os.Stdout, (*io.Writer)(nil)))
	parsed, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	if err := parsed.Run(); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "stoa:", err)
		os.Exit(1) //nolint:gocritic // stop has run
	}
}
