//go:build !linux

package parts

import (
	"errors"
	"os/exec"
	"syscall"
)

var errOnlyLinux = errors.New("parts are started on Linux only")

func attach(*exec.Cmd) {}

func become(*exec.Cmd, int, int) {}

func signalAll(*exec.Cmd, syscall.Signal) error { return errOnlyLinux }
