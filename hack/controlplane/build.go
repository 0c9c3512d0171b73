package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ownStages are the KWOK stages of this repository. They stand beside the ones
// that come with KWOK and are listed in kwokStages.
//
//go:embed stages/*.yaml
var ownStages embed.FS

//go:embed pause/main.go
var pauseSource []byte

// kwokStages are the stages taken from the KWOK module: nodes become Ready and
// stay so through their leases, pods run at once, Jobs complete.
var kwokStages = []string{
	"kustomize/stage/node/fast/node-initialize.yaml",
	"kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
	"kustomize/stage/pod/fast/pod-ready.yaml",
	"kustomize/stage/pod/fast/pod-complete.yaml",
	"kustomize/stage/pod/fast/pod-delete.yaml",
}

const (
	kubernetesModule = "k8s.io/kubernetes"
	etcdModule       = "go.etcd.io/etcd/server/v3"
	kwokModule       = "sigs.k8s.io/kwok"
	containerdModule = "github.com/containerd/containerd/v2"
	cniModule        = "github.com/containernetworking/plugins"
	ownModule        = "github.com/platformprofile/platformprofile/hack/controlplane"
)

// runtimePath is the Go module of the container runtime, from this one.
var runtimePath = filepath.Join("..", "runtime")

// target is one binary to build.
type target struct {
	name    string
	module  string // whose version the binary has
	pkg     string
	ldflags string
	dir     string // of the Go module to build it in, from this one; "" for this one
	tags    string
	source  []byte // where it is of this module, and no version tells that it has changed
	node    bool   // only a real node needs it
}

// targets lists what "build" makes. Kubernetes learns its version from the
// linker; without it an API server says v0.0.0-master, and clients that look
// at the version go astray.
func targets(versions map[string]string) []target {
	version := versions[kubernetesModule]
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	for len(parts) < 2 {
		parts = append(parts, "")
	}
	const pkg = "k8s.io/component-base/version"
	kubernetes := fmt.Sprintf("-s -w -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s",
		pkg, version, parts[0], parts[1])
	const plain = "-s -w"
	list := []target{
		{name: etcdName, module: etcdModule, pkg: etcdModule, ldflags: plain},
		{name: apiserverName, module: kubernetesModule, pkg: kubernetesModule + "/cmd/kube-apiserver", ldflags: kubernetes},
		{name: controllersName, module: kubernetesModule, pkg: kubernetesModule + "/cmd/kube-controller-manager", ldflags: kubernetes},
		{name: schedulerName, module: kubernetesModule, pkg: kubernetesModule + "/cmd/kube-scheduler", ldflags: kubernetes},
		{name: "kubectl", module: kubernetesModule, pkg: kubernetesModule + "/cmd/kubectl", ldflags: kubernetes},
		{name: kwokName, module: kwokModule, pkg: kwokModule + "/cmd/kwok", ldflags: plain},
		{name: kubeletName, module: kubernetesModule, pkg: kubernetesModule + "/cmd/kubelet", ldflags: kubernetes, node: true},
		{name: "pause", module: ownModule, pkg: "./pause", source: pauseSource, ldflags: plain, node: true},
	}
	// Snapshotters that need libraries or devices of their own are left out.
	for _, name := range []string{containerdName, "containerd-shim-runc-v2", "ctr"} {
		list = append(list, target{
			name: name, module: containerdModule, pkg: containerdModule + "/cmd/" + name, node: true, dir: runtimePath,
			tags: "no_btrfs,no_devmapper,no_zfs", ldflags: plain + " -X " + containerdModule + "/version.Version=" + versions[containerdModule],
		})
	}
	for _, name := range []string{"ipam/host-local", "main/bridge", "main/loopback"} {
		list = append(list, target{
			name: path.Base(name), module: cniModule, pkg: cniModule + "/plugins/" + name, ldflags: plain, node: true, dir: runtimePath,
		})
	}
	return list
}

// stamp says what a file in the binary directory was made from. It lies beside
// the file, in .stamps.
type stamp struct {
	Version string `json:"version"`
	Hash    string `json:"hash"`
}

func stampPath(bin, name string) string { return filepath.Join(bin, ".stamps", name+".json") }

func readStamp(bin, name string) stamp {
	var s stamp
	if data, err := os.ReadFile(stampPath(bin, name)); err == nil {
		// A stamp that cannot be read is a stamp that does not match.
		_ = json.Unmarshal(data, &s)
	}
	return s
}

func writeStamp(bin, name string, s stamp) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return writeFileAtomically(stampPath(bin, name), append(data, '\n'), 0o644)
}

// build makes every binary that is not up to date, and the stage files.
// With node it makes those of a real node too.
func build(ctx context.Context, out string, node bool, stderr io.Writer) error {
	if node && runtime.GOOS != "linux" {
		return errors.New("a real node runs on Linux only: build without --node")
	}
	out, err := binaryDir(out)
	if err != nil {
		return err
	}
	root, err := repositoryRoot()
	if err != nil {
		return err
	}
	b := builder{module: filepath.Join(root, modulePath), out: out, progress: newProgress(stderr)}
	if err := os.MkdirAll(filepath.Join(out, ".stamps"), 0o755); err != nil {
		return err
	}
	// Test packages run in parallel and may all ask for the binaries: one
	// builds, the others wait and then find nothing left to do.
	unlock, err := waitLock(ctx, filepath.Join(out, ".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	return b.all(ctx, node)
}

type builder struct {
	module   string // directory of this module
	out      string
	progress *progress
}

func (b builder) all(ctx context.Context, node bool) error {
	// What a file depends on besides its own flags, by the Go module that it is built in.
	inputs, versions := map[string][]byte{}, map[string]string{}
	modules := map[string][]string{"": {kubernetesModule, etcdModule, kwokModule}}
	if node {
		modules[runtimePath] = []string{containerdModule, cniModule}
	}
	for dir, wanted := range modules {
		var err error
		if inputs[dir], err = b.in(dir).inputs(ctx); err != nil {
			return err
		}
		if err := b.in(dir).versions(ctx, wanted, versions); err != nil {
			return err
		}
	}
	base := inputs[""]
	list := slices.DeleteFunc(targets(versions), func(t target) bool { return t.node && !node })
	total := len(list) + 1
	built := 0
	for i, t := range list {
		label := fmt.Sprintf("[%d/%d] %s %s", i+1, total, t.name, versions[t.module])
		if path := envtestAsset(t.name); path != "" {
			b.progress.printf("%s: using %s (%s)", label, path, assetsVariable)
			continue
		}
		want := stamp{Version: versions[t.module], Hash: hash(inputs[t.dir], []byte(t.pkg), []byte(t.ldflags), []byte(t.tags), t.source)}
		if _, err := os.Stat(filepath.Join(b.out, t.name)); err == nil && readStamp(b.out, t.name) == want {
			b.progress.printf("%s: up to date", label)
			continue
		}
		if err := b.in(t.dir).compile(ctx, t, label); err != nil {
			return err
		}
		if err := writeStamp(b.out, t.name, want); err != nil {
			return err
		}
		built++
	}
	stages, err := b.stages(ctx, base)
	if err != nil {
		return fmt.Errorf("KWOK stages: %w", err)
	}
	b.progress.printf("[%d/%d] KWOK stages: %s", total, total, stages)
	b.progress.printf("%d built, all in %s", built, b.out)
	return nil
}

// in is the builder in another Go module, given from this one.
func (b builder) in(dir string) builder {
	b.module = filepath.Join(b.module, dir)
	return b
}

// inputs digests what every binary depends on besides its own flags.
func (b builder) inputs(ctx context.Context) ([]byte, error) {
	var all []byte
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(b.module, name))
		if err != nil {
			return nil, err
		}
		all = append(all, data...)
	}
	env, err := b.goOutput(ctx, "env", "GOVERSION", "GOOS", "GOARCH")
	if err != nil {
		return nil, err
	}
	return append(all, env...), nil
}

// versions adds the versions of modules that this one asks for.
func (b builder) versions(ctx context.Context, modules []string, versions map[string]string) error {
	output, err := b.goOutput(ctx, append([]string{"list", "-m", "-f", "{{.Path}} {{.Version}}"}, modules...)...)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(output)) {
		if path, version, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			versions[path] = version
		}
	}
	return nil
}

// compile builds one binary beside its final name and then renames it, because
// a running control plane may still execute the old one.
func (b builder) compile(ctx context.Context, t target, label string) error {
	temporary := filepath.Join(b.out, "."+t.name+".new")
	defer os.Remove(temporary)
	cmd := b.goCommand(ctx, "build", "-trimpath", "-tags", t.tags, "-ldflags", t.ldflags, "-o", temporary, t.pkg)
	var output lineBuffer
	cmd.Stdout, cmd.Stderr = &output, &output

	stop := b.progress.ticking(func() string {
		if last := output.last(); last != "" {
			return label + ": building: " + last
		}
		return label + ": building"
	})
	start := time.Now()
	err := cmd.Run()
	stop()
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("building %s: interrupted", t.name)
		}
		return fmt.Errorf("building %s: %w\n%s", t.name, err, output.String())
	}
	if err := os.Rename(temporary, filepath.Join(b.out, t.name)); err != nil {
		return err
	}
	b.progress.printf("%s: built in %s", label, time.Since(start).Round(time.Second))
	return nil
}

// stages writes the stage files and says what it did.
func (b builder) stages(ctx context.Context, base []byte) (string, error) {
	const name = "stages"
	own, err := fs.Glob(ownStages, "stages/*.yaml")
	if err != nil {
		return "", err
	}
	inputs := [][]byte{base, []byte(strings.Join(kwokStages, "\n"))}
	files := map[string][]byte{}
	for _, path := range own {
		data, err := ownStages.ReadFile(path)
		if err != nil {
			return "", err
		}
		files[filepath.Base(path)] = data
		inputs = append(inputs, []byte(path), data)
	}
	want := stamp{Hash: hash(inputs...)}
	dir := filepath.Join(b.out, name)
	if _, err := os.Stat(dir); err == nil && readStamp(b.out, name) == want {
		return "up to date", nil
	}
	output, err := b.goOutput(ctx, "list", "-m", "-f", "{{.Dir}}", kwokModule)
	if err != nil {
		return "", err
	}
	source := strings.TrimSpace(string(output))
	if source == "" {
		return "", fmt.Errorf("module %s is not in the module cache: run go mod download", kwokModule)
	}
	for _, path := range kwokStages {
		data, err := os.ReadFile(filepath.Join(source, filepath.FromSlash(path)))
		if err != nil {
			return "", err
		}
		files[filepath.Base(path)] = data
	}
	// Start from nothing: a stage that is no longer listed must not stay.
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for file, data := range files {
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o644); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d files", len(files)), writeStamp(b.out, name, want)
}

// goCommand prepares a go command in this module, whatever the caller's
// workspace or flags are.
func (b builder) goCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly")
	// The go command removes its work directory on SIGTERM, not on SIGKILL.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func (b builder) goOutput(ctx context.Context, args ...string) ([]byte, error) {
	output, err := b.goCommand(ctx, args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, exit.Stderr)
	}
	if err != nil {
		return nil, fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return output, nil
}

// hash digests its parts so that moving a byte from one part to the next
// changes the result.
func hash(parts ...[]byte) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:", len(part))
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// lineBuffer keeps what a command prints, and gives its last line while the
// command still runs.
type lineBuffer struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (b *lineBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.Write(p)
}

func (b *lineBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.String()
}

func (b *lineBuffer) last() string {
	text := strings.TrimSpace(b.String())
	return text[strings.LastIndexByte(text, '\n')+1:]
}
