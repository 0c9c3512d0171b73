//go:build !linux

package main

import (
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
