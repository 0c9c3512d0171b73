package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// prometheusRule is what is read of a PrometheusRule.
type prometheusRule struct {
	Spec struct {
		Groups []struct {
			Name  string `json:"name"`
			Rules []rule `json:"rules"`
		} `json:"groups"`
	} `json:"spec"`
}

type rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// rules writes the rules as Prometheus reads them into a folder, and returns the alerts among them.
func rules(t *testing.T, folder string) []rule {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(cluster.Root(), "config", "prometheus", "rules.yaml"))
	cluster.Must(t, err)
	var whole struct {
		Spec any `json:"spec"`
	}
	var read prometheusRule
	for _, into := range []any{&whole, &read} {
		cluster.Must(t, yaml.Unmarshal(data, into))
	}
	if data, err = yaml.Marshal(whole.Spec); err != nil {
		t.Fatal(err)
	}
	cluster.Must(t, os.WriteFile(filepath.Join(folder, "rules.yaml"), data, 0o600))
	var alerts []rule
	for _, group := range read.Spec.Groups {
		alerts = append(alerts, group.Rules...)
	}
	return alerts
}

// TestAlerts has promtool check the rules and play what they are for.
func TestAlerts(t *testing.T) {
	folder := t.TempDir()
	rules(t, folder)
	cases, err := os.ReadFile(filepath.Join("testdata", "alerts.yaml"))
	cluster.Must(t, err)
	cluster.Must(t, os.WriteFile(filepath.Join(folder, "alerts.yaml"), cases, 0o600))
	promtool(t, folder, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")
	promtool(t, folder, "test", "rules", "alerts.yaml")
}

func promtool(t *testing.T, folder string, args ...string) {
	t.Helper()
	command := exec.Command(filepath.Join(cluster.Root(), "bin", "promtool"), args...)
	command.Dir = folder
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v (is it built? run 'make promtool')\n%s", strings.Join(args, " "), err, out)
	}
}

// TestEveryAlertIsPlayedAndDocumented tests that no alert is without a case, without what to do, or without its paragraph.
func TestEveryAlertIsPlayedAndDocumented(t *testing.T) {
	alerts := rules(t, t.TempDir())
	cases, err := os.ReadFile(filepath.Join("testdata", "alerts.yaml"))
	cluster.Must(t, err)
	page, err := os.ReadFile(filepath.Join(cluster.Root(), "docs", "alerting.md"))
	cluster.Must(t, err)
	if len(alerts) < 6 {
		t.Fatalf("there are %d alerts", len(alerts))
	}
	for _, alert := range alerts {
		if !strings.Contains(string(cases), alert.Alert) {
			t.Errorf("no case plays %s", alert.Alert)
		}
		if !strings.Contains(string(page), "\n### "+alert.Alert+"\n") {
			t.Errorf("docs/alerting.md has no paragraph on %s", alert.Alert)
		}
		if want := "docs/alerting.md#" + strings.ToLower(alert.Alert); !strings.HasSuffix(alert.Annotations["runbook_url"], want) {
			t.Errorf("%s: its runbook_url does not end with %s", alert.Alert, want)
		}
		if alert.Labels["severity"] == "" || alert.Annotations["summary"] == "" || alert.Annotations["description"] == "" {
			t.Errorf("%s lacks a severity, a summary or a description", alert.Alert)
		}
	}
}
