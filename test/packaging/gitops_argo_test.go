package packaging

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/test/cluster"
)

const healthOf = "resource.customizations.health.platformprofile.dev_"

func healthCheck(t *testing.T, kind string) string {
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

// health runs a health check as Argo CD does: on the global obj, with nothing but Lua's own basics at hand.
func health(t *testing.T, script string, object map[string]any) (status, message string) {
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

func TestArgoCDGatesOnConformance(t *testing.T) {
	script := healthCheck(t, "PlatformProfile")
	for name, state := range states(t) {
		t.Run(name, func(t *testing.T) {
			status, message := health(t, script, object(t, state.profile))
			if status != state.argo {
				t.Errorf("Argo CD sees %s (%s), want %s", status, message, state.argo)
			}
			if message == "" {
				t.Error("Argo CD has nothing to say")
			}
			if name == "waived" && !strings.Contains(message, "security/sensor is Missing and waived until ") {
				t.Errorf("Argo CD does not say what is waived: %s", message)
			}
		})
	}
}

func TestArgoCDSeesDefinitions(t *testing.T) {
	script := healthCheck(t, "PlatformComponent")
	accepted := func(generation int64, status string) map[string]any {
		return map[string]any{
			"metadata": map[string]any{"generation": int64(2)},
			"status": map[string]any{"conditions": []any{
				map[string]any{"type": "Accepted", "status": status, "observedGeneration": generation, "message": "said"},
			}},
		}
	}
	for name, test := range map[string]struct {
		object map[string]any
		want   string
	}{
		"in use":        {accepted(2, "True"), "Healthy"},
		"mistaken":      {accepted(2, "False"), "Degraded"},
		"changed since": {accepted(1, "True"), "Progressing"},
		"new":           {map[string]any{"metadata": map[string]any{"generation": int64(1)}}, "Progressing"},
	} {
		if status, _ := health(t, script, test.object); status != test.want {
			t.Errorf("%s: Argo CD sees %s, want %s", name, status, test.want)
		}
	}
}
