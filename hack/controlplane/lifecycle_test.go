package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// requireBinaries skips a test that starts a real control plane where that has
// not been built, or where only quick tests are wanted.
func requireBinaries(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a real control plane")
	}
	bin, err := binaryDir("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := findStages(bin); err != nil {
		t.Skip(err)
	}
	for _, name := range append([]string{"kubectl"}, componentNames...) {
		if _, err := findBinary(bin, name); err != nil {
			t.Skip(err)
		}
	}
}

// program prepares a call of the real program, which is this test binary in
// another role (see TestMain).
func program(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "CONTROLPLANE_TEST_ROLE=main")
	return cmd
}

func call(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := program(t, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return strings.TrimSpace(stdout.String())
}

// tearDown stops and deletes a control plane when the test is over, whatever
// has become of it.
func tearDown(t *testing.T, dir string) {
	t.Cleanup(func() {
		cmd := exec.Command(os.Args[0], "down", "--purge", "--dir="+dir)
		cmd.Env = append(os.Environ(), "CONTROLPLANE_TEST_ROLE=main")
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("down: %v\n%s", err, output)
		}
	})
}

func mustReadState(t *testing.T, dir string) state {
	t.Helper()
	st, err := readState(dir)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// expectNothingLeft checks that no process of a control plane is left.
func expectNothingLeft(t *testing.T, st state) {
	t.Helper()
	for name, c := range st.Components {
		if c.PID != 0 && !goneWithin(c.PID, 5*time.Second) {
			t.Errorf("%s (pid %d) is still there", name, c.PID)
		}
	}
}

func TestLifecycle(t *testing.T) {
	requireBinaries(t)
	dir := filepath.Join(t.TempDir(), "cp")
	tearDown(t, dir)
	ready := call(t, "up", "--dir="+dir, "--nodes=2", "--audit")
	if want := "ready kubeconfig=" + filepath.Join(dir, "admin.kubeconfig"); ready != want {
		t.Fatalf("up printed %q, want %q", ready, want)
	}
	st := mustReadState(t, dir)
	t.Logf("ready after %.1f s", st.ReadySeconds)
	if again := call(t, "up", "--dir="+dir); again != ready {
		t.Errorf("up of what is up printed %q", again)
	}
	if now := mustReadState(t, dir); now.PID != st.PID {
		t.Error("up of what is up started another one")
	}
	call(t, "status", "--dir="+dir)

	t.Run("nodes", func(t *testing.T) {
		var nodes struct {
			Items []struct {
				Status struct {
					NodeInfo struct{ ContainerRuntimeVersion, KubeletVersion string }
				}
			}
		}
		get(t, st, "/api/v1/nodes", &nodes)
		if len(nodes.Items) != 2 {
			t.Fatalf("%d nodes, want 2", len(nodes.Items))
		}
		info := nodes.Items[0].Status.NodeInfo
		if info.ContainerRuntimeVersion != "containerd://2.1.4" || info.KubeletVersion != st.Versions["kubernetes"] {
			t.Errorf("nodeInfo = %+v", info)
		}
	})

	t.Run("workloads", func(t *testing.T) {
		kubectl(t, st, "apply", "-f", filepath.Join("testdata", "workloads.yaml"))
		for _, workload := range []string{"deployment/web", "daemonset/agent", "statefulset/db"} {
			kubectl(t, st, "rollout", "status", workload, "--timeout=60s")
		}
		kubectl(t, st, "wait", "--for=condition=complete", "job/once", "--timeout=60s")
		// A class of its own, whose volumes wait for the pod.
		kubectl(t, st, "wait", "--for=condition=ready", "pod/late", "--timeout=60s")
		kubectl(t, st, "delete", "--wait", "-f", filepath.Join("testdata", "workloads.yaml"))
		kubectl(t, st, "wait", "--for=delete", "pv", "--all", "--timeout=60s")
	})

	t.Run("audit", func(t *testing.T) {
		const path = "/api/v1/namespaces/audited/configmaps"
		get(t, st, path, nil)
		data, err := os.ReadFile(st.AuditLog)
		if err != nil {
			t.Fatal(err)
		}
		lines := 0
		for line := range bytes.Lines(data) {
			var event struct{ RequestURI, Verb string }
			if err := json.Unmarshal(line, &event); err != nil {
				t.Fatalf("audit line %q: %v", line, err)
			}
			if event.RequestURI == path && event.Verb == "list" {
				lines++
			}
		}
		if lines != 1 {
			t.Errorf("%d audit lines for one request", lines)
		}
	})

	t.Run("restart", func(t *testing.T) {
		for _, args := range [][]string{{"pause", "etcd"}, {"cont", "etcd"}, {"kill", "apiserver"}, {"restart", "etcd"}, {"start", "apiserver"}} {
			call(t, args[0], "--dir="+dir, args[1])
		}
		if now := mustReadState(t, dir); now.Server != st.Server || now.PID != st.PID {
			t.Errorf("after a restart: %s, pid %d; before: %s, pid %d", now.Server, now.PID, st.Server, st.PID)
		}
		get(t, st, "/api/v1/nodes/node-1", nil)
	})

	t.Run("down and up again", func(t *testing.T) {
		st := mustReadState(t, dir)
		kubectl(t, st, "create", "namespace", "kept")
		call(t, "down", "--dir="+dir)
		expectNothingLeft(t, st)
		call(t, "up", "--dir="+dir, "--nodes=2")
		now := mustReadState(t, dir)
		t.Logf("ready again after %.1f s", now.ReadySeconds)
		if now.Server != st.Server {
			t.Errorf("server moved from %s to %s", st.Server, now.Server)
		}
		get(t, now, "/api/v1/namespaces/kept", nil)
	})

	t.Run("death of a component", func(t *testing.T) {
		st := mustReadState(t, dir)
		if err := syscall.Kill(st.Components[schedulerName].PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if !goneWithin(st.PID, 30*time.Second) {
			t.Fatal("the runner goes on")
		}
		expectNothingLeft(t, st)
		log, err := os.ReadFile(filepath.Join(dir, "logs", "controlplane.log"))
		if err != nil || !strings.Contains(string(log), "kube-scheduler died (signal: killed)") {
			t.Errorf("log (%v):\n%s", err, log)
		}
		if err := program(t, "status", "--dir="+dir).Run(); err == nil {
			t.Error("status finds it healthy")
		}
	})
}

// TestSignals ends a control plane in the ways that are not "down". It runs
// without controllers, which also shows that the nodes get usable then.
func TestSignals(t *testing.T) {
	requireBinaries(t)
	for name, test := range map[string]struct {
		signal syscall.Signal
		code   int
	}{
		"Ctrl-C":  {syscall.SIGINT, 0},
		"SIGTERM": {syscall.SIGTERM, 0},
		"kill -9": {syscall.SIGKILL, -1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cp")
			tearDown(t, dir)
			cmd := program(t, "run", "--dir="+dir, "--nodes=1", "--without=controllers,scheduler")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line := make([]byte, 5)
			if _, err := stdout.Read(line); err != nil || string(line) != "ready" {
				t.Fatalf("read %q, %v\n%s", line, err, &stderr)
			}
			st := mustReadState(t, dir)
			var node struct {
				Spec struct{ Taints []any }
			}
			get(t, st, "/api/v1/nodes/node-1", &node)
			if len(node.Spec.Taints) != 0 {
				t.Errorf("taints: %v", node.Spec.Taints)
			}
			if err := cmd.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
			err = cmd.Wait()
			if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != test.code) {
				t.Errorf("ended with %v\n%s", err, &stderr)
			}
			expectNothingLeft(t, st)
		})
	}
}

func get(t *testing.T, st state, path string, out any) {
	t.Helper()
	api, err := st.client()
	if err != nil {
		t.Fatal(err)
	}
	if err := api.do(t.Context(), http.MethodGet, path, nil, out); err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
}

func kubectl(t *testing.T, st state, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), st.Kubectl, append([]string{"--kubeconfig=" + st.Kubeconfig}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir()) // for its discovery cache
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, output)
	}
}
