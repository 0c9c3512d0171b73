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

// patience is how long a state is waited for that is certain to come. The machine may be busy with other things.
const patience = 3 * time.Minute

// launch starts an operator that reaches the API server directly, or by a proxy where an address is given, and waits until
// it is ready.
func (g *ground) launch(t *testing.T, server string, authority []byte, flags ...string) *cluster.Operator {
	t.Helper()
	via := *g.Cluster
	via.Config = rest.CopyConfig(g.Config)
	if server != "" {
		via.Config.Host = server
	}
	if authority != nil {
		via.Config.CAData, via.Config.CAFile = authority, ""
	}
	o, err := via.Launch(context.Background(), g.program, nil, append([]string{"--verbosity", "1"}, flags...)...)
	must(t, err)
	t.Cleanup(func() {
		o.Stop()
		if said, err := os.ReadFile(o.Log); err == nil && t.Failed() {
			const tail = 2500
			t.Logf("the operator said at last:\n%s", said[max(0, len(said)-tail):])
			if err := artifact(t, "operator.log", said); err != nil {
				t.Log(err)
			}
		}
	})
	await(t, "the operator is ready", func() (bool, string) { return o.Ready(context.Background()) })
	return o
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// await waits until something is so, and returns how long that took.
func await(t *testing.T, what string, so func() (bool, string)) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		ok, said := so()
		if ok {
			return time.Since(began)
		}
		if time.Since(began) > patience {
			t.Fatalf("%s: not within %s: %s", what, patience, said)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// stored is a profile as the API server has it.
func (g *ground) stored(ctx context.Context, name string) (*v1alpha1.PlatformProfile, error) {
	profile := &v1alpha1.PlatformProfile{}
	return profile, g.Client.Get(ctx, types.NamespacedName{Name: name}, profile)
}

// fresh are the cluster's profiles with the status that somebody who looks for the first time gives them: what the
// command line says, with the operator's own permissions.
func (g *ground) fresh() (map[string]*v1alpha1.PlatformProfile, error) {
	var out, errOut bytes.Buffer
	code := cli.Execute([]string{"check", "--kubeconfig", g.freshConfig(), "-o", "json"}, strings.NewReader(""), &out, &errOut)
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

func (g *ground) freshConfig() string { return filepath.Join(g.Dir, "fresh.kubeconfig") }

// differs says what the API server has of all profiles and what a fresh look finds, where they differ; empty where not.
func (g *ground) differs() string {
	ctx := context.Background()
	found, err := g.fresh()
	if err != nil {
		return err.Error()
	}
	list := &v1alpha1.PlatformProfileList{}
	if err := g.Client.List(ctx, list); err != nil {
		return err.Error()
	}
	if len(list.Items) != len(found) {
		return fmt.Sprintf("%d profiles are stored, and %d were looked at", len(list.Items), len(found))
	}
	for i := range list.Items {
		is := &list.Items[i]
		want := found[is.Name]
		switch {
		case want == nil:
			return is.Name + " was not looked at"
		case is.Spec.Suspend:
			continue
		case is.Status.ObservedGeneration != is.Generation:
			return fmt.Sprintf("%s: its status is about generation %d of %d", is.Name, is.Status.ObservedGeneration, is.Generation)
		case !equality.Semantic.DeepEqual(timeless(is.Status), timeless(want.Status)):
			return fmt.Sprintf("%s: it says\n%s\nand a fresh look finds\n%s", is.Name, text(is.Status), text(want.Status))
		}
	}
	return ""
}

// timeless is a status without the times at which it came about.
func timeless(status v1alpha1.PlatformProfileStatus) v1alpha1.PlatformProfileStatus {
	status = *status.DeepCopy()
	status.LastChangeTime = nil
	for i := range status.Conditions {
		status.Conditions[i].LastTransitionTime = metav1.Time{}
	}
	return status
}

func text(status v1alpha1.PlatformProfileStatus) string {
	data, err := json.Marshal(status)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// agrees waits until all profiles say what a fresh look finds, and returns how long that took.
func (g *ground) agrees(t *testing.T) time.Duration {
	t.Helper()
	return await(t, "the profiles say what a fresh look finds", func() (bool, string) {
		difference := g.differs()
		return difference == "", difference
	})
}

// verdict is what a profile says of a requirement, with its message.
func (g *ground) verdict(profile, layer, requirement string) (v1alpha1.Verdict, string) {
	found, err := g.stored(context.Background(), profile)
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

// turns waits until a requirement has a verdict and a message that holds a text, and returns how long that took.
func (g *ground) turns(t *testing.T, layer, requirement string, to v1alpha1.Verdict, says string) time.Duration {
	t.Helper()
	return await(t, fmt.Sprintf("%s/%s is %s", layer, requirement, to), func() (bool, string) {
		is, said := g.verdict("faults", layer, requirement)
		return is == to && strings.Contains(said, says), string(is) + ": " + said
	})
}

// conformant is the condition of a profile.
func (g *ground) conformant(t *testing.T, profile string) metav1.ConditionStatus {
	t.Helper()
	found, err := g.stored(context.Background(), profile)
	must(t, err)
	if condition := meta.FindStatusCondition(found.Status.Conditions, v1alpha1.ConditionConformant); condition != nil {
		return condition.Status
	}
	return ""
}

// metric is the value of the first series of the operator's that begins so; -1 where there is none.
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

// artifact keeps something beside the test's other artifacts, if it runs with -artifacts.
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

// contactAge is how old the operator says that its last word of the API server is.
func contactAge(o *cluster.Operator) time.Duration {
	last := metric(o, "platformprofile_api_server_last_contact_timestamp_seconds")
	return time.Since(time.UnixMilli(int64(last * 1000)))
}

// hostOf is host:port of the API server.
func hostOf(t *testing.T, server string) string {
	t.Helper()
	parsed, err := url.Parse(server)
	must(t, err)
	return parsed.Host
}
