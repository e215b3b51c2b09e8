//go:build unix

package playback

import "syscall"

func writeFD(fd uintptr, b []byte) (int, error) { return syscall.Write(int(fd), b) }
