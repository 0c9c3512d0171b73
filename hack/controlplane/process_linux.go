package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// childAttributes keep a terminal's Ctrl-C from the components, which are to
// end in order, and end them should this program be killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// processStart identifies a process beyond its id, which the kernel uses
// again: its start time, in clock ticks since boot.
func processStart(pid int) (string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The second field is the program's name in parentheses and may hold
	// anything, also parentheses; count from behind it.
	stat := string(data)
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const startTime = 22 - 3 // field 22 of proc(5); fields[0] is field 3
	if len(fields) <= startTime {
		return "", errors.New("unexpected format of /proc/PID/stat")
	}
	return fields[startTime], nil
}
