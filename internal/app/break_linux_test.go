package app_test

import (
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"
)

// breakListener has the next accept on an address of this process fail for good, as no close of ours does.
func breakListener(t *testing.T, addr net.Addr) {
	t.Helper()
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		t.Fatalf("%v is no address of TCP", addr)
	}
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range list {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		listens, err1 := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
		name, err2 := syscall.Getsockname(fd)
		if in4, ok := name.(*syscall.SockaddrInet4); ok && err1 == nil && err2 == nil && listens == 1 && in4.Port == tcp.Port {
			if err := syscall.Shutdown(fd, syscall.SHUT_RDWR); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("nobody listens at %v", addr)
}
