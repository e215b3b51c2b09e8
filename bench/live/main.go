// Command live measures what a viewer costs: it starts a server in a process of its own, publishes one synthetic stream
// to it, opens many viewers from this process, and prints the server's CPU per gigabyte sent, memory a viewer, time to
// first frame, and delay. Stoa, lal's own server and a floor program run one after the other in one run, so that ratios
// hold on any machine.
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
	"text/tabwriter"
	"time"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "floor":
			exit(floorServer(os.Args[2:]))
		case "lal":
			exit(lalServer(os.Args[2:]))
		}
	}
	stoa := flag.String("stoa", "", "path of the stoa binary (required)")
	only := flag.String("only", "", "comma-separated scenario names; empty runs all")
	window := flag.Duration("window", 20*time.Second, "length of each measured window")
	flag.Parse()
	if *stoa == "" {
		exit(errors.New("-stoa is required: the path of the built binary"))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(runAll(ctx, *stoa, *only, *window))
}

func exit(err error) {
	if err != nil {
		log.Fatal("bench: ", err)
	}
	os.Exit(0)
}

// scenario is one row of the table.
type scenario struct {
	name    string
	target  target
	stream  streamShape
	viewers int
	stalled int // of the viewers, those that stop reading
	ws      bool
}

func runAll(ctx context.Context, stoa, only string, window time.Duration) error {
	mbit := streamShape{bitrate: 970_000, frameRate: 25, gop: 2 * time.Second}
	small := streamShape{bitrate: 200_000, frameRate: 15, gop: 2 * time.Second}
	scenarios := []scenario{
		{name: "floor-400", target: floorTarget(mbit), stream: mbit, viewers: 400},
		{name: "stoa-400", target: stoaTarget(stoa), stream: mbit, viewers: 400},
		{name: "stoa-400-ws", target: stoaTarget(stoa), stream: mbit, viewers: 400, ws: true},
		{name: "stoa-400-lowdelay", target: stoaTarget(stoa, "STOA_LIVE_MERGE=0s"), stream: mbit, viewers: 400},
		{name: "stoa-400-stalled", target: stoaTarget(stoa), stream: mbit, viewers: 400, stalled: 40},
		{name: "lal-400", target: lalTarget(), stream: mbit, viewers: 400},
		{name: "floor-5000", target: floorTarget(small), stream: small, viewers: 5000},
		{name: "stoa-5000", target: stoaTarget(stoa), stream: small, viewers: 5000},
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "scenario\tviewers\tMbit/s\tCPU s/GB\t× floor\tcores\tKB/viewer\tfirst frame p50\tp99\tdelay p50\tp99\tskips\t")
	floor := map[int]float64{}
	for _, s := range scenarios {
		if only != "" && !slices.Contains(strings.Split(only, ","), s.name) {
			continue
		}
		log.Printf("running %s: %d viewers, %v", s.name, s.viewers, window)
		r, err := run(ctx, s, window)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if strings.HasPrefix(s.name, "floor") {
			floor[s.viewers] = r.cpuPerGB
		}
		ratio := "-"
		if f := floor[s.viewers]; f > 0 {
			ratio = fmt.Sprintf("%.2f", r.cpuPerGB/f)
		}
		fmt.Fprintf(table, "%s\t%d\t%.0f\t%.3f\t%s\t%.3f\t%.1f\t%s\t%s\t%s\t%s\t%d\t\n", s.name, s.viewers, r.megabits, r.cpuPerGB, ratio,
			r.cores, r.kbPerViewer, ms(r.first.p50), ms(r.first.p99), ms(r.delay.p50), ms(r.delay.p99), r.gaps)
	}
	return table.Flush()
}

func ms(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

type result struct {
	megabits, cpuPerGB, cores, kbPerViewer float64
	first, delay                           percentiles
	gaps                                   int64
}

// run measures one scenario: viewers join, settle, and are watched for one window; newcomers then measure the first
// frame.
func run(ctx context.Context, s scenario, window time.Duration) (result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server, err := s.target(ctx)
	if err != nil {
		return result{}, fmt.Errorf("start server: %w", err)
	}
	defer server.stop()
	if server.rtmp != "" {
		pub, err := publish(server.rtmp, s.stream)
		if err != nil {
			return result{}, fmt.Errorf("publish: %w", err)
		}
		defer pub.stop()
	}
	time.Sleep(3 * time.Second) // a first group of pictures
	rssBefore, err := server.RSS()
	if err != nil {
		return result{}, err
	}
	audience := newAudience(server, s)
	defer audience.close()
	if err := audience.join(ctx, s.viewers); err != nil {
		return result{}, fmt.Errorf("join: %w", err)
	}
	time.Sleep(4 * time.Second) // bursts for newcomers are over
	audience.reset()
	cpuBefore, err := server.CPU()
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	time.Sleep(window)
	elapsed := time.Since(start).Seconds()
	cpuAfter, err := server.CPU()
	if err != nil {
		return result{}, err
	}
	bytes, delay, gaps := audience.read()
	rss, err := server.RSS()
	if err != nil {
		return result{}, err
	}
	r := result{delay: delay, gaps: gaps}
	r.megabits = float64(bytes) * 8 / elapsed / 1e6
	r.cores = (cpuAfter - cpuBefore).Seconds() / elapsed
	r.cpuPerGB = (cpuAfter - cpuBefore).Seconds() / (float64(bytes) / 1e9)
	r.kbPerViewer = float64(rss-rssBefore) / 1024 / float64(s.viewers)
	if server.rtmp != "" {
		if r.first, err = audience.firstFrames(ctx, 100); err != nil {
			return r, fmt.Errorf("first frames: %w", err)
		}
	}
	return r, ctx.Err()
}
