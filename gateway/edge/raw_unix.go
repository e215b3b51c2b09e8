//go:build unix

package edge

import "syscall"

// rawSockets says that sockets can be written and read without waiting.
const rawSockets = true

func writeFD(fd uintptr, b []byte) (int, error) { return syscall.Write(int(fd), b) }

func readFD(fd uintptr, b []byte) (int, error) { return syscall.Read(int(fd), b) }
