package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPortsAreLeasedOnce(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	first, err := leasePort(0)
	if err != nil {
		t.Fatal(err)
	}
	// Nothing listens on the port, and still nobody else gets it.
	second, err := leasePort(first.port)
	if err != nil {
		t.Fatal(err)
	}
	defer second.release()
	if second.port == first.port {
		t.Errorf("port %d was leased twice", first.port)
	}
	first.release()
	third, err := leasePort(first.port)
	if err != nil {
		t.Fatal(err)
	}
	defer third.release()
	if third.port != first.port {
		t.Errorf("got port %d, want the preferred %d", third.port, first.port)
	}
	// A port that a stranger listens on is taken.
	listener, err := net.Listen("tcp", loopbackAddress(second.port))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	second.release()
	fourth, err := leasePort(second.port)
	if err != nil {
		t.Fatal(err)
	}
	defer fourth.release()
	if fourth.port == second.port {
		t.Errorf("port %d was leased although it is in use", second.port)
	}
}

func TestControlChannel(t *testing.T) {
	for name, dir := range map[string]string{
		"short path": t.TempDir(),
		"long path":  filepath.Join(t.TempDir(), strings.Repeat("long", 30)),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			server, err := listenControl(dir, func(line string) (string, error) {
				if line == "ping" {
					return "pong", nil
				}
				return "", errors.New("two\nlines")
			})
			if err != nil {
				t.Fatal(err)
			}
			go server.serve()
			if answer, err := sendControl(server.path, "ping"); err != nil || answer != "pong" {
				t.Errorf("ping: %q, %v", answer, err)
			}
			if _, err := sendControl(server.path, "jump"); err == nil || err.Error() != "two | lines" {
				t.Errorf("error = %v", err)
			}
			server.close()
			if _, err := sendControl(server.path, "ping"); err == nil {
				t.Error("a closed channel answers")
			}
		})
	}
}

func TestPurgeKeepsForeignDirectories(t *testing.T) {
	foreign := t.TempDir()
	if err := down(foreign, true, os.Stderr); err == nil {
		t.Error("no error for a directory that is not ours")
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("deleted: %v", err)
	}
	ours := filepath.Join(t.TempDir(), "cp")
	if err := os.Mkdir(ours, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(lockPath(ours), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing left to do
		if err := down(ours, true, os.Stderr); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(ours); err == nil {
		t.Error("our own directory is still there")
	}
}

func TestNodeReadiness(t *testing.T) {
	list := func(text string) nodeList {
		t.Helper()
		var l nodeList
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	const ready = `"status":{"conditions":[{"type":"Ready","status":"True"}]}`
	if _, err := list(`{"items":[]}`).check(1); err == nil {
		t.Error("a missing node is Ready")
	}
	if _, err := list(`{"items":[{"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}}]}`).check(1); err == nil {
		t.Error("an unknown node is Ready")
	}
	tainted, err := list(`{"items":[{"metadata":{"name":"a"},"spec":{"taints":[{"key":"node.kubernetes.io/not-ready"}]},` + ready + `},{` + ready + `}]}`).check(2)
	if err != nil || len(tainted) != 1 || tainted[0] != "a" {
		t.Errorf("tainted = %q, %v", tainted, err)
	}
}

func TestPollTellsWhatIsMissing(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errors.New("too long"))
	defer cancel()
	err := poll(ctx, func(context.Context) error { return errLocked })
	if !errors.Is(err, errLocked) || !strings.Contains(err.Error(), "too long") {
		t.Errorf("error = %v", err)
	}
}
