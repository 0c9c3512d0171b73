package inventory

import (
	"maps"
	"testing"

	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// testResource is a rule.Source that evaluates rules after each change. Objects have a name and fields.
type testResource struct {
	t      testing.TB
	i      *Inventory
	source *rule.Source
}

func (i *Inventory) testResource(t testing.TB, resource rule.Resource) testResource {
	r := testResource{t, i, i.Rules.Source(resource)}
	i.Rules.Flush()
	return r
}

func (r testResource) prune(name string, fields map[string]any) rule.Object {
	r.t.Helper()
	object := map[string]any{"metadata": map[string]any{"name": name}}
	maps.Copy(object, fields)
	pruned, err := rule.AllFields().Prune(object)
	if err != nil {
		r.t.Fatal(err)
	}
	return pruned
}

func (r testResource) put(name string, fields map[string]any) {
	r.source.Put(r.prune(name, fields))
	r.i.Rules.Flush()
}

func (r testResource) delete(name string) {
	r.source.Delete(name)
	r.i.Rules.Flush()
}

func (r testResource) replace(all map[string]map[string]any) {
	var objects []rule.Object
	for name, fields := range all {
		objects = append(objects, r.prune(name, fields))
	}
	r.source.Replace(objects)
	r.i.Rules.Flush()
}

func (r testResource) setState(state facts.SourceState, reason string) {
	r.source.SetState(state, reason)
	r.i.Rules.Flush()
}

func (r testResource) close() {
	r.source.Close()
	r.i.Rules.Flush()
}
