package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/stoa-live/stoa/internal/config"
	"github.com/stoa-live/stoa/internal/doctor"
)

type doctorCommand struct {
	config.Serve
}

// errBroken is the end of a look at a machine on which the server does not run.
var errBroken = errors.New("the server cannot run like this")

// Run says what a server of the same settings needs and does not find.
func (c *doctorCommand) Run(ctx context.Context, out io.Writer) error {
	broken := false
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range doctor.Examine(ctx, c.Serve) {
		broken = broken || f.State == doctor.Broken
		if _, err := fmt.Fprintf(table, "%s\t%s\t%s\n", f.State, f.Check, f.Found); err != nil {
			return err
		}
		if f.Do != "" {
			if _, err := fmt.Fprintf(table, "\t\t→ %s\n", f.Do); err != nil {
				return err
			}
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if broken {
		return errBroken
	}
	return nil
}
