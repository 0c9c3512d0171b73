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

// images are those that random workloads run: of components of the catalog, of none, and of a part of another.
var images = []string{"quay.io/cilium/cilium:v1.17.1", "quay.io/cilium/cilium:v1.16.0", "docker.io/calico/node:v3.29.0", "docker.io/falcosecurity/falco:0.40.0", "docker.io/velero/velero:v1.15.0", "docker.io/library/nginx:1.27"}

// cluster is what an API server would have, source by source.
type cluster map[string]map[facts.Ref]facts.Fact

func (c cluster) list(source string) []facts.Fact {
	return slices.Collect(maps.Values(c[source]))
}

var sourceKinds = map[string]string{"daemonsets.apps": "DaemonSet", "deployments.apps": "Deployment", "statefulsets.apps": "StatefulSet"}

func drawWorkload(t *rapid.T, kind string) *facts.Workload {
	image, _ := facts.ParseImage(rapid.SampledFrom(images).Draw(t, "image"))
	ready := int32(rapid.IntRange(0, 2).Draw(t, "ready"))
	w := &facts.Workload{
		Ref:        facts.Ref{APIVersion: "apps/v1", Kind: kind, Namespace: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "namespace"), Name: rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "name")},
		Containers: []facts.Container{{Image: image}},
		Rollout:    facts.Rollout{HasStatus: true, Desired: 2, Total: 2, Updated: 2, Ready: 2, Available: 2, Generation: 1, ObservedGeneration: 1},
	}
	if kind == "Deployment" {
		// Of the others an inventory knows more than who looks for the first time: that they were complete before.
		w.Rollout.Ready, w.Rollout.Available, w.Rollout.Deadline = ready, ready, 600
		w.Rollout.Progressing, w.Rollout.Reason = "True", "NewReplicaSetAvailable"
	}
	return w
}

// TestAnyOrderOfWordsComesToTheSame shows for random sequences of what watches say, of lists after they broke off, of
// sources that go out of sight and come back, and of catalogs that change, that the inventory is the one that somebody
// finds who looks for the first time.
func TestAnyOrderOfWordsComesToTheSame(t *testing.T) {
	components, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	components = slices.DeleteFunc(slices.Clone(components), func(c *catalog.Component) bool {
		return !slices.Contains([]string{"cilium", "calico", "falco", "velero", "eks"}, c.Name)
	})
	catalogs := []*catalog.Catalog{catalog.New(components...), catalog.New(slices.DeleteFunc(slices.Clone(components), func(c *catalog.Component) bool { return c.Name == "cilium" })...)}
	sources := slices.Sorted(maps.Keys(sourceKinds))
	now := func() time.Time { return time.Unix(1_800_000_000, 0) }

	rapid.Check(t, func(t *rapid.T) {
		used := 0
		i := inventory.New(catalogs[used], now)
		is := cluster{}
		feeds, sights := map[string]*inventory.Source{}, map[string]facts.SourceState{}
		isWaiting := false // somebody who saw that not everything has synced, and was not woken since
		i.OnChange(func(c inventory.Change) { isWaiting = isWaiting && !c.Synced && !c.Catalog })
		for _, source := range sources {
			is[source] = map[facts.Ref]facts.Fact{}
			feeds[source] = i.Source(source)
		}
		t.Repeat(map[string]func(*rapid.T){
			"a workload changes": func(t *rapid.T) {
				source := rapid.SampledFrom(sources).Draw(t, "source")
				w := drawWorkload(t, sourceKinds[source])
				is[source][w.ObjectRef()] = w
				if sights[source] == facts.Synced {
					feeds[source].Put(w)
				}
			},
			"a workload goes": func(t *rapid.T) {
				source := rapid.SampledFrom(sources).Draw(t, "source")
				ref := drawWorkload(t, sourceKinds[source]).ObjectRef()
				delete(is[source], ref)
				if sights[source] == facts.Synced {
					feeds[source].Delete(ref)
				}
			},
			"words are lost, and it is listed": func(t *rapid.T) {
				source := rapid.SampledFrom(sources).Draw(t, "source")
				for range rapid.IntRange(0, 4).Draw(t, "lost") {
					w := drawWorkload(t, sourceKinds[source])
					if rapid.Bool().Draw(t, "goes") {
						delete(is[source], w.ObjectRef())
					} else {
						is[source][w.ObjectRef()] = w
					}
				}
				feeds[source].Replace(is.list(source))
				sights[source] = facts.Synced
			},
			"a source goes out of sight": func(t *rapid.T) {
				source := rapid.SampledFrom(sources).Draw(t, "source")
				sights[source] = rapid.SampledFrom([]facts.SourceState{facts.Failing, facts.NotServed, facts.Pending}).Draw(t, "sight")
				feeds[source].SetState(sights[source], sights[source].String())
			},
			"a feed is closed and opened again": func(t *rapid.T) {
				source := rapid.SampledFrom(sources).Draw(t, "source")
				late := feeds[source]
				late.Close()
				feeds[source] = i.Source(source)
				late.Put(drawWorkload(t, sourceKinds[source])) // what comes late is of no account
				sights[source] = facts.Pending
			},
			"the catalog changes": func(*rapid.T) {
				used = 1 - used
				i.SetCatalog(catalogs[used])
			},
			"": func(t *rapid.T) {
				if isWaiting && i.HasSynced() {
					t.Fatal("everything has synced, and no change says so")
				}
				isWaiting = !i.HasSynced()
				anew := inventory.New(catalogs[used], now)
				for _, source := range sources {
					feed := anew.Source(source)
					if sights[source] == facts.Synced {
						feed.Replace(is.list(source))
					} else if sights[source] != facts.Pending {
						feed.SetState(sights[source], sights[source].String())
					}
				}
				got, want := i.Snapshot(), anew.Snapshot()
				for _, name := range catalogs[used].Names() {
					if is, should := got.Component(name), want.Component(name); !same(is, should) {
						t.Fatalf("%s is\n%s\nand to who looks for the first time\n%s", name, shown(is), shown(should))
					}
				}
			},
		})
	})
}

func same(a, b *inventory.Component) bool {
	return reflect.DeepEqual(a.Installations, b.Installations) && slices.Equal(a.Leftovers, b.Leftovers) &&
		slices.Equal(a.UnreadableSources, b.UnreadableSources) && a.IsPartlyUnreadable == b.IsPartlyUnreadable
}

func shown(c *inventory.Component) string {
	return fmt.Sprintf("%+v\nresidue %+v\nblind %v %v", c.Installations, c.Leftovers, c.UnreadableSources, c.IsPartlyUnreadable)
}
