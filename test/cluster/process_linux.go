package cluster

import "syscall"

// endWithParent has a child process end when the test process does, however it ends.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
