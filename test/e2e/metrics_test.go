package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// TestMetrics asserts that a profile's conditions and verdicts are metrics, and that its series go with it.
func TestMetrics(t *testing.T) {
	wanted := []string{
		`platformprofile_status_condition{condition="Conformant",profile="metered",status="true"} 1`,
		`platformprofile_status_condition{condition="Conformant",profile="metered",status="false"} 0`,
		`platformprofile_requirement_verdict{component="containerd",layer="runtime",profile="metered",requirement="containerd",severity="Required",verdict="Satisfied"} 1`,
		`platformprofile_component_info{component="containerd",health="Healthy",layer="runtime",namespace="",version="2.1.4"} 1`,
	}
	t.Run("while it is there", func(t *testing.T) {
		profile := createProfile(t, "metered", cluster.Layer("runtime", cluster.AnyOf("containerd", "containerd", "")))
		profile.AwaitLast(t, "it is evaluated", cluster.VerdictIs("runtime", "containerd", v1alpha1.VerdictSatisfied))
		text := scrape(t)
		for _, series := range wanted {
			if !strings.Contains(text, series) {
				t.Errorf("the metrics do not have %s", series)
			}
		}
	})
	cluster.Eventually(t, "the metrics of a profile that is gone are gone", func() (bool, string) {
		return !strings.Contains(scrape(t), `profile="metered"`), ""
	})
}

// TestQueriesAskForWhatIsThere asserts that every query of the dashboard and of the alerts, as Prometheus parses it, uses only
// metrics and labels that the operator serves.
func TestQueriesAskForWhatIsThere(t *testing.T) {
	expires := metav1.NewTime(time.Now().Add(time.Hour))
	profile := createProfile(t, "queried", v1alpha1.Layer{Name: "ci", Requirements: []v1alpha1.Requirement{
		{Name: "runners", Attestation: &v1alpha1.Attestation{By: "us", Reason: "outside", Expires: &expires}},
		cluster.AnyOf("cache", "zot", ""),
	}})
	waiver := newWaiver("queried", "queried", "ci/cache", v1alpha1.VerdictMissing, expires.Time)
	cluster.Must(t, env.Client.Create(context.Background(), waiver))
	t.Cleanup(func() { cluster.Must(t, env.Client.Delete(context.Background(), waiver)) })
	profile.AwaitLast(t, "it is evaluated", func(p *v1alpha1.PlatformProfile) bool {
		r := cluster.FindRequirement(p, "ci", "cache")
		return r != nil && r.Waived != nil
	})
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(scrape(t)))
	cluster.Must(t, err)
	// What Prometheus adds to every series of a target.
	added := []string{"instance", "job", "pod"}
	queries := append(dashboardQueries(t), alertQueries(t)...)
	asked := parse(t, queries)
	for _, selector := range asked {
		name := selector.Metric
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count"), "_sum")
		family := families[name]
		if family == nil && families[base].GetType() == dto.MetricType_HISTOGRAM {
			family = families[base]
		}
		if family == nil || len(family.GetMetric()) == 0 {
			t.Errorf("the operator serves no %s, which this query uses: %s", name, selector.Query)
			continue
		}
		for _, label := range selector.Labels {
			histogram := label == "le" && strings.HasSuffix(name, "_bucket")
			if !histogram && !slices.Contains(added, label) && !hasLabel(family, label) {
				t.Errorf("%s has no label %q, which is asked for by %s", name, label, selector.Query)
			}
		}
	}
	if len(asked) < 20 {
		t.Errorf("only %d selections were found", len(asked))
	}
}

func hasLabel(family *dto.MetricFamily, name string) bool {
	return slices.ContainsFunc(family.GetMetric()[0].GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == name })
}

// dashboardQueries are the queries of all panels, with Grafana's variables filled in.
func dashboardQueries(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(cluster.Root(), "config", "grafana", "platformprofile.json"))
	cluster.Must(t, err)
	var dashboard struct {
		Panels []struct {
			Type, Title string
			Targets     []struct{ Expr string }
		}
	}
	cluster.Must(t, json.Unmarshal(data, &dashboard))
	fill := strings.NewReplacer("$__rate_interval", "5m", "$profile", ".*")
	var queries []string
	for _, panel := range dashboard.Panels {
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("the panel %q asks for nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			queries = append(queries, fill.Replace(target.Expr))
		}
	}
	return queries
}

func alertQueries(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(cluster.Root(), "config", "prometheus", "rules.yaml"))
	cluster.Must(t, err)
	var rules struct {
		Spec struct {
			Groups []struct{ Rules []struct{ Expr string } }
		}
	}
	cluster.Must(t, yaml.Unmarshal(data, &rules))
	var queries []string
	for _, group := range rules.Spec.Groups {
		for _, rule := range group.Rules {
			queries = append(queries, rule.Expr)
		}
	}
	return queries
}

// selection is one selection of series in a query, with the labels that the query uses on it.
type selection struct {
	Query  string   `json:"query"`
	Metric string   `json:"metric"`
	Labels []string `json:"labels"`
}

// parse has Prometheus' own parser read queries.
func parse(t *testing.T, queries []string) []selection {
	t.Helper()
	data, err := json.Marshal(queries)
	cluster.Must(t, err)
	command := exec.Command(filepath.Join(cluster.Root(), "bin", "queries"))
	command.Stdin = bytes.NewReader(data)
	var errOut bytes.Buffer
	command.Stderr = &errOut
	out, err := command.Output()
	if err != nil {
		t.Fatalf("bin/queries: %v (is it built? run 'make promtool')\n%s", err, errOut.String())
	}
	var found []selection
	cluster.Must(t, json.Unmarshal(out, &found))
	return found
}

func scrape(t *testing.T) string {
	t.Helper()
	text, err := env.operator.Scrape(context.Background())
	cluster.Must(t, err)
	return text
}
