package inventory

import (
	"maps"
	"testing"

	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// resourceFeed brings objects by their names, whole, and has rules evaluated at once.
type resourceFeed struct {
	t    testing.TB
	i    *Inventory
	feed *rule.Source
}

func (i *Inventory) resourceFeed(t testing.TB, resource rule.Resource) resourceFeed {
	f := resourceFeed{t, i, i.Rules.Source(resource)}
	i.Rules.Flush()
	return f
}

func (f resourceFeed) keep(name string, fields map[string]any) rule.Object {
	f.t.Helper()
	object := map[string]any{"metadata": map[string]any{"name": name}}
	maps.Copy(object, fields)
	kept, err := rule.AllFields().Prune(object)
	if err != nil {
		f.t.Fatal(err)
	}
	return kept
}

func (f resourceFeed) put(name string, fields map[string]any) {
	f.feed.Put(f.keep(name, fields))
	f.i.Rules.Flush()
}

func (f resourceFeed) drop(name string) {
	f.feed.Delete(name)
	f.i.Rules.Flush()
}

func (f resourceFeed) replace(all map[string]map[string]any) {
	var objects []rule.Object
	for name, fields := range all {
		objects = append(objects, f.keep(name, fields))
	}
	f.feed.Replace(objects)
	f.i.Rules.Flush()
}

func (f resourceFeed) lose(state facts.SourceState, reason string) {
	f.feed.SetState(state, reason)
	f.i.Rules.Flush()
}

func (f resourceFeed) close() {
	f.feed.Close()
	f.i.Rules.Flush()
}
