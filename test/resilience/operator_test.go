package resilience

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/cli"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// startOperator starts an operator that reaches the API server directly, or by a proxy where an address is given, and waits until
// it is ready.
func (tc *testCluster) startOperator(t *testing.T, server string, authority []byte, flags ...string) *cluster.Operator {
	t.Helper()
	via := *tc.Cluster
	via.Config = rest.CopyConfig(tc.Config)
	if server != "" {
		via.Config.Host = server
	}
	if authority != nil {
		via.Config.CAData, via.Config.CAFile = authority, ""
	}
	o, err := via.Launch(context.Background(), tc.program, nil, append([]string{"--verbosity", "1"}, flags...)...)
	cluster.Must(t, err)
	t.Cleanup(func() {
		o.Stop()
		if output, err := os.ReadFile(o.Log); err == nil && t.Failed() {
			const tail = 2500
			t.Logf("the end of the operator's log:\n%s", output[max(0, len(output)-tail):])
			if err := artifact(t, "operator.log", output); err != nil {
				t.Log(err)
			}
		}
	})
	cluster.Eventually(t, "the operator is ready", func() (bool, string) { return o.Ready(context.Background()) })
	return o
}

// stored returns a profile from the API server.
func (tc *testCluster) stored(ctx context.Context, name string) (*v1alpha1.PlatformProfile, error) {
	profile := &v1alpha1.PlatformProfile{}
	return profile, tc.Client.Get(ctx, types.NamespacedName{Name: name}, profile)
}

// checkProfiles returns the cluster's profiles with the status that check computes, with the operator's own permissions.
func (tc *testCluster) checkProfiles() (map[string]*v1alpha1.PlatformProfile, error) {
	var out, errOut bytes.Buffer
	code := cli.Execute([]string{"check", "--kubeconfig", tc.checkKubeconfig(), "-o", "json"}, strings.NewReader(""), &out, &errOut)
	list := &v1alpha1.PlatformProfileList{}
	if err := json.Unmarshal(out.Bytes(), list); err != nil {
		return nil, fmt.Errorf("check ends with %d: %s", code, errOut.String())
	}
	if list.Kind == "PlatformProfile" {
		one := v1alpha1.PlatformProfile{}
		if err := json.Unmarshal(out.Bytes(), &one); err != nil {
			return nil, err
		}
		list.Items = []v1alpha1.PlatformProfile{one}
	}
	found := map[string]*v1alpha1.PlatformProfile{}
	for i := range list.Items {
		found[list.Items[i].Name] = &list.Items[i]
	}
	return found, nil
}

func (tc *testCluster) checkKubeconfig() string { return filepath.Join(tc.Dir, "fresh.kubeconfig") }

// diffWithCheck describes where the stored statuses and those that check computes differ; it returns "" where they are equal.
func (tc *testCluster) diffWithCheck() string {
	ctx := context.Background()
	found, err := tc.checkProfiles()
	if err != nil {
		return err.Error()
	}
	list := &v1alpha1.PlatformProfileList{}
	if err := tc.Client.List(ctx, list); err != nil {
		return err.Error()
	}
	if len(list.Items) != len(found) {
		return fmt.Sprintf("%d profiles are stored, and check evaluated %d", len(list.Items), len(found))
	}
	for i := range list.Items {
		is := &list.Items[i]
		want := found[is.Name]
		switch {
		case want == nil:
			return is.Name + " was not evaluated"
		case is.Spec.Suspend:
			continue
		case is.Status.ObservedGeneration != is.Generation:
			return fmt.Sprintf("%s: its status is about generation %d of %d", is.Name, is.Status.ObservedGeneration, is.Generation)
		case !equality.Semantic.DeepEqual(withoutTimes(is.Status), withoutTimes(want.Status)):
			return fmt.Sprintf("%s: its status is\n%s\nand check computes\n%s", is.Name, statusText(is.Status), statusText(want.Status))
		}
	}
	return ""
}

// withoutTimes returns a copy of a status without its times, and without the messages about rollouts: a check that starts later cannot know
// that a workload is scaling up since its last rollout.
func withoutTimes(status v1alpha1.PlatformProfileStatus) v1alpha1.PlatformProfileStatus {
	status = *status.DeepCopy()
	status.LastChangeTime = nil
	for i := range status.Conditions {
		status.Conditions[i].LastTransitionTime = metav1.Time{}
	}
	for i := range status.Layers {
		for j := range status.Layers[i].Requirements {
			if r := &status.Layers[i].Requirements[j]; r.Health == v1alpha1.HealthProgressing {
				r.Message = ""
			}
		}
	}
	return status
}

func statusText(status v1alpha1.PlatformProfileStatus) string {
	data, err := json.Marshal(status)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// awaitMatchesCheck waits until all stored statuses are those that check computes, and returns how long that took.
func (tc *testCluster) awaitMatchesCheck(t *testing.T) time.Duration {
	t.Helper()
	return cluster.Eventually(t, "the stored statuses are those that check computes", func() (bool, string) {
		difference := tc.diffWithCheck()
		return difference == "", difference
	})
}

// verdict returns the verdict on a requirement, and its message.
func (tc *testCluster) verdict(profile, layer, requirement string) (v1alpha1.Verdict, string) {
	found, err := tc.stored(context.Background(), profile)
	if err != nil {
		return "", err.Error()
	}
	for _, l := range found.Status.Layers {
		for _, r := range l.Requirements {
			if l.Name == layer && r.Name == requirement {
				return r.Verdict, r.Message
			}
		}
	}
	return "", "there is no " + layer + "/" + requirement
}

// awaitVerdict waits for a verdict with a message that contains a text, and returns how long that took.
func (tc *testCluster) awaitVerdict(t *testing.T, layer, requirement string, to v1alpha1.Verdict, wantMessage string) time.Duration {
	t.Helper()
	return cluster.Eventually(t, fmt.Sprintf("%s/%s is %s", layer, requirement, to), func() (bool, string) {
		is, message := tc.verdict("faults", layer, requirement)
		return is == to && strings.Contains(message, wantMessage), string(is) + ": " + message
	})
}

// conformant returns the status of the condition Conformant.
func (tc *testCluster) conformant(t *testing.T, profile string) metav1.ConditionStatus {
	t.Helper()
	found, err := tc.stored(context.Background(), profile)
	cluster.Must(t, err)
	if condition := meta.FindStatusCondition(found.Status.Conditions, v1alpha1.ConditionConformant); condition != nil {
		return condition.Status
	}
	return ""
}

// metric returns the value of the operator's first series with this prefix; -1 where there is none.
func metric(o *cluster.Operator, series string) float64 {
	data, err := get(o.Metrics)
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, series); ok {
			fields := strings.Fields(rest)
			value, err := strconv.ParseFloat(fields[len(fields)-1], 64)
			if err != nil {
				return -1
			}
			return value
		}
	}
	return -1
}

// artifact writes a file into the folder for the test's artifacts.
func artifact(t *testing.T, name string, data []byte) error {
	t.Helper()
	return os.WriteFile(filepath.Join(t.ArtifactDir(), name), data, 0o600)
}

func get(url string) ([]byte, error) {
	response, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // it is read
	return io.ReadAll(response.Body)
}

// contactAge returns the time since the last contact with the API server, by the operator's metric.
func contactAge(o *cluster.Operator) time.Duration {
	last := metric(o, "platformprofile_api_server_last_contact_timestamp_seconds")
	return time.Since(time.UnixMilli(int64(last * 1000)))
}

// hostOf returns host:port of the API server.
func hostOf(t *testing.T, server string) string {
	t.Helper()
	parsed, err := url.Parse(server)
	cluster.Must(t, err)
	return parsed.Host
}
