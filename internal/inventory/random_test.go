package inventory_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
)

// images are the images of random workloads: of components of the catalog, and of none.
var images = []string{
	"quay.io/cilium/cilium:v1.17.1",
	"quay.io/cilium/cilium:v1.16.0",
	"docker.io/calico/node:v3.29.0",
	"docker.io/falcosecurity/falco:0.40.0",
	"docker.io/velero/velero:v1.15.0",
	"docker.io/library/nginx:1.27",
}

// cluster has the facts of all objects, by source.
type cluster map[string]map[facts.Ref]facts.Fact

func (c cluster) list(source string) []facts.Fact {
	return slices.Collect(maps.Values(c[source]))
}

var sourceKinds = map[string]string{"daemonsets.apps": "DaemonSet", "deployments.apps": "Deployment", "statefulsets.apps": "StatefulSet"}

func drawWorkload(t *rapid.T, kind string) *facts.Workload {
	image, _ := facts.ParseImage(rapid.SampledFrom(images).Draw(t, "image"))
	ready := int32(rapid.IntRange(0, 2).Draw(t, "ready"))
	w := &facts.Workload{
		Ref: facts.Ref{
			APIVersion: "apps/v1",
			Kind:       kind,
			Namespace:  rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "namespace"),
			Name:       rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "name"),
		},
		Containers: []facts.Container{{Image: image}},
		Rollout: facts.Rollout{
			HasStatus:          true,
			Desired:            2,
			Total:              2,
			Updated:            2,
			Ready:              2,
			Available:          2,
			Generation:         1,
			ObservedGeneration: 1,
		},
	}
	if kind == "Deployment" {
		// Other kinds stay available: their health also depends on whether the rollout was complete before.
		w.Rollout.Ready, w.Rollout.Available, w.Rollout.Deadline = ready, ready, 600
		w.Rollout.Progressing, w.Rollout.Reason = "True", "NewReplicaSetAvailable"
	}
	return w
}

// TestRandomEvents checks after random events, lists, states and catalogs that the inventory equals a new one with the same objects.
func TestRandomEvents(t *testing.T) {
	components, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	components = slices.DeleteFunc(slices.Clone(components), func(c *catalog.Component) bool {
		return !slices.Contains([]string{"cilium", "calico", "falco", "velero", "eks"}, c.Name)
	})
	catalogs := []*catalog.Catalog{
		catalog.New(components...),
		catalog.New(slices.DeleteFunc(slices.Clone(components), func(c *catalog.Component) bool { return c.Name == "cilium" })...),
	}
	sources := slices.Sorted(maps.Keys(sourceKinds))
	now := func() time.Time { return time.Unix(1_800_000_000, 0) }

	rapid.Check(t, func(t *rapid.T) {
		current := 0
		i := inventory.New(catalogs[current], now)
		objects := cluster{}
		watched, states := map[string]*inventory.Source{}, map[string]facts.SourceState{}
		isWaiting := false // not synced, and no change since then that may end it
		i.OnChange(func(c inventory.Change) { isWaiting = isWaiting && !c.Synced && !c.Catalog })
		for _, source := range sources {
			objects[source] = map[facts.Ref]facts.Fact{}
			watched[source] = i.Source(source)
		}
		t.Repeat(map[string]func(*rapid.T){
			"a workload changes": func(t *rapid.T) {
				source := rapid.SampledFrom(sources).Draw(t, "source")
				w := drawWorkload(t, sourceKinds[source])
				objects[source][w.ObjectRef()] = w
				if states[source] == facts.Synced {
					watched[source].Put(w)
				}
			},
			"a workload is deleted": func(t *rapid.T) {
				source := rapid.SampledFrom(sources).Draw(t, "source")
				ref := drawWorkload(t, sourceKinds[source]).ObjectRef()
				delete(objects[source], ref)
				if states[source] == facts.Synced {
					watched[source].Delete(ref)
				}
			},
			"events are lost before a list": func(t *rapid.T) {
				source := rapid.SampledFrom(sources).Draw(t, "source")
				for range rapid.IntRange(0, 4).Draw(t, "lost") {
					w := drawWorkload(t, sourceKinds[source])
					if rapid.Bool().Draw(t, "deleted") {
						delete(objects[source], w.ObjectRef())
					} else {
						objects[source][w.ObjectRef()] = w
					}
				}
				watched[source].Replace(objects.list(source))
				states[source] = facts.Synced
			},
			"the state of a source changes": func(t *rapid.T) {
				source := rapid.SampledFrom(sources).Draw(t, "source")
				states[source] = rapid.SampledFrom([]facts.SourceState{facts.Failing, facts.NotServed, facts.Pending}).Draw(t, "state")
				watched[source].SetState(states[source], states[source].String())
			},
			"a source is closed and added again": func(t *rapid.T) {
				source := rapid.SampledFrom(sources).Draw(t, "source")
				closed := watched[source]
				closed.Close()
				watched[source] = i.Source(source)
				closed.Put(drawWorkload(t, sourceKinds[source])) // is ignored
				states[source] = facts.Pending
			},
			"the catalog changes": func(*rapid.T) {
				current = 1 - current
				i.SetCatalog(catalogs[current])
			},
			"": func(t *rapid.T) {
				if isWaiting && i.HasSynced() {
					t.Fatal("synced without a change that has Synced or Catalog")
				}
				isWaiting = !i.HasSynced()
				fresh := inventory.New(catalogs[current], now)
				for _, source := range sources {
					freshSource := fresh.Source(source)
					if states[source] == facts.Synced {
						freshSource.Replace(objects.list(source))
					} else if states[source] != facts.Pending {
						freshSource.SetState(states[source], states[source].String())
					}
				}
				got, want := i.Snapshot(), fresh.Snapshot()
				for _, name := range catalogs[current].Names() {
					if got, want := got.Component(name), want.Component(name); !isEqual(got, want) {
						t.Fatalf("%s is\n%s\nand in a new inventory\n%s", name, describe(got), describe(want))
					}
				}
			},
		})
	})
}

func isEqual(a, b *inventory.Component) bool {
	return reflect.DeepEqual(a.Installations, b.Installations) && slices.Equal(a.Leftovers, b.Leftovers) &&
		slices.Equal(a.UnreadableSources, b.UnreadableSources) && a.IsPartlyUnreadable == b.IsPartlyUnreadable
}

func describe(c *inventory.Component) string {
	return fmt.Sprintf("%+v\nleftovers %+v\nunreadable %v %v", c.Installations, c.Leftovers, c.UnreadableSources, c.IsPartlyUnreadable)
}
