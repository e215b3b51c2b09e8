// Package parts starts the real programs that a mesh is built of, on free loopback ports and with their data in a folder
// that goes away with them: Redis, PostgreSQL, MariaDB, Pulsar and Consul. Tests, `make mesh` and benchmarks use it; the
// binary does not.
//
// Programs come from Debian's packages or from the cache that scripts/parts.sh fills. What must never happen here: a part
// that outlives the program that started it, and a test that passes because a part is missing.
package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long a part may take to answer.
const patience = 3 * time.Minute

// part is one program.
type part struct {
	name string
	// start begins it in folder, and returns what it runs and the URL by which Stoa reaches it.
	start func(folder string) (*exec.Cmd, string, error)
	// ready reports whether it answers at the URL, with an error that says what is missing.
	ready func(ctx context.Context, url string) error
}

func all() []part { return []part{redis(), postgres(), mariadb(), pulsar(), consul()} }

// Names lists the parts.
func Names() []string {
	var names []string
	for _, p := range all() {
		names = append(names, p.name)
	}
	return names
}

// Required is the environment variable that makes a missing part an error instead of a skipped test.
const Required = "STOA_PARTS"

// Variable is the environment variable that holds a part's URL.
func Variable(name string) string { return "STOA_PART_" + strings.ToUpper(name) }

// Running is a part that answers.
type Running struct {
	Name string
	// URL is how Stoa reaches it, password and all.
	URL string

	part   part
	folder string
	cmd    *exec.Cmd
	log    *os.File
	done   chan struct{}
}

// Start starts the named parts, all of them where none is named, each in a folder of its own inside of folder. It returns
// when all answer; where one does not, it stops the others and says what that one wrote.
func Start(ctx context.Context, folder string, names ...string) ([]*Running, error) {
	if len(names) == 0 {
		names = Names()
	}
	chosen := make([]part, 0, len(names))
	for _, name := range names {
		i := slices.IndexFunc(all(), func(p part) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no part %q; there are %s", name, strings.Join(Names(), ", "))
		}
		chosen = append(chosen, all()[i])
	}
	if err := os.Chmod(folder, 0o755); err != nil { //nolint:gosec // servers of databases run as users of their own
		return nil, err
	}
	running := make([]*Running, len(chosen))
	problems := make([]error, len(chosen))
	var starting sync.WaitGroup
	for i, p := range chosen {
		starting.Go(func() { running[i], problems[i] = begin(ctx, p, filepath.Join(folder, p.name)) })
	}
	starting.Wait()
	running = slices.DeleteFunc(running, func(r *Running) bool { return r == nil })
	if err := errors.Join(problems...); err != nil {
		for _, r := range running {
			err = errors.Join(err, r.Stop())
		}
		return nil, err
	}
	return running, nil
}

func begin(ctx context.Context, p part, folder string) (*Running, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // see Start
		return nil, err
	}
	cmd, url, err := p.start(folder)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	r := &Running{Name: p.name, URL: url, part: p, folder: folder, cmd: cmd}
	if err := r.run(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// run runs the part's program and waits until it answers.
func (r *Running) run(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(r.folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644) //nolint:gosec // our folder
	if err != nil {
		return err
	}
	r.log, r.done = log, make(chan struct{})
	r.cmd.Stdout, r.cmd.Stderr = log, log
	attach(r.cmd)
	if err := r.cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", r.Name, err), log.Close())
	}
	go func() {
		_ = r.cmd.Wait() // how it ended is in its log
		close(r.done)
	}()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		err := r.part.ready(ctx, r.URL)
		if err == nil {
			return nil
		}
		select {
		case <-poll.C:
			continue
		case <-r.done:
			err = errors.New("it has ended")
		case <-ctx.Done():
		}
		return errors.Join(fmt.Errorf("%s does not answer: %w\n%s", r.Name, err, r.Tail()), r.Stop())
	}
}

// Tail is the end of what the part wrote.
func (r *Running) Tail() []byte {
	b, _ := os.ReadFile(filepath.Join(r.folder, "log")) // without it, there is less to say
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-20):], []byte("\n"))
}

// Kill ends the part at once, as a machine that dies does.
func (r *Running) Kill() error { return r.signal(syscall.SIGKILL) }

// Pause stops the part without ending it, as a machine that is far too busy does, until Continue.
func (r *Running) Pause() error { return r.signal(syscall.SIGSTOP) }

// Continue ends a Pause.
func (r *Running) Continue() error { return r.signal(syscall.SIGCONT) }

func (r *Running) signal(s syscall.Signal) error {
	if err := signalAll(r.cmd, s); err != nil {
		return fmt.Errorf("%s %s: %w", s, r.Name, err)
	}
	if s == syscall.SIGKILL {
		<-r.done
	}
	return nil
}

// Restart starts a part that has ended, on the data and the port that it had.
func (r *Running) Restart(ctx context.Context) error {
	_ = r.log.Close() // it was flushed line by line
	old := r.cmd
	r.cmd = exec.Command(old.Path, old.Args[1:]...) //nolint:gosec // as before
	r.cmd.Dir, r.cmd.Env, r.cmd.SysProcAttr = old.Dir, old.Env, old.SysProcAttr
	return r.run(ctx)
}

// Stop ends the part. Its data may stay behind: the folder is the caller's.
func (r *Running) Stop() error {
	select {
	case <-r.done:
	default:
		_ = signalAll(r.cmd, syscall.SIGTERM)
		select {
		case <-r.done:
		case <-time.After(5 * time.Second): // nobody needs the data
			_ = signalAll(r.cmd, syscall.SIGKILL)
			<-r.done
		}
	}
	return r.log.Close()
}

// FreePort returns a loopback port that nobody has now.
func FreePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close() //nolint:errcheck // nothing was done with it
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

func freePorts(n int) ([]string, error) {
	ports := make([]string, n)
	for i := range ports {
		var err error
		if ports[i], err = FreePort(); err != nil {
			return nil, err
		}
	}
	return ports, nil
}

// program finds a program in the path or in one of more folders; how says how it is had.
func program(name, how string, folders ...string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, folder := range folders {
		found, err := filepath.Glob(filepath.Join(folder, name))
		if err == nil && len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", fmt.Errorf("%s is not installed: %s", name, how)
}

const byScript = "run scripts/parts.sh"

// cache is where scripts/parts.sh puts what is no package.
func cache() string {
	if dir := os.Getenv("STOA_CACHE"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ".cache"
	}
	return filepath.Join(home, ".cache", "stoa")
}

// as lets a command run as another user, whom the folder is given to, where this process is root: database servers refuse to
// be root.
func as(name, folder string, cmds ...*exec.Cmd) error {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	for _, cmd := range cmds {
		become(cmd, uid, gid)
	}
	return os.Chown(folder, uid, gid)
}

// prepare runs a command that has to succeed before a part starts.
func prepare(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, out)
	}
	return nil
}
