package packaging

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// failing is a profile of which one layer fails and one holds.
const failing = `apiVersion: platformprofile.dev/v1alpha1
kind: PlatformProfile
metadata: {name: failing}
spec:
  layers:
  - name: network
    requirements: [{name: sensor, anyOf: [{component: falco}]}]
  - name: ci
    requirements: [{name: runners, attestation: {by: us, reason: outside}}]
`

// TestKubeStateMetrics runs kube-state-metrics with the project's configuration and with no more permissions than
// docs/alerting.md asks for, and reads what it makes of a profile that the operator evaluated.
func TestKubeStateMetrics(t *testing.T) {
	needCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cluster.Must(t, startOperator(t).AwaitReady(ctx))
	profile := filepath.Join(t.TempDir(), "failing.yaml")
	cluster.Must(t, os.WriteFile(profile, []byte(failing), 0o600))
	t.Cleanup(func() { _, _ = env.Kubectl(context.Background(), "delete", "-f", profile) })
	for _, args := range [][]string{
		{"apply", "-f", profile},
		{"wait", "platformprofile/failing", "--for=condition=Conformant=false", "--timeout=1m"},
		{"create", "namespace", "monitoring"},
		{"-n", "monitoring", "create", "serviceaccount", "kube-state-metrics"},
		{"create", "clusterrolebinding", "platformprofile-kube-state-metrics", "--clusterrole=platformprofile-kube-state-metrics", "--serviceaccount=monitoring:kube-state-metrics"},
	} {
		if out, err := env.Kubectl(ctx, args...); err != nil {
			t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	url := kubeStateMetrics(ctx, t)
	wanted := []string{
		`kube_platformprofile_status_condition{condition="Conformant",profile="failing",reason="RequirementsFailing",status="False"} 1`,
		`kube_platformprofile_status_condition{condition="NetworkConformant",profile="failing",reason="RequirementsFailing",status="False"} 1`,
		`kube_platformprofile_status_layer{layer="network",profile="failing",verdict="Missing"} 1`,
		`kube_platformprofile_status_required{profile="failing"} 2`,
		`kube_platformprofile_status_satisfied{profile="failing"} 1`,
		`kube_platformprofile_status_failed{profile="failing"} 1`,
		`kube_platformprofile_status_unknown{profile="failing"} 0`,
		`kube_platformprofile_metadata_generation{profile="failing"} 1`,
		`kube_platformprofile_status_observed_generation{profile="failing"} 1`,
	}
	awaitSeries(ctx, t, url, func(series []string) string {
		for _, line := range wanted {
			if !slices.Contains(series, line) {
				return line + " is not there"
			}
		}
		return ""
	})
	// It follows the resource: it exports what the operator writes next.
	if out, err := env.Kubectl(ctx, "patch", "platformprofile", "failing", "--type=json", "-p",
		`[{"op":"remove","path":"/spec/layers/0"}]`); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	awaitSeries(ctx, t, url, func(series []string) string {
		for _, line := range series {
			if strings.Contains(line, `condition="Conformant"`) && strings.Contains(line, `status="True"`) {
				return ""
			}
		}
		return "the profile conforms, and its series does not have it"
	})
}

// ofKind are the labels that kube-state-metrics itself gives every series of a kind.
var ofKind = regexp.MustCompile(`customresource_(group="platformprofile.dev"|kind="PlatformProfile"|version="v1alpha1"),`)

// kubeStateMetrics starts it as its ServiceAccount and returns the URL of its metrics.
func kubeStateMetrics(ctx context.Context, t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	kubeconfig := filepath.Join(folder, "kubeconfig")
	cluster.Must(t, env.WriteConfig(ctx, kubeconfig, "monitoring", "kube-state-metrics"))
	log, err := os.Create(filepath.Join(folder, "log"))
	cluster.Must(t, err)
	metricsPort, telemetryPort := freePort(t), freePort(t)
	command := exec.CommandContext(ctx, filepath.Join(cluster.Root(), "bin", "kube-state-metrics"),
		"--kubeconfig", kubeconfig, "--custom-resource-state-only", "--host", "127.0.0.1", "--port", metricsPort, "--telemetry-host", "127.0.0.1",
		"--telemetry-port", telemetryPort,
		"--custom-resource-state-config-file", filepath.Join(cluster.Root(), "config", "prometheus", "kube-state-metrics.yaml"))
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatalf("%v (is it built? run 'make monitoring')", err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if output, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("the log of kube-state-metrics:\n%s", output)
		}
	})
	return "http://127.0.0.1:" + metricsPort + "/metrics"
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	cluster.Must(t, err)
	defer listener.Close() //nolint:errcheck // it was only asked for its port
	_, port, err := net.SplitHostPort(listener.Addr().String())
	cluster.Must(t, err)
	return port
}

// awaitSeries reads series until nothing is missing of them.
func awaitSeries(ctx context.Context, t *testing.T, url string, missing func([]string) string) {
	t.Helper()
	cluster.Eventually(t, "all series are there", func() (bool, string) {
		text, err := getOK(ctx, url)
		if err != nil {
			return false, err.Error()
		}
		series := strings.Split(ofKind.ReplaceAllString(text, ""), "\n")
		lacks := missing(series)
		return lacks == "", lacks + " among\n" + strings.Join(series, "\n")
	})
}

func getOK(ctx context.Context, url string) (string, error) {
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
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, response.Status)
	}
	return string(data), err
}
