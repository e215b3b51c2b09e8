package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stoa-live/stoa/bench/process"
)

// meter reads, for a window of time, what the server cost and who else used the machine.
type meter struct {
	server          *process.Process
	at              time.Time
	serverCPU       time.Duration
	loadCPU, allCPU time.Duration
}

// usage is what happened in a window. Its cores are CPU seconds a second; Other is what neither the server nor the load
// used, so a high one says that the machine was busy with other things.
type usage struct {
	Seconds     float64 `json:"seconds"`
	ServerCPU   float64 `json:"server_cpu_s"`
	ServerCores float64 `json:"server_cores"`
	LoadCores   float64 `json:"load_cores"`
	OtherCores  float64 `json:"other_cores"`
}

func startMeter(server *process.Process) (*meter, error) {
	m := &meter{server: server}
	return m, m.read()
}

func (m *meter) read() error {
	var err error
	if m.serverCPU, err = m.server.CPU(); err != nil {
		return err
	}
	if m.loadCPU, err = ownCPU(); err != nil {
		return err
	}
	if m.allCPU, err = machineCPU(); err != nil {
		return err
	}
	m.at = time.Now()
	return nil
}

// stop ends the window.
func (m *meter) stop() (usage, error) {
	before := *m
	if err := m.read(); err != nil {
		return usage{}, err
	}
	seconds := m.at.Sub(before.at).Seconds()
	u := usage{Seconds: seconds, ServerCPU: (m.serverCPU - before.serverCPU).Seconds()}
	u.ServerCores = u.ServerCPU / seconds
	u.LoadCores = (m.loadCPU - before.loadCPU).Seconds() / seconds
	u.OtherCores = max((m.allCPU-before.allCPU).Seconds()/seconds-u.ServerCores-u.LoadCores, 0)
	return u, nil
}

func ownCPU() (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		return 0, fmt.Errorf("read CPU clock: %w", err)
	}
	return time.Duration(ts.Nano()), nil
}

// machineCPU is the time in which any processor was busy, in steps of 10 ms.
func machineCPU() (time.Duration, error) {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	if !lines.Scan() {
		return 0, errors.New("/proc/stat is empty")
	}
	fields := strings.Fields(lines.Text()) // cpu user nice system idle iowait irq softirq steal …
	if len(fields) < 8 || fields[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q", lines.Text())
	}
	var ticks int64
	for _, i := range []int{1, 2, 3, 6, 7} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
