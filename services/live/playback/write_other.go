//go:build !unix

package playback

import "syscall"

// writeFD takes nothing, so that every viewer is served by a goroutine of its own.
func writeFD(uintptr, []byte) (int, error) { return 0, syscall.EAGAIN }
