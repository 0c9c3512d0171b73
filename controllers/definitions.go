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

// minRebuildInterval is the least time between two catalogs, so that a thousand definitions applied at once make a few.
const minRebuildInterval = 100 * time.Millisecond

// maxReadInterval is how often the definitions are asked for at least while they cannot be read.
const maxReadInterval = 5 * time.Second

// Definitions holds the definitions that are applied to the cluster, and puts the catalog in place that they make together
// with the built-in ones. Every replica runs it, so that a standby recognises the same.
type Definitions struct {
	client    client.Reader
	inventory *inventory.Inventory
	builtin   map[string]*catalog.Component

	ready   chan struct{} // closed once the catalog is complete
	changed chan struct{}

	mu      sync.Mutex
	applied map[string]*definition
}

// definition is one that is applied to the cluster, compiled once for each generation.
type definition struct {
	uid          types.UID
	generation   int64
	capabilities []v1alpha1.Name
	component    *catalog.Component
	errs         field.ErrorList
}

// NewDefinitions returns definitions that feed an inventory's catalog.
func NewDefinitions(c client.Reader, i *inventory.Inventory) (*Definitions, error) {
	components, err := catalog.Builtin()
	if err != nil {
		return nil, err
	}
	d := &Definitions{client: c, inventory: i, builtin: map[string]*catalog.Component{}, ready: make(chan struct{}), changed: make(chan struct{}, 1), applied: map[string]*definition{}}
	for _, component := range components {
		d.builtin[component.Name] = component
	}
	return d, nil
}

// NeedLeaderElection says that every replica keeps the catalog.
func (d *Definitions) NeedLeaderElection() bool { return false }

// Start reads all definitions once, and from then on puts a new catalog in place when one changed. An API server that does
// not answer yet is asked again: an operator that ended instead would be restarted ever less often, and come back minutes
// after the API server.
func (d *Definitions) Start(ctx context.Context) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, maxReadInterval) {
		err := d.readAll(ctx)
		if err == nil {
			break
		}
		log.FromContext(ctx).Info("could not read the PlatformComponents, trying again", "error", err.Error())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
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

// Ready tells whether the catalog is complete: the built-in definitions and those of the cluster.
func (d *Definitions) Ready() bool { return isClosed(d.ready) }

// put takes in a definition, new or changed, and returns what came of compiling it.
func (d *Definitions) put(object *v1alpha1.PlatformComponent) *definition {
	d.mu.Lock()
	known := d.applied[object.Name]
	d.mu.Unlock()
	if known != nil && known.uid == object.UID && known.generation == object.Generation {
		return known
	}
	component, errs := catalog.Compile(object.DeepCopy())
	compiled := &definition{object.UID, object.Generation, object.Spec.Capabilities, component, errs}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.applied[object.Name] = compiled
	d.signal()
	return compiled
}

// drop takes out a definition; a built-in one of the same name is in use again.
func (d *Definitions) drop(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.applied[name]; known {
		delete(d.applied, name)
		d.signal()
	}
}

// isApplied tells whether a definition of this name is applied to the cluster.
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

// rebuild puts the catalog in place that the built-in and the usable applied definitions make.
func (d *Definitions) rebuild() {
	d.mu.Lock()
	components := make([]*catalog.Component, 0, len(d.builtin)+len(d.applied))
	for _, component := range d.builtin {
		components = append(components, component)
	}
	refused := map[string]*definition{}
	for name, applied := range d.applied {
		if len(applied.errs) == 0 {
			components = append(components, applied.component)
		} else if d.builtin[name] == nil {
			refused[name] = applied
		}
	}
	d.mu.Unlock()
	c := catalog.New(components...)
	for name, applied := range refused {
		c.MarkInvalid(name, applied.capabilities)
	}
	d.inventory.SetCatalog(c)
}

// invalidNames are the names of the applied definitions that have a mistake.
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

// names are those of all applied definitions.
func (d *Definitions) names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.applied))
}
