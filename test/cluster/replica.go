package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// Build builds the operator, with the tags of the Makefile, and returns its program.
func (c *Cluster) Build(ctx context.Context) (string, error) {
	program := filepath.Join(c.Dir, "operator")
	build := exec.CommandContext(ctx, "go", "build", "-tags", "grpcnotrace", "-o", program, ".")
	build.Dir = Root()
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the operator: %w\n%s", err, out)
	}
	return program, nil
}

// Replica starts a built operator as one of several: with a log and a kubeconfig named after it, and with the API server at
// the given address, as "https://127.0.0.1:1234"; empty for the real one. It waits for nothing.
func (c *Cluster) Replica(ctx context.Context, name, program, server string, flags ...string) (*Operator, error) {
	kubeconfig := filepath.Join(c.Dir, name+".kubeconfig")
	if err := c.WriteOperatorConfig(ctx, kubeconfig); err != nil {
		return nil, err
	}
	if server != "" {
		config, err := clientcmd.LoadFromFile(kubeconfig)
		if err != nil {
			return nil, err
		}
		config.Clusters["test"].Server = server
		if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
			return nil, err
		}
	}
	return start(program, kubeconfig, filepath.Join(c.Dir, name+".log"), nil, flags)
}

// AwaitReady waits until the operator reports that it is ready.
func (o *Operator) AwaitReady(ctx context.Context) error { return awaitOK(ctx, o.ready) }

// Signal sends the process a signal.
func (o *Operator) Signal(signal os.Signal) error { return o.process.Process.Signal(signal) }

// Wait waits until the process has ended, and returns how.
func (o *Operator) Wait() (*os.ProcessState, error) {
	err := o.process.Wait()
	if o.process.ProcessState == nil {
		return nil, err
	}
	return o.process.ProcessState, nil
}

// Scrape returns what the operator serves as metrics.
func (o *Operator) Scrape(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return get(ctx, o.Metrics)
}

// get returns what an address answers, with whatever status.
func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	data, err := io.ReadAll(response.Body)
	return string(data), err
}
