package measure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// Preflight runs troubleshoot's preflight once, with a spec that asks for what a checked profile shows. The spec and what
// it printed are kept in a folder. It is cut short when it takes longer than there is patience, and says so.
func Preflight(
	ctx context.Context, c *cluster.Cluster, program string, checked *v1alpha1.PlatformProfile, keep string, patience time.Duration,
) (ran Run, cut bool, err error) {
	if _, err := os.Stat(program); err != nil {
		return Run{}, false, fmt.Errorf("preflight is not built (run 'make bench'): %w", err)
	}
	spec, err := json.MarshalIndent(preflightSpec(checked), "", "  ")
	if err != nil {
		return Run{}, false, err
	}
	file := filepath.Join(keep, "bench-preflight-spec.json")
	if err := os.WriteFile(file, spec, 0o600); err != nil {
		return Run{}, false, err
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// It writes its bundle into the folder that it runs in, and that goes with the cluster. 3 and 4 say that something does
	// not hold.
	env := []string{"PREFLIGHT_AUTO_UPDATE=false", "TMPDIR=" + c.Dir}
	ran, err = run(limited, c.Dir, env, []int{0, 3, 4}, program,
		"--interactive=false", "--auto-update=false", "--format=json", "--kubeconfig="+c.Kubeconfig, file)
	said := fmt.Sprintf("%s\n--- standard error\n%s\n--- took %s\n", ran.Stdout, ran.Stderr, ran.Took)
	if cut = err != nil && limited.Err() != nil && ctx.Err() == nil; cut {
		err = nil
	}
	return ran, cut, errors.Join(err, os.WriteFile(filepath.Join(keep, "bench-preflight.txt"), []byte(said), 0o600))
}

// preflightSpec asks for what a profile asks for, as far as preflight can: for the version of the cluster, its nodes, and
// for each requirement for the objects that showed it to be there.
func preflightSpec(profile *v1alpha1.PlatformProfile) map[string]any {
	outcomes := func(fail string) []any {
		return []any{
			map[string]any{"fail": map[string]any{"when": fail, "message": "does not hold"}},
			map[string]any{"pass": map[string]any{"message": "holds"}},
		}
	}
	analyzers := []any{
		map[string]any{"clusterVersion": map[string]any{"outcomes": outcomes("< 1.30.0")}},
		map[string]any{"nodeResources": map[string]any{"checkName": "nodes", "outcomes": outcomes("count() < 1")}},
		map[string]any{"containerRuntime": map[string]any{"outcomes": []any{
			map[string]any{"pass": map[string]any{"when": "== containerd", "message": "holds"}},
			map[string]any{"fail": map[string]any{"message": "does not hold"}},
		}}},
		map[string]any{"storageClass": map[string]any{"checkName": "default class", "outcomes": outcomes("")}},
	}
	seen := map[v1alpha1.Evidence]bool{}
	for _, layer := range profile.Status.Layers {
		for _, requirement := range layer.Requirements {
			for _, evidence := range requirement.Evidence {
				evidence.Signal = ""
				if analyzer := analyzerOf(requirement.Name, evidence, outcomes); analyzer != nil && !seen[evidence] {
					seen[evidence] = true
					analyzers = append(analyzers, analyzer)
				}
			}
		}
	}
	return map[string]any{
		"apiVersion": "troubleshoot.sh/v1beta2", "kind": "Preflight", "metadata": map[string]any{"name": profile.Name},
		// What it collects for analyzers of the cluster: the version and the objects.
		"spec": map[string]any{
			"collectors": []any{map[string]any{"clusterInfo": map[string]any{}}, map[string]any{"clusterResources": map[string]any{}}},
			"analyzers":  analyzers,
		},
	}
}

// analyzerOf asks for an object that showed a component; nil where preflight has no way to.
func analyzerOf(requirement string, e v1alpha1.Evidence, outcomes func(string) []any) map[string]any {
	name := requirement + ": " + e.Kind + " " + e.Name
	switch e.Kind {
	case "Deployment":
		return map[string]any{
			"deploymentStatus": map[string]any{"checkName": name, "namespace": e.Namespace, "name": e.Name, "outcomes": outcomes("< 1")},
		}
	case "StatefulSet":
		return map[string]any{
			"statefulsetStatus": map[string]any{"checkName": name, "namespace": e.Namespace, "name": e.Name, "outcomes": outcomes("< 1")},
		}
	case "CustomResourceDefinition":
		return map[string]any{
			"customResourceDefinition": map[string]any{"checkName": name, "customResourceDefinitionName": e.Name, "outcomes": outcomes("")},
		}
	case "StorageClass":
		return map[string]any{"storageClass": map[string]any{"checkName": name, "storageClassName": e.Name, "outcomes": outcomes("")}}
	case "IngressClass":
		return map[string]any{"ingressClass": map[string]any{"checkName": name, "ingressClassName": e.Name, "outcomes": outcomes("")}}
	}
	return nil
}
