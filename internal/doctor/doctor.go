// Package doctor looks at a machine the way `stoa serve` will use it, and says what is missing and what to do about it,
// before a user finds out. It changes nothing and needs no server to run.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/config"
)

// State is how a check ended.
type State int

// States, from good to bad.
const (
	Fine    State = iota
	Warning       // it works, and something will be missing or slow
	Broken        // the server does not start, or not for long
)

// String implements fmt.Stringer.
func (s State) String() string { return [...]string{"ok", "warning", "broken"}[s] }

// Finding is what one check found.
type Finding struct {
	Check string // what was looked at
	State State
	Found string // what is there
	Do    string // what to do about it; empty where it is fine
}

const (
	askTimeout = 10 * time.Second
	// lowDisk is the room in bytes below which a disk is said to be nearly full: chat says so itself at the end.
	lowDisk = 1 << 30
	// spareFiles is how many files a process opens beside its connections: databases, segments, logs, neighbours.
	spareFiles = 1000
	// slowSync is how long a disk may take to make a write durable before every message waits noticeably for it.
	slowSync = 20 * time.Millisecond
	// oldFFmpeg is the first major version that is known to do.
	oldFFmpeg = 4
)

// Examine looks at everything that a server of these settings needs.
func Examine(ctx context.Context, cfg config.Serve) []Finding {
	if err := cfg.Validate(); err != nil {
		return []Finding{{"settings", Broken, err.Error(), "see docs/configuration.md"}}
	}
	found := []Finding{{"settings", Fine, "valid", ""}}
	for _, p := range []struct{ name, flag, address string }{
		{"HTTP port", "--http-addr", cfg.HTTPAddr},
		{"RTMP port", "--rtmp-addr", cfg.RTMPAddr},
		{"edge port", "--edge-addr", cfg.EdgeAddr},
		{"edge TLS port", "--edge-tls-addr", cfg.EdgeTLSAddr},
		{"internal port", "--internal-addr", cfg.InternalAddr},
	} {
		if p.address != "" {
			found = append(found, port(ctx, p.name, p.flag, p.address))
		}
	}
	found = append(found, folder(cfg.DataDir)...)
	found = append(found, openFiles(cfg.MaxConnections))
	if cfg.Runs("live") {
		found = append(found, ffmpeg(ctx, cfg.FFmpeg))
	}
	return append(found, events(ctx, cfg.Bus))
}

func port(ctx context.Context, name, flag, address string) Finding {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return Finding{name, Broken, err.Error(), "stop what listens there (ss -ltnp shows it), or give another address by " + flag}
	}
	_ = l.Close() // nobody came
	return Finding{name, Fine, address + " is free", ""}
}

// folder looks at the data folder, or at the one in which it will be made.
func folder(path string) []Finding {
	abs, err := filepath.Abs(path)
	if err != nil {
		return []Finding{{"data folder", Broken, err.Error(), "give another one by --data-dir"}}
	}
	at := abs
	for info, err := os.Stat(at); ; info, err = os.Stat(at) {
		if err == nil && !info.IsDir() {
			return []Finding{{"data folder", Broken, at + " is no folder", "move it away, or give another folder by --data-dir"}}
		}
		if err == nil || filepath.Dir(at) == at {
			break
		}
		at = filepath.Dir(at)
	}
	took, err := syncTime(at)
	if err != nil {
		return []Finding{{"data folder", Broken, err.Error(), "let the user that runs stoa write there, or give another folder by --data-dir"}}
	}
	found := []Finding{{"data folder", Fine, abs, ""}, {"durable writes", Fine, took.Round(10*time.Microsecond).String() + " each", ""}}
	if took > slowSync {
		found[1].State, found[1].Do = Warning, "messages wait for the disk: use a faster one, or a database server by --store"
	}
	free, err := freeBytes(at)
	switch {
	case err != nil:
		return append(found, Finding{"disk", Warning, err.Error(), "look yourself how much room there is"})
	case free < lowDisk:
		return append(found, Finding{"disk", Warning, mebibytes(free) + " free", "make room: without any, sends fail until there is some"})
	default:
		return append(found, Finding{"disk", Fine, mebibytes(free) + " free", ""})
	}
}

func mebibytes(n uint64) string { return strconv.FormatUint(n>>20, 10) + " MiB" }

// syncTime is how long the disk takes to make a small write durable, the middle of some.
func syncTime(folder string) (_ time.Duration, err error) {
	file, err := os.CreateTemp(folder, ".stoa-doctor-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	const tries = 9
	var took [tries]time.Duration
	for i := range took {
		start := time.Now()
		if _, err := file.Write(make([]byte, 4<<10)); err != nil {
			return 0, err
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took[:])
	return took[tries/2], nil
}

func openFiles(connections int) Finding {
	limit, err := maxFiles()
	if err != nil {
		return Finding{"open files", Warning, err.Error(), "look yourself how many files a process may open"}
	}
	want := uint64(connections) + spareFiles //nolint:gosec // not negative, says Validate
	found := strconv.FormatUint(limit, 10) + " a process"
	if limit < want {
		return Finding{
			"open files", Warning, found,
			fmt.Sprintf("allow %d (ulimit -n, LimitNOFILE=), or lower --max-connections to %d", want, max(0, int64(limit)-spareFiles)), //nolint:gosec // a limit
		}
	}
	return Finding{"open files", Fine, found, ""}
}

var ffmpegVersion = regexp.MustCompile(`^ffmpeg version n?(\d+)\S*`)

func ffmpeg(ctx context.Context, program string) Finding {
	const without = "without it live rooms have no covers: install ffmpeg, or name it by --ffmpeg"
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "-hide_banner", "-version").Output() //nolint:gosec // the operator names it
	if err != nil {
		return Finding{"ffmpeg", Warning, err.Error(), without}
	}
	version := ffmpegVersion.FindSubmatch(out)
	if version == nil {
		return Finding{"ffmpeg", Warning, program + " does not tell its version", without}
	}
	if major, err := strconv.Atoi(string(version[1])); err == nil && major < oldFFmpeg {
		return Finding{"ffmpeg", Warning, string(version[0]), "it may be too old: use version " + strconv.Itoa(oldFFmpeg) + " or newer"}
	}
	return Finding{"ffmpeg", Fine, string(version[0]), ""}
}

// events opens the bus, which tells by itself what is wrong.
func events(ctx context.Context, rawURL string) Finding {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	b, err := bus.Open(ctx, rawURL, slog.New(slog.DiscardHandler))
	if err == nil {
		err = b.Close(ctx)
	}
	if err != nil {
		return Finding{"bus", Broken, err.Error(), "see --bus in docs/configuration.md"}
	}
	return Finding{"bus", Fine, "answers", ""}
}
