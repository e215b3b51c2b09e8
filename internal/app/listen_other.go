//go:build !linux

package app

import (
	"syscall"
	"time"
)

// userTimeout does nothing where the kernel has no such option: its own patience with dead peers counts.
func userTimeout(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }
