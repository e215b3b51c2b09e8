package e2e_test

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// mount puts a disk in memory at dir until the end of the test.
func mount(t *testing.T, dir, size string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		if errors.Is(err, unix.EPERM) {
			t.Skip("this root may not mount a disk")
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// isFull reports whether a disk has no room.
func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) }
