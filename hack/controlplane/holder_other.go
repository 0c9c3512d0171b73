//go:build !linux

package main

import (
	"context"
	"errors"
	"syscall"
)

// errLinuxOnly says that there is no real node but on Linux.
var errLinuxOnly = errors.New("a real node runs on Linux only")

func holderAttributes() *syscall.SysProcAttr { return childAttributes() }

func hold() error { return errLinuxOnly }

func hasUnifiedCgroups() bool { return false }

func makeCgroups(string) error { return errLinuxOnly }

func removeCgroups(string) {}

func (in *instance) startServiceNetwork(context.Context) error { return errLinuxOnly }
