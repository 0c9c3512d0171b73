//go:build !linux

package cluster

import "syscall"

// endWithParent has nothing to offer where the kernel does not tell children of their parent's end.
func endWithParent() *syscall.SysProcAttr { return nil }
