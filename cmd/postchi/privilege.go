package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/postchi/postchi/models"
)

// become makes the process the user of this name for good: groups, group and user of every
// thread, and no way back by set-user-id programs. It does nothing unless started as root.
func become(name string) error {
	if os.Geteuid() != 0 || name == "" {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return models.Errorf(models.Invalid, "config.user", "The user %q does not exist; make it (useradd --system %s) or set \"user\" in the configuration.", name, name).Because(err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("user %s: %w", name, err)
	}
	return becomeIDs(uid, gid)
}

func becomeIDs(uid, gid int) error {
	if uid == 0 {
		return noNewPrivileges()
	}
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return fmt.Errorf("drop groups: %w", err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return fmt.Errorf("become group %d: %w", gid, err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("become user %d: %w", uid, err)
	}
	if err := syscall.Setuid(0); err == nil {
		return errors.New("the rights of root could be taken back")
	}
	return noNewPrivileges()
}

// noNewPrivileges sets the flag on every thread. A program built with cgo (tests under the
// race detector) cannot and goes on without.
func noNewPrivileges() error {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	if errno != 0 && errno != syscall.ENOTSUP {
		return fmt.Errorf("set no_new_privs: %w", errno)
	}
	return nil
}

// becomeOwner lets a command run by root work as the owner of the data folder, so that it
// leaves no files there that the server cannot open.
func becomeOwner(dataDir, configured string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dataDir)
	if errors.Is(err, os.ErrNotExist) {
		return makeDataDir(dataDir, configured)
	}
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 {
		return nil
	}
	return becomeIDs(int(st.Uid), int(st.Gid))
}

// makeDataDir makes the folder for the configured user, and becomes that user.
func makeDataDir(dataDir, configured string) error {
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	if os.Geteuid() != 0 || configured == "" {
		return nil
	}
	u, err := user.Lookup(configured)
	if err != nil {
		return become(configured) // says what to do
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dataDir, uid, gid); err != nil {
		return fmt.Errorf("give data folder to %s: %w", configured, err)
	}
	return become(configured)
}
