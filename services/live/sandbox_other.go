//go:build !linux

package live

import (
	"bytes"
	"os/exec"
)

// runSandboxed runs cmd with input on its standard input. Only Linux has the limits; elsewhere the protocol, format and
// codec whitelists and the time limit stand alone.
func runSandboxed(cmd *exec.Cmd, input []byte) error {
	cmd.Stdin = bytes.NewReader(input)
	return cmd.Run()
}
