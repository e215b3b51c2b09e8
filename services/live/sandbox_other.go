//go:build !linux

package live

import (
	"bytes"
	"context"
	"log/slog"
	"os/exec"
)

// sandbox runs programs on input from outside. Only Linux has the limits and the namespace; elsewhere the protocol,
// format and codec whitelists and the time limit stand alone.
type sandbox struct{}

func newSandbox(_ context.Context, _ string, log *slog.Logger) sandbox {
	log.Warn("ffmpeg runs without limits on CPU and memory: only Linux has them")
	return sandbox{}
}

func (sandbox) run(cmd *exec.Cmd, input []byte) error {
	cmd.Stdin = bytes.NewReader(input)
	return cmd.Run()
}
