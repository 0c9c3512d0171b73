// Package gitops runs the health checks of config/gitops on profiles as Argo CD and Flux do.
package gitops

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

const healthOf = "resource.customizations.health.platformprofile.dev_"

// HealthCheck returns the Lua script for a kind in config/gitops/argo-cd.
func HealthCheck(t testing.TB, kind string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(cluster.Root(), "config", "gitops", "argo-cd", "argocd-cm.yaml"))
	cluster.Must(t, err)
	var patch struct {
		Data map[string]string `json:"data"`
	}
	cluster.Must(t, yaml.UnmarshalStrict(data, &patch))
	script := patch.Data[healthOf+kind]
	if script == "" {
		t.Fatalf("there is no health check of %s", kind)
	}
	return script
}

// Health runs a health check as Argo CD does: on the global obj, with nothing but Lua's own basics at hand.
func Health(t testing.TB, script string, object map[string]any) (status, message string) {
	t.Helper()
	machine := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer machine.Close()
	for name, open := range map[string]lua.LGFunction{lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase,
		lua.TabLibName: lua.OpenTable} {
		cluster.Must(t, machine.CallByParam(lua.P{Fn: machine.NewFunction(open), Protect: true}, lua.LString(name)))
	}
	machine.SetGlobal("obj", valueOf(machine, object))
	if err := machine.DoString(script); err != nil {
		t.Fatalf("the health check fails: %v", err)
	}
	result, ok := machine.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("the health check returns a %s", machine.Get(-1).Type())
	}
	return lua.LVAsString(result.RawGetString("status")), lua.LVAsString(result.RawGetString("message"))
}

// valueOf is a value of JSON in Lua.
func valueOf(machine *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case map[string]any:
		table := machine.NewTable()
		for key, item := range value {
			table.RawSetString(key, valueOf(machine, item))
		}
		return table
	case []any:
		table := machine.NewTable()
		for _, item := range value {
			table.Append(valueOf(machine, item))
		}
		return table
	case string:
		return lua.LString(value)
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	}
	return lua.LNil
}

// Expressions returns the health checks of the first Kustomization in config/gitops/flux, its name, and what the second one depends on.
func Expressions(t testing.TB) (checks map[string]any, first string, dependsOn []any) {
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
func conditionHolds(t testing.TB, expression any, object map[string]any) (bool, error) {
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

// FluxStatus is what Flux makes of an object: a generation that was not observed waits; then it asks the expressions in
// this order; it goes on waiting for what is none of them, and for what they fail on.
func FluxStatus(t testing.TB, checks, object map[string]any) string {
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

// Object is a profile as a client without its types reads it: without a status where it has none.
func Object(t testing.TB, profile *v1alpha1.PlatformProfile) map[string]any {
	t.Helper()
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(profile)
	cluster.Must(t, err)
	if status, ok := fields["status"].(map[string]any); ok && len(status) == 0 {
		delete(fields, "status")
	}
	return fields
}
