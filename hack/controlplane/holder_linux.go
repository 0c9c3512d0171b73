package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// holderAttributes start a process as the first of new process and mount namespaces.
func holderAttributes() *syscall.SysProcAttr {
	attributes := childAttributes()
	attributes.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS
	return attributes
}

// hold is what the first process of the real node's namespaces does: it gives them a /proc of their own, takes in the
// processes whose parents have ended, and ends when it is told to; the kernel then ends the rest.
func hold() error {
	if os.Getpid() != 1 {
		return errors.New("hold is for the program itself: it is the first process of a real node")
	}
	// What is mounted from here on stays in here, and is shared among those in here.
	for _, flags := range []uintptr{syscall.MS_REC | syscall.MS_PRIVATE, syscall.MS_REC | syscall.MS_SHARED} {
		if err := syscall.Mount("", "/", "", flags, ""); err != nil {
			return fmt.Errorf("making mounts private: %w", err)
		}
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGTERM, syscall.SIGINT)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return nil
		}
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if pid <= 0 && !errors.Is(err, syscall.EINTR) {
				break
			}
		}
	}
	return nil
}

const cgroupMount = "/sys/fs/cgroup"

// hasUnifiedCgroups tells whether cgroups are of version 2 alone.
func hasUnifiedCgroups() bool {
	_, err := os.Stat(filepath.Join(cgroupMount, "cgroup.controllers"))
	return err == nil
}

// cgroupRoots are the folders in which a group is to be made: one, or one for each controller of version 1.
func cgroupRoots() ([]string, error) {
	if hasUnifiedCgroups() {
		return []string{cgroupMount}, nil
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	var roots []string
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[2] == "cgroup" && strings.HasPrefix(fields[1], cgroupMount+"/") {
			roots = append(roots, fields[1])
		}
	}
	if len(roots) == 0 {
		return nil, errors.New("no cgroups below " + cgroupMount)
	}
	return roots, nil
}

// makeCgroups makes a group of each controller. In version 1 a new group of cpuset has neither CPUs nor memory, and no
// process can join it: it gets those of its parent.
func makeCgroups(name string) error {
	roots, err := cgroupRoots()
	if err != nil {
		return err
	}
	for _, root := range roots {
		dir := filepath.Join(root, name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(root, file))
			if err != nil {
				continue // another controller, or version 2, where a group inherits
			}
			if err := os.WriteFile(filepath.Join(dir, file), value, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeCgroups removes the groups of a name with all below them. A group that still holds a process stays.
func removeCgroups(name string) {
	roots, err := cgroupRoots()
	if err != nil {
		return
	}
	for _, root := range roots {
		var dirs []string
		_ = filepath.WalkDir(filepath.Join(root, name), func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for _, dir := range slices.Backward(dirs) {
			_ = syscall.Rmdir(dir)
		}
	}
}
