package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary play the runner: its real main, or a parent
// that starts one child and waits to be killed.
func TestMain(m *testing.M) {
	switch os.Getenv("CONTROLPLANE_TEST_ROLE") {
	case "main":
		main()
		os.Exit(0)
	case "parent":
		log := filepath.Join(os.Getenv("CONTROLPLANE_TEST_DIR"), "log")
		p, err := startProcess(newSpawner(), "/bin/sh", []string{"-c", "sleep 60"}, os.Environ(), "/", log, childAttributes())
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(p.pid())
		<-p.done
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func shell(t *testing.T, script string) (*component, chan string) {
	t.Helper()
	dir := t.TempDir()
	c := &component{name: "shell", bin: "/bin/sh", args: []string{"-c", script}, log: filepath.Join(dir, "log")}
	deaths := make(chan string, 1)
	died := func(c *component, p *process) { deaths <- p.state.String() + "\n" + tail(c.log, 5) }
	if err := c.start(newSpawner(), os.Environ(), dir, died); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.stop(0) })
	return c, deaths
}

func TestDeathIsReported(t *testing.T) {
	_, deaths := shell(t, "echo last words; exit 3")
	select {
	case how := <-deaths:
		if !strings.Contains(how, "exit status 3") || !strings.Contains(how, "last words") {
			t.Errorf("reported %q", how)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("not reported")
	}
}

func TestStopOnPurposeIsNoDeath(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		paused bool
		grace  time.Duration
	}{
		"asked":                   {"exec sleep 60", false, 10 * time.Second},
		"asked while paused":      {"exec sleep 60", true, 10 * time.Second},
		"killed":                  {"exec sleep 60", false, 0},
		"killed after being deaf": {"trap '' TERM; while :; do sleep 0.05; done", false, 300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, deaths := shell(t, test.script)
			time.Sleep(100 * time.Millisecond) // let the shell set its trap
			if test.paused {
				if err := c.pause(true); err != nil {
					t.Fatal(err)
				}
				if _, word := c.condition(); word != "paused" {
					t.Errorf("condition is %s", word)
				}
			}
			start := time.Now()
			c.stop(test.grace)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
			if pid, word := c.condition(); pid != 0 || word != "stopped" {
				t.Errorf("condition is %s, pid %d", word, pid)
			}
			select {
			case how := <-deaths:
				t.Errorf("reported as a death: %s", how)
			case <-time.After(100 * time.Millisecond):
			}
			if err := c.pause(true); err == nil {
				t.Error("a stopped component can be paused")
			}
		})
	}
}

func TestChildrenEndWithAKilledRunner(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("needs the parent death signal of Linux")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CONTROLPLANE_TEST_ROLE=parent", "CONTROLPLANE_TEST_DIR="+t.TempDir())
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, stdout)
	_ = cmd.Wait()
	if !goneWithin(child, 5*time.Second) {
		t.Errorf("child %d outlives its killed parent", child)
	}
}

// goneWithin waits for the end of a process; a zombie has ended.
func goneWithin(pid int, limit time.Duration) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if syscall.Kill(pid, 0) != nil {
			return true
		}
		if data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
			if _, rest, ok := strings.Cut(string(data), ") "); ok && strings.HasPrefix(rest, "Z") {
				return true
			}
		}
	}
	return false
}

func TestProcessStartTellsProcessesApart(t *testing.T) {
	self, err := processStart(os.Getpid())
	if err != nil || self == "" {
		t.Fatalf("own start: %q, %v", self, err)
	}
	if again, err := processStart(os.Getpid()); err != nil || again != self {
		t.Errorf("own start changed from %q to %q (%v)", self, again, err)
	}
	if (state{PID: os.Getpid(), PIDStart: self + "0"}).alive() {
		t.Error("a process with another start time counts as ours")
	}
	if !(state{PID: os.Getpid(), PIDStart: self}).alive() {
		t.Error("this process counts as gone")
	}
}
