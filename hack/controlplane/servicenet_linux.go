package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startServiceNetwork makes the bridge of the pods and has the API server answer on it at the address of the service
// "kubernetes". No kube-proxy runs here: the address is one of the bridge's own, and a connection to it is passed on.
func (in *instance) startServiceNetwork(ctx context.Context) error {
	bridge := in.bridge()
	for _, args := range [][]string{
		// Without an address of its own the bridge takes one of the pods', and another one when a pod comes or goes: until
		// the pods notice, for some seconds, they reach nothing.
		{"link", "add", bridge, "address", "0a:58:00:00:00:01", "type", "bridge"},
		{"address", "add", in.subnet(1) + "/24", "dev", bridge},
		{"address", "add", kubernetesServiceIP + "/32", "dev", bridge},
		{"link", "set", bridge, "up"},
	} {
		if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
		}
	}
	// Bound to the bridge, it takes the connections of this node's pods alone: other real nodes on this machine have the
	// same address on bridges of their own.
	config := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		var bound error
		err := conn.Control(func(fd uintptr) { bound = syscall.BindToDevice(int(fd), bridge) })
		return errors.Join(err, bound)
	}}
	listener, err := config.Listen(ctx, "tcp4", net.JoinHostPort(kubernetesServiceIP, "443"))
	if err != nil {
		return err
	}
	go passOn(listener, loopbackAddress(in.ports[apiserverName])) // until this program ends
	return nil
}

// passOn connects who comes to the listener with the target, until the listener is closed.
func passOn(listener net.Listener, target string) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(100 * time.Millisecond) // no descriptor is free, or the caller is gone again
			continue
		}
		go join(conn, target)
	}
}

// join copies both ways until both sides are done. A target that does not answer closes the connection, as a service without
// endpoints would.
func join(caller net.Conn, target string) {
	defer caller.Close()
	called, err := net.DialTimeout("tcp", target, 10*time.Second)
	if err != nil {
		return
	}
	defer called.Close()
	var both sync.WaitGroup
	for _, way := range []struct{ to, from net.Conn }{{caller, called}, {called, caller}} {
		both.Go(func() {
			_, err := io.Copy(way.to, way.from)
			if tcp, ok := way.to.(*net.TCPConn); ok && err == nil {
				_ = tcp.CloseWrite() // the other way may still have something to say
				return
			}
			_ = way.to.Close()
		})
	}
	both.Wait()
}
