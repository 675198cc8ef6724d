package blobtest

import (
	"syscall"
	"testing"
)

// mountSmall makes dir a disk of 4 MiB until the test ends; only root may.
func mountSmall(t testing.TB, dir string) error {
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m")
	if err == nil {
		t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	}
	return err
}
