package live

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// Limits of one ffmpeg run.
const (
	sandboxCPU    = 5         // seconds
	sandboxMemory = 512 << 20 // bytes of address space beyond what the program maps
	sandboxFile   = 4 << 20   // bytes of any file it writes
)

// sandbox runs programs on input from outside.
type sandbox struct{ namespace bool }

// newSandbox finds out whether the kernel gives program a network namespace of its own.
func newSandbox(ctx context.Context, program string, log *slog.Logger) sandbox {
	ctx, cancel := context.WithTimeout(ctx, coverTimeout)
	defer cancel()
	probe := exec.CommandContext(ctx, program, "-version")
	probe.Env = []string{}
	probe.SysProcAttr = isolated()
	if err := probe.Run(); err != nil {
		log.Warn("ffmpeg runs without a network namespace of its own: the kernel refuses it; its protocol whitelist stands alone", "error", err)
		return sandbox{}
	}
	return sandbox{namespace: true}
}

// run runs cmd with input on its standard input: in a network namespace of its own where the kernel allows, and with
// limits on CPU, memory and file size that stand before it sees the first byte.
func (s sandbox) run(cmd *exec.Cmd, input []byte) error {
	if s.namespace {
		cmd.SysProcAttr = isolated()
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	limits := map[int]uint64{
		unix.RLIMIT_CPU: sandboxCPU, unix.RLIMIT_AS: 1<<30 + sandboxMemory, unix.RLIMIT_FSIZE: sandboxFile, unix.RLIMIT_CORE: 0,
	}
	for resource, limit := range limits {
		if err := unix.Prlimit(cmd.Process.Pid, resource, &unix.Rlimit{Cur: limit, Max: limit}, nil); err != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			return fmt.Errorf("limit resource %d: %w", resource, err)
		}
	}
	// ffmpeg closes its input once it has its picture, which is no error.
	_, _ = stdin.Write(input)
	_ = stdin.Close()
	return cmd.Wait()
}

// isolated asks for no network and for death with the parent.
func isolated() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if uid := os.Getuid(); uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
	}
	return attr
}
