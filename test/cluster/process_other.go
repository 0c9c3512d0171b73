//go:build !linux

package cluster

import (
	"errors"
	"os"
	"syscall"
)

// endWithParent has nothing to offer where the kernel does not tell children of their parent's end.
func endWithParent() *syscall.SysProcAttr { return nil }

func lockRealNode(string) (*os.File, error) { return nil, errors.New("a real node needs Linux") }
