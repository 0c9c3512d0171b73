package packaging

import (
	"path/filepath"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// expressions are the health checks of the first Kustomization, and the names that the second one depends on.
func expressions(t *testing.T) (checks map[string]any, first string, dependsOn []any) {
	t.Helper()
	objects, err := cluster.Objects(filepath.Join(cluster.Root(), "config", "gitops", "flux", "platform.yaml"))
	cluster.Must(t, err)
	if len(objects) != 2 {
		t.Fatalf("want two Kustomizations, got %d objects", len(objects))
	}
	all, _, err := unstructured.NestedSlice(objects[0].Object, "spec", "healthCheckExprs")
	if err != nil || len(all) != 1 {
		t.Fatalf("want one set of expressions: %v, %v", all, err)
	}
	dependsOn, _, err = unstructured.NestedSlice(objects[1].Object, "spec", "dependsOn")
	cluster.Must(t, err)
	return all[0].(map[string]any), objects[0].GetName(), dependsOn
}

// conditionHolds evaluates an expression in Flux's environment: parsed and not type-checked, over the object's own fields.
func conditionHolds(t *testing.T, expression any, object map[string]any) (bool, error) {
	t.Helper()
	environment, err := cel.NewEnv(
		cel.HomogeneousAggregateLiterals(), cel.EagerlyValidateDeclarations(true), cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true), cel.OptionalTypes(), ext.Strings(), ext.Sets(), ext.Encoders(),
	)
	cluster.Must(t, err)
	text, ok := expression.(string)
	if !ok {
		t.Fatalf("%v is no expression", expression)
	}
	parsed, issues := environment.Parse(text)
	if issues.Err() != nil {
		t.Fatalf("%s: %v", text, issues.Err())
	}
	program, err := environment.Program(parsed)
	cluster.Must(t, err)
	value, _, err := program.Eval(object)
	if err != nil {
		return false, err
	}
	is, ok := value.Value().(bool)
	if !ok {
		t.Fatalf("%s is a %s", text, value.Type())
	}
	return is, nil
}

// fluxStatus is what Flux makes of an object: a generation that was not observed waits; then it asks the expressions in
// this order; it goes on waiting for what is none of them, and for what they fail on.
func fluxStatus(t *testing.T, checks, object map[string]any) string {
	t.Helper()
	observed, found, _ := unstructured.NestedInt64(object, "status", "observedGeneration")
	if generation, _, _ := unstructured.NestedInt64(object, "metadata", "generation"); found && observed != generation {
		return "InProgress"
	}
	for _, ask := range []struct{ expression, status string }{{"inProgress", "InProgress"}, {"failed", "Failed"}, {"current", "Current"}} {
		is, err := conditionHolds(t, checks[ask.expression], object)
		if err != nil && object["status"] != nil {
			t.Errorf("%s fails: %v", ask.expression, err)
		}
		if err != nil {
			return "InProgress"
		}
		if is {
			return ask.status
		}
	}
	return "InProgress"
}

func TestFluxGatesOnConformance(t *testing.T) {
	checks, _, _ := expressions(t)
	if checks["apiVersion"] != "platformprofile.dev/v1alpha1" || checks["kind"] != "PlatformProfile" {
		t.Errorf("the expressions are about %v %v", checks["apiVersion"], checks["kind"])
	}
	for name, state := range states(t) {
		t.Run(name, func(t *testing.T) {
			if status := fluxStatus(t, checks, object(t, state.profile)); status != state.flux {
				t.Errorf("Flux sees %s, want %s", status, state.flux)
			}
		})
	}
}

func TestFluxOrdersTheKustomizations(t *testing.T) {
	_, first, dependsOn := expressions(t)
	if len(dependsOn) != 1 || dependsOn[0].(map[string]any)["name"] != first {
		t.Errorf("the applications depend on %v, want %s", dependsOn, first)
	}
}
