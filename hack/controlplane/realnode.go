package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The real node is a kubelet with containerd, for what only they can show: pods whose programs really run. They live in
// process and mount namespaces of their own, on this machine's network: when the process that holds the namespaces ends,
// in whatever way, the kernel ends every container and takes every mount away.
const (
	machineName    = "machine" // holds the namespaces
	containerdName = "containerd"
	kubeletName    = "kubelet"
	// realNodeName is the Node's name.
	realNodeName = "real-node"
	// sandboxImage is the image of a pod's sandbox; it is never pulled.
	sandboxImage = "platformprofile.local/pause:1"
)

// realNodeNames are the components of the real node, in the order of the start.
var realNodeNames = []string{machineName, containerdName, kubeletName}

// runcName is the one part that is not built here: Debian's package of the same name has it.
const runcName = "runc"

// checkRealNode says what is missing for a real node, before anything is made.
func checkRealNode(bin string) error {
	if os.Geteuid() != 0 {
		return errors.New("a real node needs root: it makes cgroups, mounts and network interfaces")
	}
	for _, name := range []string{containerdName, "containerd-shim-runc-v2", "ctr", "bridge", "host-local", "loopback", "pause", kubeletName} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			return fmt.Errorf("%s is missing: run \"controlplane build --node\" first: %w", name, err)
		}
	}
	for _, tool := range []struct{ name, pkg string }{{runcName, "runc"}, {"nsenter", "util-linux"}, {"mount", "mount"}, {"ip", "iproute2"}} {
		if _, err := exec.LookPath(tool.name); err != nil {
			return fmt.Errorf("a real node needs %s: apt-get install %s: %w", tool.name, tool.pkg, err)
		}
	}
	return nil
}

// node is where the files of the real node lie.
func (s settings) node(parts ...string) string {
	return filepath.Join(append([]string{s.dir, "node"}, parts...)...)
}

// mark tells this real node's cgroup, interface and addresses from those of others on this machine.
func (s settings) mark() string {
	sum := sha256.Sum256([]byte(s.dir))
	return hex.EncodeToString(sum[:4])
}

func (s settings) bridge() string { return "pp-" + s.mark() } // at most 15 characters

// subnet is an address in the pods' network, 10.N.M.0/24. KWOK's pods have 10.244.0.0/16, services 10.96.0.0/16.
func (s settings) subnet(host int) string {
	sum := sha256.Sum256([]byte(s.dir))
	return fmt.Sprintf("10.%d.%d.%d", 200+int(sum[0])%40, sum[1], host)
}

func (s settings) containerdSocket() string { return s.node("containerd.sock") }

// prepareRealNode writes the configuration of containerd, CNI and the kubelet.
func (s settings) prepareRealNode() error {
	// Pods that do not run as root pass through these.
	for _, dir := range []string{"root", "state", "cni", "kubelet", "podlogs"} {
		if err := os.MkdirAll(s.node(dir), 0o755); err != nil {
			return err
		}
	}
	// A pod's user must reach what is mounted for it.
	for _, dir := range []string{s.dir, s.node()} {
		if err := os.Chmod(dir, 0o711); err != nil {
			return err
		}
	}
	runc, err := exec.LookPath(runcName)
	if err != nil {
		return err
	}
	cgroupsV2 := hasUnifiedCgroups()
	if err := makeCgroups(s.cgroup()); err != nil {
		return fmt.Errorf("cgroups of the real node: %w", err)
	}
	files := map[string]string{
		s.node("containerd.toml"):       s.containerdConfig(runc),
		s.node("cni", "10-bridge.conf"): s.cniConfig(),
		s.node("kubelet.yaml"):          s.kubeletConfig(cgroupsV2),
	}
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s settings) cgroup() string { return "platformprofile-" + s.mark() }

// containerdConfig: without CAP_SYS_RESOURCE a process cannot lower its OOM score, which is what runc is asked for
// unless restrict_oom_score_adj is set.
func (s settings) containerdConfig(runc string) string {
	return fmt.Sprintf(`version = 3
root = %[1]q
state = %[2]q
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs",
]

[grpc]
  address = %[3]q

[ttrpc]
  address = %[4]q

[plugins."io.containerd.cri.v1.images"]
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = %[5]q

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
  netns_mounts_under_state_dir = true
  enable_unprivileged_ports = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = [%[6]q]
    conf_dir = %[7]q
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = %[8]q
        SystemdCgroup = false
`, s.node("root"), s.node("state"), s.containerdSocket(), s.containerdSocket()+".ttrpc", sandboxImage, s.bin, s.node("cni"), runc)
}

func (s settings) cniConfig() string {
	return fmt.Sprintf(`{
  "cniVersion": "1.0.0",
  "name": "platformprofile",
  "type": "bridge",
  "bridge": %q,
  "ipam": {"type": "host-local", "dataDir": %q, "ranges": [[{"subnet": "%s/24", "gateway": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}
}
`, s.bridge(), s.node("cni-data"), s.subnet(0), s.subnet(1))
}

// kubeletConfig leaves out what a node of an afternoon needs no care for: eviction for want of disk, reserved resources,
// and the collection of images, which nobody could pull again.
func (s settings) kubeletConfig(cgroupsV2 bool) string {
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
port: %[1]d
healthzPort: 0
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: false}
  x509: {clientCAFile: %[2]q}
authorization: {mode: AlwaysAllow}
tlsCertFile: %[3]q
tlsPrivateKeyFile: %[4]q
containerRuntimeEndpoint: "unix://%[5]s"
cgroupDriver: cgroupfs
cgroupRoot: /%[6]s
failCgroupV1: %[7]t
failSwapOn: false
evictionHard: {}
enforceNodeAllocatable: []
imageGCHighThresholdPercent: 100
makeIPTablesUtilChains: false
podLogsDir: %[8]q
volumePluginDir: %[9]q
nodeStatusUpdateFrequency: 2s
nodeStatusReportFrequency: 1m
syncFrequency: 5s
registerNode: true
`, s.ports[kubeletName], s.keys.cert(clusterCA), s.keys.cert("localhost"), s.keys.key("localhost"),
		s.containerdSocket(), s.cgroup(), cgroupsV2, s.node("podlogs"), s.node("volume-plugins"))
}

// realNodeComponents describes the components of the real node.
func (s settings) realNodeComponents() (map[string]*component, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	machine := &component{
		name: machineName, bin: self, args: []string{"hold"}, attributes: holderAttributes, log: s.log(machineName),
	}
	// Until the holder has mounted its own /proc, who enters it sees the wrong processes.
	machine.ready = func(ctx context.Context) error {
		return machine.within(ctx, "/bin/sh", "-c", "test -e /proc/1/cmdline && grep -q hold /proc/1/cmdline")
	}
	containerd := &component{
		name: containerdName, bin: filepath.Join(s.bin, containerdName), inside: machine, log: s.log(containerdName),
		// containerd finds its shim, and CNI its plugins, by PATH.
		env:   []string{"PATH=" + s.bin + ":" + os.Getenv("PATH")},
		args:  []string{"--config=" + s.node("containerd.toml")},
		ready: func(ctx context.Context) error { return answers(ctx, s.containerdSocket()) },
	}
	if s.options.verbose {
		containerd.args = append(containerd.args, "--log-level=debug")
	}
	kubelet := &component{
		name: kubeletName, bin: filepath.Join(s.bin, kubeletName), inside: machine, log: s.log(kubeletName),
		port: s.ports[kubeletName],
		args: append([]string{
			"--config=" + s.node("kubelet.yaml"),
			"--kubeconfig=" + s.kubeconfig(kubeletName),
			"--root-dir=" + s.node("kubelet"),
			"--cert-dir=" + s.node("kubelet", "pki"),
			"--hostname-override=" + realNodeName,
			"--node-labels=kubernetes.io/os=linux",
		}, s.verbosity()...),
		ready: s.realNodeReady,
	}
	return map[string]*component{machineName: machine, containerdName: containerd, kubeletName: kubelet}, nil
}

func answers(ctx context.Context, socket string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	return conn.Close()
}

// realNodeReady tells whether the node reports itself Ready and takes pods.
func (s settings) realNodeReady(ctx context.Context) error {
	var list nodeList
	if err := s.api.do(ctx, http.MethodGet, "/api/v1/nodes?fieldSelector=metadata.name%3D"+realNodeName, nil, &list); err != nil {
		return err
	}
	tainted, err := list.check(1)
	if err != nil {
		return err
	}
	if len(tainted) > 0 && !s.options.leavesOut(controllersName) {
		return fmt.Errorf("%s still has the taint %s", realNodeName, notReadyTaint)
	}
	return nil
}

// startRealNode brings the node up. Its sandbox image is there before the kubelet makes the first pod.
func (in *instance) startRealNode(ctx context.Context) error {
	for _, name := range []string{machineName, containerdName} {
		if err := in.start(ctx, name); err != nil {
			return err
		}
	}
	if err := in.startServiceNetwork(ctx); err != nil {
		return fmt.Errorf("network of the pods: %w", err)
	}
	if err := in.loadImage(ctx, sandboxImage, filepath.Join(in.bin, "pause")); err != nil {
		return fmt.Errorf("sandbox image: %w", err)
	}
	return in.start(ctx, kubeletName)
}

// loadImage packs a static program and gives it to containerd under a name.
func (in *instance) loadImage(ctx context.Context, name, program string) error {
	path := in.node("image.tar")
	defer os.Remove(path)
	var packed bytes.Buffer
	if err := packImage(&packed, name, program); err != nil {
		return err
	}
	if err := os.WriteFile(path, packed.Bytes(), 0o600); err != nil {
		return err
	}
	return in.importImages(ctx, path)
}

// importImages gives containerd the images of an archive, under the names that the archive has for them.
func (in *instance) importImages(ctx context.Context, path string) error {
	return in.components[machineName].within(ctx, filepath.Join(in.bin, "ctr"),
		"--address="+in.containerdSocket(), "--namespace=k8s.io", "images", "import", "--local", path)
}

// cleanRealNode takes away what outlives the namespaces: the bridge and the cgroups. It reports nothing, for there may be
// nothing, and the next start does not mind what is left.
func (s settings) cleanRealNode() {
	if _, err := os.Stat(s.node()); err != nil {
		return
	}
	_ = exec.Command("ip", "link", "delete", s.bridge()).Run()
	removeCgroups(s.cgroup())
}

// within runs a program in the namespaces that the component holds, to its end.
func (c *component) within(ctx context.Context, program string, args ...string) error {
	entered, err := c.enter(program, args)
	if err != nil {
		return err
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, entered[0], entered[1:]...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(program), err, strings.TrimSpace(output.String()))
	}
	return nil
}

// enter is the command line that runs a program in the namespaces that the component holds.
func (c *component) enter(program string, args []string) ([]string, error) {
	pid, _ := c.condition()
	if pid == 0 {
		return nil, fmt.Errorf("%s does not run", c.name)
	}
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return nil, err
	}
	return append([]string{nsenter, fmt.Sprintf("--target=%d", pid), "--mount", "--pid", "--", program}, args...), nil
}

// loadCommand asks the runner in dir to load an image: one static program under a name, or an archive of images.
func loadCommand(args []string, stderr io.Writer) error {
	flags := newFlagSet("load", stderr)
	dir := dirFlag(flags)
	name := flags.String("name", "", "name of the image, with its tag; without it, the file is an archive of images, which names them")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	abs, err := instanceDir(*dir)
	if err != nil {
		return err
	}
	file, err := filepath.Abs(flags.Arg(0))
	if err != nil {
		return err
	}
	st, err := readState(abs)
	if err != nil {
		return err
	}
	line := "import " + file
	if *name != "" {
		line = "load " + *name + " " + file
	}
	_, err = sendControl(st.Socket, line)
	return err
}
