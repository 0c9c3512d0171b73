package controllers

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/inventory"
)

// minRebuildInterval is the minimum time between two catalogs, so that many definitions applied at once result in few catalogs.
const minRebuildInterval = 100 * time.Millisecond

// maxReadInterval is the maximum time between two attempts to list the definitions.
const maxReadInterval = 5 * time.Second

// Definitions compiles the PlatformComponents of the cluster, and sets the catalog of the inventory to them and the built-in
// definitions. Every replica runs it.
type Definitions struct {
	client    client.Reader
	inventory *inventory.Inventory
	builtin   map[string]*catalog.Component

	ready   chan struct{} // closed once all definitions have been read
	changed chan struct{}

	mu      sync.Mutex
	applied map[string]*definition
}

// definition is a PlatformComponent of the cluster, compiled once for each generation.
type definition struct {
	uid          types.UID
	generation   int64
	capabilities []v1alpha1.Name
	component    *catalog.Component
	errs         field.ErrorList
}

// NewDefinitions returns definitions that set the catalog of an inventory.
func NewDefinitions(c client.Reader, i *inventory.Inventory) (*Definitions, error) {
	components, err := catalog.Builtin()
	if err != nil {
		return nil, err
	}
	d := &Definitions{
		client: c, inventory: i, builtin: map[string]*catalog.Component{}, ready: make(chan struct{}), changed: make(chan struct{}, 1),
		applied: map[string]*definition{},
	}
	for _, component := range components {
		d.builtin[component.Name] = component
	}
	return d, nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica needs the catalog.
func (d *Definitions) NeedLeaderElection() bool { return false }

// Start lists all definitions, and then sets a new catalog whenever one changes. It retries a failed list instead of returning an error,
// because the kubelet would restart the operator with an increasing back-off.
func (d *Definitions) Start(ctx context.Context) error {
	for delay := 100 * time.Millisecond; ; delay = min(2*delay, maxReadInterval) {
		err := d.readAll(ctx)
		if err == nil {
			break
		}
		log.FromContext(ctx).Info("cannot list PlatformComponents, retrying", "error", err.Error())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(delay):
		}
	}
	d.rebuild()
	close(d.ready)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.changed:
			d.rebuild()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(minRebuildInterval):
		}
	}
}

func (d *Definitions) readAll(ctx context.Context) error {
	list := &v1alpha1.PlatformComponentList{}
	if err := d.client.List(ctx, list); err != nil {
		return err
	}
	for i := range list.Items {
		d.put(&list.Items[i])
	}
	return nil
}

// Ready reports whether the catalog contains both the built-in definitions and those of the cluster.
func (d *Definitions) Ready() bool { return isClosed(d.ready) }

// put compiles and stores a definition if it is new or changed, and returns it.
func (d *Definitions) put(object *v1alpha1.PlatformComponent) *definition {
	d.mu.Lock()
	stored := d.applied[object.Name]
	d.mu.Unlock()
	if stored != nil && stored.uid == object.UID && stored.generation == object.Generation {
		return stored
	}
	component, errs := catalog.Compile(object.DeepCopy())
	compiled := &definition{object.UID, object.Generation, object.Spec.Capabilities, component, errs}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.applied[object.Name] = compiled
	d.signal()
	return compiled
}

// drop removes a definition. A built-in definition of the same name takes effect again.
func (d *Definitions) drop(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, isApplied := d.applied[name]; isApplied {
		delete(d.applied, name)
		d.signal()
	}
}

// isApplied reports whether the cluster has a definition of this name.
func (d *Definitions) isApplied(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.applied[name] != nil
}

func (d *Definitions) signal() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// rebuild sets the catalog to the built-in definitions and the valid ones of the cluster.
func (d *Definitions) rebuild() {
	d.mu.Lock()
	components := make([]*catalog.Component, 0, len(d.builtin)+len(d.applied))
	for _, component := range d.builtin {
		components = append(components, component)
	}
	invalid := map[string]*definition{}
	for name, applied := range d.applied {
		if len(applied.errs) == 0 {
			components = append(components, applied.component)
		} else if d.builtin[name] == nil {
			invalid[name] = applied
		}
	}
	d.mu.Unlock()
	c := catalog.New(components...)
	for name, applied := range invalid {
		c.MarkInvalid(name, applied.capabilities)
	}
	d.inventory.SetCatalog(c)
}

// invalidNames returns the names of the definitions in the cluster that have errors.
func (d *Definitions) invalidNames() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for name, applied := range d.applied {
		if len(applied.errs) > 0 {
			names = append(names, name)
		}
	}
	return names
}

// names returns the names of all definitions in the cluster.
func (d *Definitions) names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.applied))
}
