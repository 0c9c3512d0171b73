package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// TestMetrics shows that a profile's conditions and verdicts are metrics, and that its series go with it.
func TestMetrics(t *testing.T) {
	wanted := []string{
		`platformprofile_status_condition{condition="Conformant",profile="metered",status="true"} 1`,
		`platformprofile_status_condition{condition="Conformant",profile="metered",status="false"} 0`,
		`platformprofile_requirement_verdict{component="containerd",layer="runtime",profile="metered",requirement="containerd",severity="Required",verdict="Satisfied"} 1`,
		`platformprofile_component_info{component="containerd",health="Healthy",layer="runtime",namespace="",version="2.1.4"} 1`,
	}
	t.Run("while it is there", func(t *testing.T) {
		profile := create(t, "metered", v1alpha1.Layer{Name: "runtime", Requirements: []v1alpha1.Requirement{anyOf("containerd", "containerd", "")}})
		profile.settles(t, 10*time.Second, "it is evaluated", verdictIs("runtime", "containerd", v1alpha1.VerdictSatisfied))
		shown := scrape(t)
		for _, series := range wanted {
			if !strings.Contains(shown, series) {
				t.Errorf("the metrics do not show %s", series)
			}
		}
	})
	for deadline := time.Now().Add(5 * time.Second); strings.Contains(scrape(t), `profile="metered"`); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the metrics still show a profile that is gone")
		}
	}
}

func scrape(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, env.operator.Metrics, nil)
	must(t, err)
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	defer response.Body.Close() //nolint:errcheck // it was read
	data, err := io.ReadAll(response.Body)
	must(t, err)
	return string(data)
}
