// Command chat measures what talk costs: messages to a full room, durable sends, idle connections, a device that comes
// back, and all that as the store grows. It starts each server in a process of its own and is the load itself. Stoa,
// Centrifugo and floor programs run one after the other in one run, so that ratios hold on any machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	stoa, centrifugo string
	scenarios        string
	servers          string
	window           time.Duration
	members          int
	connections      int
	fill             string
	json             string
}

// runs reports whether a server of this name was asked for.
func (o options) runs(server string) bool {
	if o.servers == "" {
		return true
	}
	for name := range strings.SplitSeq(strings.ToLower(o.servers), ",") {
		if strings.HasPrefix(strings.ToLower(server), name) {
			return true
		}
	}
	return false
}

type scenario struct {
	name string
	run  func(ctx context.Context, o options, out *report) error
}

func scenarios() []scenario {
	return []scenario{
		{"broadcast", runBroadcast},
		{"durable", runDurable},
		{"memory", runMemory},
		{"returning", runReturning},
		{"growth", runGrowth},
	}
}

func main() {
	log.SetFlags(log.Ltime)
	if len(os.Args) > 1 && os.Args[1] == "floor" {
		exit(floorServer(os.Args[2:]))
	}
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	var o options
	flag.StringVar(&o.stoa, "stoa", "", "path of the stoa binary")
	flag.StringVar(&o.centrifugo, "centrifugo", "", "path of the centrifugo binary")
	flag.StringVar(&o.scenarios, "only", "", "comma-separated scenarios of "+strings.Join(names, ", ")+"; empty runs all")
	flag.StringVar(&o.servers, "servers", "", "comma-separated beginnings of floor, centrifugo, stoa; empty runs all")
	flag.DurationVar(&o.window, "window", 20*time.Second, "length of each measured window")
	flag.IntVar(&o.members, "members", 3000, "members of the room in broadcast")
	flag.IntVar(&o.connections, "connections", 15000, "connections in memory; each takes an open file of either process")
	flag.StringVar(&o.fill, "fill", "0,1000000,10000000", "comma-separated numbers of stored messages in growth; ten million take about 4 GB")
	flag.StringVar(&o.json, "json", "", "also write the figures to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(runAll(ctx, o))
}

func exit(err error) {
	if err != nil {
		log.Fatal("bench: ", err)
	}
	os.Exit(0)
}

func runAll(ctx context.Context, o options) error {
	if o.runs("Stoa") && o.stoa == "" || o.runs("Centrifugo") && o.centrifugo == "" {
		return errors.New("-stoa and -centrifugo are required: paths of the built binaries; or leave them out by -servers")
	}
	all := scenarios()
	var asked []string
	if o.scenarios != "" {
		asked = strings.Split(o.scenarios, ",")
	}
	for _, name := range asked {
		if !slices.ContainsFunc(all, func(s scenario) bool { return s.name == name }) {
			return fmt.Errorf("no scenario is called %q", name)
		}
	}
	out := newReport(os.Stdout)
	fmt.Fprintln(out.out, out.Machine)
	var failed error
	for _, s := range all {
		if asked != nil && !slices.Contains(asked, s.name) {
			continue
		}
		if err := s.run(ctx, o, out); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", s.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed, out.save(o.json))
}
