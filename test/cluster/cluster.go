// Package cluster gives tests a real control plane, the operator installed and running on it as its own ServiceAccount,
// and ways to apply what real installs consist of.
package cluster

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// Cluster is a control plane that runs for as long as the test does.
type Cluster struct {
	// Dir holds its data, logs and kubeconfig.
	Dir string
	// Kubeconfig is the admin's.
	Kubeconfig string
	// Config connects as admin.
	Config *rest.Config
	// Client reads and writes as admin, and watches.
	Client client.WithWatch

	runner *exec.Cmd
	lock   *os.File // held by a control plane with a real node
}

// Root is the root of the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Start starts a control plane with KWOK nodes. It fails with what to do where the control plane is not built. With --real-node it
// first waits until no other control plane of a test has a real node.
func Start(flags ...string) (*Cluster, error) {
	log.SetLogger(logr.Discard()) // warnings of the API server about what installs ask for are none of the tests' concern
	dir, err := os.MkdirTemp("", "platformprofile-test-")
	if err != nil {
		return nil, err
	}
	program := filepath.Join(Root(), "bin", "controlplane")
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("the control plane is not built (run 'make controlplane'): %w", err)
	}
	var lock *os.File
	if slices.Contains(flags, "--real-node") {
		if lock, err = lockRealNode(filepath.Join(os.TempDir(), "platformprofile-real-node.lock")); err != nil {
			return nil, err
		}
	}
	runner := exec.Command(program, append([]string{"run", "--dir", filepath.Join(dir, "cluster")}, flags...)...)
	runner.SysProcAttr = endWithParent()
	logged, err := os.Create(filepath.Join(dir, "controlplane.log"))
	if err != nil {
		return nil, err
	}
	runner.Stderr = logged
	runner.Dir = Root()
	out, err := runner.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := runner.Start(); err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir, runner: runner, lock: lock}
	if c.Kubeconfig, err = awaitReady(out); err != nil {
		c.Stop()
		output, _ := os.ReadFile(logged.Name())
		return nil, fmt.Errorf("starting the control plane: %w\n%s", err, output)
	}
	if c.Config, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig); err != nil {
		c.Stop()
		return nil, err
	}
	c.Config.QPS, c.Config.Burst = -1, 0
	if c.Client, err = client.NewWithWatch(c.Config, client.Options{Scheme: Scheme()}); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// awaitReady reads the line with the path of the kubeconfig.
func awaitReady(out io.Reader) (string, error) {
	found := make(chan string, 1)
	go func() {
		scanner := bufio.NewScanner(out)
		for scanner.Scan() {
			if path, ok := strings.CutPrefix(scanner.Text(), "ready kubeconfig="); ok {
				found <- path
			}
		}
		close(found)
	}()
	select {
	case path, ok := <-found:
		if !ok {
			return "", fmt.Errorf("it ended before it was ready")
		}
		return path, nil
	case <-time.After(2 * time.Minute):
		return "", fmt.Errorf("it is not ready after two minutes")
	}
}

// Stop ends the control plane and removes its data.
func (c *Cluster) Stop() {
	_ = c.runner.Process.Signal(os.Interrupt)
	_ = c.runner.Wait()
	_ = os.RemoveAll(c.Dir)
	if c.lock != nil {
		_ = c.lock.Close()
	}
}

// Scheme knows Kubernetes' own kinds and the project's.
func Scheme() *k8sruntime.Scheme {
	scheme := k8sruntime.NewScheme()
	_ = clientscheme.AddToScheme(scheme)
	_ = v1alpha1.AddToScheme(scheme)
	return scheme
}

// Kubectl runs kubectl as admin and returns what it printed, on both outputs.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, filepath.Join(Root(), "bin", "k8s", "kubectl"),
		append([]string{"--kubeconfig", c.Kubeconfig}, args...)...)
	command.Dir = Root()
	out, err := command.CombinedOutput()
	return string(out), err
}

// Control acts on a component of the control plane: stop, kill, start, restart, pause or cont.
func (c *Cluster) Control(ctx context.Context, verb, component string) error {
	command := exec.CommandContext(ctx, filepath.Join(Root(), "bin", "controlplane"), verb, "--dir", filepath.Join(c.Dir, "cluster"),
		component)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", verb, component, err, out)
	}
	return nil
}

// Load gives the real node an image of one static program, where the control plane was started with --real-node.
func (c *Cluster) Load(ctx context.Context, image, program string) error {
	return c.load(ctx, "--name", image, program)
}

// Import gives the real node the images of an archive, under the names that the archive has for them.
func (c *Cluster) Import(ctx context.Context, archive string) error { return c.load(ctx, archive) }

func (c *Cluster) load(ctx context.Context, what ...string) error {
	command := exec.CommandContext(ctx, filepath.Join(Root(), "bin", "controlplane"),
		append([]string{"load", "--dir", filepath.Join(c.Dir, "cluster")}, what...)...)
	command.Dir = Root()
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("loading %s: %w: %s", what, err, out)
	}
	return nil
}
