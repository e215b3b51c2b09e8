package e2e_test

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// patience is how long a test waits for what must come; generous, for a slow machine only takes longer.
	patience = 45 * time.Second
	// glance is how often a condition is looked at.
	glance = 50 * time.Millisecond
)

// eventually waits until check returns nil; what completes "waited too long until ...".
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(glance) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited too long until %s: %v", what, err)
		}
		if t.Context().Err() != nil {
			t.Fatalf("stopped while waiting until %s: %v", what, err)
		}
	}
}

// must ends the test at an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// process is a program that a test started. It is in a process group of its own, so that what it starts ends with it and
// nothing else does.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	output *transcript   // what it wrote to stdout and stderr
	done   chan struct{} // closed when it has ended
	err    error         // how, once it has
}

// start runs a program until it ends, is stopped, or the test is over.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, output: &transcript{}, done: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = p.output
	}
	cmd.Stderr = p.output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 5 * time.Second
	must(t, cmd.Start())
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
	}()
	t.Cleanup(p.kill)
	return p
}

// signal sends one to the program itself.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	select {
	case <-p.done:
		p.t.Fatalf("%s had ended already (%v):\n%s", p.cmd.Args[0], p.err, p.output)
	default:
		must(p.t, p.cmd.Process.Signal(s))
	}
}

// kill ends the program and all that it started, as a power cut would, and waits for its end.
func (p *process) kill() {
	select {
	case <-p.done: // its id may be another's by now
		return
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
	<-p.done
}

// ended waits for the program's own end and returns how it ended.
func (p *process) ended() error {
	p.t.Helper()
	select {
	case <-p.done:
		return p.err
	case <-time.After(patience):
		p.t.Fatalf("%s does not end:\n%s", p.cmd.Args[0], p.output.tail())
		return nil
	}
}

// running fails the test where the program has ended.
func (p *process) running() {
	p.t.Helper()
	select {
	case <-p.done:
		p.t.Fatalf("%s ended (%v):\n%s", p.cmd.Args[0], p.err, p.output.tail())
	default:
	}
}

// transcript keeps what a program writes.
type transcript struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (w *transcript) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(p)
}

// String returns everything so far.
func (w *transcript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// tail returns the last lines, without those of an access log.
func (w *transcript) tail() string {
	lines := strings.Split(strings.TrimSpace(w.String()), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, "level=INFO msg=request ") })
	if len(lines) > 60 {
		lines = append([]string{"..."}, lines[len(lines)-60:]...)
	}
	return strings.Join(lines, "\n")
}
