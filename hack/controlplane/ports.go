package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// Ports are taken from below the range that Linux gives to outgoing
// connections (32768 and up). From inside it, any connection could take the
// port of a component while that is stopped, and it could not start again.
const (
	firstPort = 20000
	lastPort  = 31999
)

// portLease keeps a port for this instance, also while nothing listens on it.
// Instances see each other through locked files; the kernel drops the lock
// with the process.
type portLease struct {
	port    int
	release func()
}

// leasePort leases a loopback port, the preferred one where that is free (0
// for none).
func leasePort(preferred int) (*portLease, error) {
	dir, err := portLockDir()
	if err != nil {
		return nil, err
	}
	if preferred >= firstPort && preferred <= lastPort {
		if lease, err := tryPort(dir, preferred); err == nil {
			return lease, nil
		}
	}
	var last error
	for range 200 {
		n, err := rand.Int(rand.Reader, big.NewInt(lastPort-firstPort+1))
		if err != nil {
			return nil, err
		}
		lease, err := tryPort(dir, firstPort+int(n.Int64()))
		if err == nil {
			return lease, nil
		}
		last = err
	}
	return nil, fmt.Errorf("no free port on 127.0.0.1: %w", last)
}

func tryPort(lockDir string, port int) (*portLease, error) {
	release, err := tryLock(filepath.Join(lockDir, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", loopbackAddress(port))
	if err != nil {
		release()
		return nil, err
	}
	if err := listener.Close(); err != nil {
		release()
		return nil, err
	}
	return &portLease{port: port, release: release}, nil
}

// portLockDir is the user's own, not in a directory that others can write to.
func portLockDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = filepath.Join(os.TempDir(), "controlplane-"+strconv.Itoa(os.Getuid()))
	}
	dir := filepath.Join(base, "platformprofile-controlplane", "ports")
	if mkdirErr := os.MkdirAll(dir, 0o700); mkdirErr != nil {
		return "", errors.Join(mkdirErr, err)
	}
	return dir, nil
}

func loopbackAddress(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
