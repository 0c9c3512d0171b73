//go:build !linux

package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// childAttributes keep a terminal's Ctrl-C from the components, which are to
// end in order. There is no parent death signal here: after a kill -9 of the
// program, its components stay.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// processStart identifies a process beyond its id, which the kernel uses
// again: its start time.
func processStart(pid int) (string, error) {
	output, err := exec.Command("ps", "-o", "lstart=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return "", fmt.Errorf("no process %d: %w", pid, err)
	}
	return strings.TrimSpace(string(output)), nil
}
