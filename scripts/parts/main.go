// Parts starts the real parts of a mesh, runs a command that finds their URLs in its environment (STOA_PART_REDIS and so
// on), and ends them with it. Without a command it prints the variables and keeps the parts until it is interrupted.
//
//	go run ./scripts/parts -only redis,postgres go test ./internal/store/...
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/stoa-live/stoa/internal/parts"
)

func main() {
	code, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "parts:", err)
	}
	os.Exit(code)
}

func run() (code int, err error) {
	only := flag.String("only", "", "comma-separated parts of "+strings.Join(parts.Names(), ", ")+"; empty starts all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var names []string
	if *only != "" {
		names = strings.Split(*only, ",")
	}
	folder, err := os.MkdirTemp("", "stoa-parts-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	start := time.Now()
	running, err := parts.Start(ctx, folder, names...)
	if err != nil {
		return 1, err
	}
	defer func() {
		for _, r := range running {
			err = errors.Join(err, r.Stop())
		}
	}()
	fmt.Fprintf(os.Stderr, "parts: %d answer after %v\n", len(running), time.Since(start).Round(100*time.Millisecond))
	env := os.Environ()
	if len(names) == 0 { // who starts all of them wants no test left out
		env = append(env, parts.Required+"=yes")
	}
	for _, r := range running {
		env = append(env, parts.Variable(r.Name)+"="+r.URL)
	}
	if flag.NArg() == 0 {
		for _, r := range running {
			fmt.Printf("export %s='%s'\n", parts.Variable(r.Name), r.URL)
		}
		<-ctx.Done()
		return 0, nil
	}
	cmd := exec.Command(flag.Arg(0), flag.Args()[1:]...) //nolint:gosec // what it is for
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdin, os.Stdout, os.Stderr, env
	err = cmd.Run() // it is interrupted with us, and the parts end after it
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(1, exit.ExitCode()), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}
