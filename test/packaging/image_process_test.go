package packaging

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/test/cluster"
	corev1 "k8s.io/api/core/v1"
)

// process returns the folder below /proc of the operator's process in a pod.
func process(t *testing.T, pod *corev1.Pod) string {
	t.Helper()
	// A cgroup bears the container's ID on every node, whatever lies above it.
	_, container, _ := strings.Cut(pod.Status.ContainerStatuses[0].ContainerID, "://")
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	cluster.Must(t, err)
	for _, group := range groups {
		if data, err := os.ReadFile(group); err == nil && container != "" && strings.Contains(string(data), container) {
			return filepath.Dir(group)
		}
	}
	t.Fatalf("no process of %s is found", pod.Name)
	return ""
}

// assertConfined asserts from the kernel's own account what the processes are and what they could do.
func assertConfined(t *testing.T, pods []corev1.Pod) {
	for _, pod := range pods {
		folder := process(t, &pod)
		status := read(t, filepath.Join(folder, "status"))
		for name, want := range map[string]string{
			"Name": "operator",
			"Uid":  "65532 65532 65532 65532", "Gid": "65532 65532 65532 65532",
			"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000",
			"CapBnd": "0000000000000000", "CapAmb": "0000000000000000",
			"NoNewPrivs": "1",
			"Seccomp":    "2", // a filter: the runtime's default one
		} {
			if got := statusField(status, name); got != want {
				t.Errorf("%s: %s is %q, want %q", pod.Name, name, got, want)
			}
		}
		mounts := read(t, filepath.Join(folder, "mounts"))
		root := ""
		for line := range strings.Lines(mounts) {
			if fields := strings.Fields(line); fields[1] == "/" {
				root = fields[3]
			}
		}
		if !strings.HasPrefix(root, "ro,") {
			t.Errorf("%s: its root is mounted as %q, not read-only", pod.Name, root)
		}
		if written := openForWriting(t, folder); len(written) > 0 {
			t.Errorf("%s: it has files open for writing: %v", pod.Name, written)
		}
		if limit := cgroupValue(t, folder, "memory.max", "memory.limit_in_bytes"); limit != memoryLimit {
			t.Errorf("%s: its memory is limited to %d bytes, want %d", pod.Name, limit, memoryLimit)
		}
	}
}

// assertMemory logs what the containers took of their memory at most.
func assertMemory(t *testing.T, pods []corev1.Pod) {
	for _, pod := range pods {
		peak := cgroupValue(t, process(t, &pod), "memory.peak", "memory.max_usage_in_bytes")
		t.Logf("%s took %.0f MiB at most, of %d", pod.Name, float64(peak)/(1<<20), memoryLimit>>20)
		if peak <= 0 || peak >= memoryLimit {
			t.Errorf("%s came to its limit", pod.Name)
		}
	}
}

// openForWriting are the regular files that a process could write to.
func openForWriting(t *testing.T, folder string) []string {
	t.Helper()
	links, err := filepath.Glob(filepath.Join(folder, "fd", "*"))
	cluster.Must(t, err)
	if len(links) < 3 {
		t.Fatalf("%s has %d open files: they cannot be seen", folder, len(links))
	}
	var found []string
	for _, link := range links {
		target, _ := os.Readlink(link)
		info, err := os.Stat(link)
		if err != nil || !info.Mode().IsRegular() || !filepath.IsAbs(target) {
			continue // a socket, a pipe, or what the kernel has no path for
		}
		flags, err := strconv.ParseInt(statusField(read(t, filepath.Join(folder, "fdinfo", filepath.Base(link))), "flags"), 8, 64)
		cluster.Must(t, err)
		if flags&int64(os.O_WRONLY|os.O_RDWR) != 0 {
			found = append(found, target)
		}
	}
	return found
}

// cgroupValue returns a value of the memory cgroup of a process, by its name in cgroups v2 or in v1.
func cgroupValue(t *testing.T, folder, v2, v1 string) int64 {
	t.Helper()
	for line := range strings.Lines(read(t, filepath.Join(folder, "cgroup"))) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		path := filepath.Join("/sys/fs/cgroup", parts[2], v2)
		if parts[1] == "memory" {
			path = filepath.Join("/sys/fs/cgroup/memory", parts[2], v1)
		} else if parts[1] != "" {
			continue
		}
		if data, err := os.ReadFile(path); err == nil {
			number, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
			cluster.Must(t, err)
			return number
		}
	}
	t.Fatalf("no memory cgroup of %s is found", folder)
	return 0
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	cluster.Must(t, err)
	return string(data)
}
