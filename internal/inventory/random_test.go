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
		Rollout:    facts.Rollout{Observed: true, Desired: 2, Total: 2, Updated: 2, Ready: 2, Available: 2, Generation: 1, ObservedGeneration: 1},
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
	resources := []catalog.Resource{{Group: "a.dev", Version: "v1", Resource: "as"}, {Group: "b.dev", Resource: "bs"}}
	sources := slices.Sorted(maps.Keys(sourceKinds))
	now := func() time.Time { return time.Unix(1_800_000_000, 0) }

	rapid.Check(t, func(t *rapid.T) {
		used := 0
		i := inventory.New(catalogs[used], now)
		is := cluster{}
		feeds, sights := map[string]*inventory.Feed{}, map[string]inventory.Sight{}
		for _, source := range sources {
			is[source] = map[facts.Ref]facts.Fact{}
			feeds[source] = i.Feed(source)
		}
		objects := map[catalog.Resource]map[string]any{}
		objectSights := map[catalog.Resource]inventory.Sight{}
		objectFeeds := map[catalog.Resource]*inventory.ResourceFeed{}
		for _, r := range resources {
			objects[r], objectFeeds[r] = map[string]any{}, i.ResourceFeed(r)
		}
		t.Repeat(map[string]func(*rapid.T){
			"a workload changes": func(t *rapid.T) {
				source := rapid.SampledFrom(sources).Draw(t, "source")
				w := drawWorkload(t, sourceKinds[source])
				is[source][w.Object()] = w
				if sights[source] == inventory.Seen {
					feeds[source].Put(w)
				}
			},
			"a workload goes": func(t *rapid.T) {
				source := rapid.SampledFrom(sources).Draw(t, "source")
				ref := drawWorkload(t, sourceKinds[source]).Object()
				delete(is[source], ref)
				if sights[source] == inventory.Seen {
					feeds[source].Drop(ref)
				}
			},
			"words are lost, and it is listed": func(t *rapid.T) {
				source := rapid.SampledFrom(sources).Draw(t, "source")
				for range rapid.IntRange(0, 4).Draw(t, "lost") {
					w := drawWorkload(t, sourceKinds[source])
					if rapid.Bool().Draw(t, "goes") {
						delete(is[source], w.Object())
					} else {
						is[source][w.Object()] = w
					}
				}
				feeds[source].Replace(is.list(source))
				sights[source] = inventory.Seen
			},
			"a source goes out of sight": func(t *rapid.T) {
				source := rapid.SampledFrom(sources).Draw(t, "source")
				sights[source] = rapid.SampledFrom([]inventory.Sight{inventory.Blind, inventory.NotServed, inventory.Pending}).Draw(t, "sight")
				feeds[source].Lose(sights[source], sights[source].String())
			},
			"a feed is closed and opened again": func(t *rapid.T) {
				source := rapid.SampledFrom(sources).Draw(t, "source")
				late := feeds[source]
				late.Close()
				feeds[source] = i.Feed(source)
				late.Put(drawWorkload(t, sourceKinds[source])) // what comes late is of no account
				sights[source] = inventory.Pending
			},
			"the catalog changes": func(*rapid.T) {
				used = 1 - used
				i.SetCatalog(catalogs[used])
			},
			"an object changes": func(t *rapid.T) {
				r := rapid.SampledFrom(resources).Draw(t, "resource")
				key, content := rapid.SampledFrom([]string{"/1", "/2", "/3"}).Draw(t, "key"), map[string]any{"n": rapid.Int64Range(0, 3).Draw(t, "n")}
				objects[r][key] = content
				if objectSights[r] == inventory.Seen {
					objectFeeds[r].Put(key, content)
				}
			},
			"an object goes": func(t *rapid.T) {
				r := rapid.SampledFrom(resources).Draw(t, "resource")
				key := rapid.SampledFrom([]string{"/1", "/2", "/3"}).Draw(t, "key")
				delete(objects[r], key)
				if objectSights[r] == inventory.Seen {
					objectFeeds[r].Drop(key)
				}
			},
			"a resource is listed": func(t *rapid.T) {
				r := rapid.SampledFrom(resources).Draw(t, "resource")
				objectFeeds[r].Replace(maps.Clone(objects[r]))
				objectSights[r] = inventory.Seen
			},
			"a resource goes out of sight": func(t *rapid.T) {
				r := rapid.SampledFrom(resources).Draw(t, "resource")
				objectSights[r] = rapid.SampledFrom([]inventory.Sight{inventory.Blind, inventory.NotServed}).Draw(t, "sight")
				objectFeeds[r].Lose(objectSights[r], objectSights[r].String())
			},
			"": func(t *rapid.T) {
				anew := inventory.New(catalogs[used], now)
				for _, source := range sources {
					feed := anew.Feed(source)
					if sights[source] == inventory.Seen {
						feed.Replace(is.list(source))
					} else if sights[source] != inventory.Pending {
						feed.Lose(sights[source], sights[source].String())
					}
				}
				got, want := i.Snapshot(), anew.Snapshot()
				for _, name := range catalogs[used].Names() {
					if is, should := got.Component(name), want.Component(name); !same(is, should) {
						t.Fatalf("%s is\n%s\nand to who looks for the first time\n%s", name, shown(is), shown(should))
					}
				}
				for _, r := range resources {
					seen := got.Resource(r)
					if seen.Sight != objectSights[r] {
						t.Fatalf("%s is %s, not %s", r, seen.Sight, objectSights[r])
					}
					if seen.Sight == inventory.Seen && seen.Objects.Len() != len(objects[r]) || seen.Sight != inventory.Seen && seen.Objects.Len() > 0 {
						t.Fatalf("%s (%s) shows %v of %v", r, seen.Sight, seen.Objects.All(), objects[r])
					}
				}
			},
		})
	})
}

func same(a, b *inventory.Component) bool {
	return reflect.DeepEqual(a.Installations, b.Installations) && slices.Equal(a.Residue, b.Residue) &&
		slices.Equal(a.Blind, b.Blind) && a.Obscured == b.Obscured
}

func shown(c *inventory.Component) string {
	return fmt.Sprintf("%+v\nresidue %+v\nblind %v %v", c.Installations, c.Residue, c.Blind, c.Obscured)
}
