package packaging

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/platformprofile/platformprofile/test/cluster"
)

var chart = filepath.Join(cluster.Root(), "config", "chart")

// helm runs helm and returns what it printed on its output and on its error output.
func helm(args ...string) (string, string, error) {
	if args[0] == "template" {
		args = append(args, "--kube-version", "v1.34.0") // a helm that is built without its version numbers takes v1.20
	}
	command := exec.CommandContext(context.Background(), filepath.Join(cluster.Root(), "bin", "helm"), args...)
	command.Dir = cluster.Root()
	var out, errOut bytes.Buffer
	command.Stdout, command.Stderr = &out, &errOut
	err := command.Run()
	if err != nil {
		err = fmt.Errorf("helm %s: %w (is it built? run 'make bin/helm'): %s", strings.Join(args, " "), err, errOut.String())
	}
	return out.String(), errOut.String(), err
}

// renderChart is the chart with the given values.
func renderChart(t *testing.T, args ...string) []*unstructured.Unstructured {
	t.Helper()
	out, _, err := helm(append([]string{"template", "platformprofile", chart, "--namespace", cluster.Namespace}, args...)...)
	cluster.Must(t, err)
	return parse(t, out)
}

// kustomize is what "kubectl apply -k" would apply.
func kustomize(t *testing.T, folder string) []*unstructured.Unstructured {
	t.Helper()
	out, err := exec.CommandContext(context.Background(), filepath.Join(cluster.Root(), "bin", "k8s", "kubectl"), "kustomize",
		filepath.Join(cluster.Root(), "config", folder)).Output()
	if err != nil {
		t.Fatalf("kubectl kustomize config/%s: %v", folder, err)
	}
	return parse(t, string(out))
}

func parse(t *testing.T, manifests string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := cluster.Parse([]byte(manifests))
	cluster.Must(t, err)
	return objects
}

// objectName names an object as people would.
func objectName(o *unstructured.Unstructured) string {
	return strings.TrimPrefix(fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName()), "/")
}

// byName are objects by their name; one that is there twice is a mistake.
func byName(t *testing.T, objects []*unstructured.Unstructured) map[string]*unstructured.Unstructured {
	t.Helper()
	all := make(map[string]*unstructured.Unstructured, len(objects))
	for _, o := range objects {
		if all[objectName(o)] != nil {
			t.Errorf("%s is there twice", objectName(o))
		}
		all[objectName(o)] = o
	}
	return all
}

// toJSON is an object as JSON with sorted keys.
func toJSON(o *unstructured.Unstructured) string {
	data, err := json.MarshalIndent(o.Object, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(data)
}
