//go:build !linux

package cluster

import (
	"errors"
	"os"
	"syscall"
)

// endWithParent returns nil: this kernel does not signal a child when its parent ends.
func endWithParent() *syscall.SysProcAttr { return nil }

func lockRealNode(string) (*os.File, error) { return nil, errors.New("a real node needs Linux") }
