//go:build !unix

package edge

import "syscall"

const rawSockets = false

func writeFD(uintptr, []byte) (int, error) { return 0, syscall.EAGAIN }

func readFD(uintptr, []byte) (int, error) { return 0, syscall.EAGAIN }
