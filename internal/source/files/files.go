// Package files reads manifests and dumps, and feeds an inventory from them.
package files

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/json"
	clientscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/manifest"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// The sources that files are treated specially for.
const ()

// Dump is what was read from files.
type Dump struct {
	// Definitions are the PlatformComponents among the objects; they extend the catalog as they would in the cluster.
	Definitions []*v1alpha1.PlatformComponent

	facts   map[string][]facts.Fact     // by source
	objects []object                    // all that was read, but for definitions and Secrets
	plural  map[schema.GroupKind]string // what CRDs among the files call their kinds
}

// object is an object as JSON: as maps it would take several times as much.
type object struct {
	kind schema.GroupKind
	json []byte
}

// Read reads manifests and dumps: a file, a folder with all below it, or standard input for "-". Lists are taken apart.
// An error names the file and the document in it.
func Read(from string, stdin io.Reader) (*Dump, error) {
	d := &Dump{facts: map[string][]facts.Fact{}, plural: map[schema.GroupKind]string{}}
	if err := d.readAll(from, stdin); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Dump) readAll(from string, stdin io.Reader) error {
	if from == "-" {
		return d.read("standard input", stdin)
	}
	files := 0
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() || path != from && !isManifest(path) {
			return nil
		}
		files++
		if path != from {
			if err := checkRegular(path); err != nil {
				return err
			}
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close() //nolint:errcheck // nothing was written
		return d.read(path, file)
	})
	if err == nil && files == 0 {
		err = fmt.Errorf("%s holds no .yaml, .yml or .json file", from)
	}
	return err
}

// checkRegular refuses what has the name of a manifest and is none: reading a pipe or a device may never end. Who wants to read a
// pipe names it outright.
func checkRegular(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("%w: mend or remove it, or give a file of its own to --from", err) // a link to nowhere, or to itself
	case info.IsDir():
		return fmt.Errorf("%s is a symbolic link to a folder, and these are not followed: give the folder itself to --from, or remove the link", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file (%s): remove it from the folder, or give it alone to --from", path, info.Mode().Type())
	}
	return nil
}

func isManifest(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

func (d *Dump) read(name string, input io.Reader) error {
	buffered := bufio.NewReader(input)
	if magic, _ := buffered.Peek(2); string(magic) == "\x1f\x8b" {
		return fmt.Errorf("%s: document 1 is compressed by gzip: unpack it first, or pipe it: gunzip -c FILE | platformprofile ... --from -", name)
	}
	err := manifest.EachObject(buffered, func(o manifest.Object) error {
		if isOwnKind(o.Content) {
			if err := manifest.CheckDuplicateKeys(o.Text); err != nil {
				return err
			}
		}
		return d.add(&unstructured.Unstructured{Object: o.Content})
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// isOwnKind tells whether a document is one of the project's own kinds. Of others a field that is there twice is what the API server
// makes of it: the last one counts.
func isOwnKind(content map[string]any) bool {
	version, _ := content["apiVersion"].(string)
	return strings.HasPrefix(version, v1alpha1.GroupVersion.Group+"/")
}

func (d *Dump) add(object *unstructured.Unstructured) error {
	if object.GetKind() == "" || object.GetAPIVersion() == "" {
		return errors.New("no apiVersion and kind: this is no Kubernetes object")
	}
	if object.IsList() {
		return object.EachListItem(func(item runtime.Object) error {
			return d.add(item.(*unstructured.Unstructured))
		})
	}
	kind := object.GroupVersionKind()
	switch {
	case kind.Group == v1alpha1.GroupVersion.Group && kind.Kind == "PlatformComponent":
		definition := &v1alpha1.PlatformComponent{}
		if err := manifest.Validate(object); err != nil {
			return fmt.Errorf("PlatformComponent %q: %w", object.GetName(), err)
		}
		if err := convert(object, definition); err != nil {
			return err
		}
		d.Definitions = append(d.Definitions, definition)
		return nil
	case kind.Group == "" && kind.Kind == "Secret":
		return nil // never read, from files neither
	case kind.Kind == "CustomResourceDefinition":
		d.addPlural(object)
	}
	if k, ok := facts.FindKind(kind.GroupKind()); ok {
		fact, err := facts.Extract(object, false)
		if err != nil {
			return err
		}
		source := k.SourceName()
		if kind.Kind == "ConfigMap" {
			source = catalog.ConfigMapSource(object.GetNamespace(), object.GetName())
		}
		d.facts[source] = append(d.facts[source], fact)
	}
	return d.addObject(object)
}

// addObject keeps an object for rules and diagnosis. Facts are all that need to know who wrote which field.
func (d *Dump) addObject(o *unstructured.Unstructured) error {
	unstructured.RemoveNestedField(o.Object, "metadata", "managedFields")
	text, err := json.Marshal(o.Object)
	if err != nil {
		return fmt.Errorf("%s %s: %w", o.GetKind(), o.GetName(), err)
	}
	d.objects = append(d.objects, object{o.GroupVersionKind().GroupKind(), text})
	return nil
}

func convert(object *unstructured.Unstructured, into any) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, into); err != nil {
		return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return nil
}

// addPlural notes what a CRD calls its kind, so that rules find its objects by their resource.
func (d *Dump) addPlural(crd *unstructured.Unstructured) {
	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	plural, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "plural")
	if group != "" && kind != "" && plural != "" {
		d.plural[schema.GroupKind{Group: group, Kind: kind}] = plural
	}
}

// Each calls a function with the objects of a resource, in the order in which they were read.
func (d *Dump) Each(resource rule.Resource, do func(*unstructured.Unstructured) error) error {
	return d.eachOf(func(r rule.Resource) bool { return r == resource }, func(_ rule.Resource, o *unstructured.Unstructured) error { return do(o) })
}

// eachOf calls a function with every object that was read of some resources. It is called once all files were read: only then
// all CRDs are known.
func (d *Dump) eachOf(isWanted func(rule.Resource) bool, do func(rule.Resource, *unstructured.Unstructured) error) error {
	resources := map[schema.GroupKind][]rule.Resource{}
	for _, o := range d.objects {
		wanted, known := resources[o.kind]
		if !known {
			for _, plural := range d.plurals(o.kind) {
				if resource := (rule.Resource{Group: o.kind.Group, Resource: plural}); isWanted(resource) {
					wanted = append(wanted, resource)
				}
			}
			resources[o.kind] = wanted
		}
		if len(wanted) == 0 {
			continue
		}
		content := &unstructured.Unstructured{}
		if err := json.Unmarshal(o.json, &content.Object); err != nil {
			return err
		}
		for _, resource := range wanted {
			if err := do(resource, content); err != nil {
				return err
			}
		}
	}
	return nil
}

// plurals are the resources that a kind may be called: the one that its CRD says where the files hold it, and otherwise
// every way in which English makes plurals, because a guess alone calls gateways gatewaies.
func (d *Dump) plurals(kind schema.GroupKind) []string {
	if plural, ok := d.plural[kind]; ok {
		return []string{plural}
	}
	guess, singular := meta.UnsafeGuessKindToResource(kind.WithVersion(""))
	all := []string{guess.Resource, singular.Resource + "s", singular.Resource + "es"}
	slices.Sort(all)
	return slices.Compact(all)
}

// Load feeds an inventory with what was read, and has instances of rules evaluated. Files show all of what they show: a kind that they hold nothing of counts
// as seen, and empty. Only of nodes, and of a component's own resources, nobody can say whether the files would hold them.
func (d *Dump) Load(i *inventory.Inventory, instances []rule.Instance) error {
	for _, k := range facts.Kinds() {
		source := k.SourceName()
		if k.Kind == "Node" && len(d.facts[source]) == 0 {
			// Every cluster has nodes, and no manifest does.
			i.Source(source).SetState(facts.Failing, "the files hold no Nodes: add what 'kubectl get nodes -o yaml' prints")
			continue
		}
		i.Source(source).Replace(d.facts[source])
	}
	// No file says what the API server reports. The nodes' kubelets do.
	i.Source(catalog.APIServerSource).Replace(nil)
	for _, c := range i.Catalog().ConfigMaps() {
		name := catalog.ConfigMapSource(c.Namespace, c.Name)
		i.Source(name).Replace(d.facts[name])
	}
	return d.loadRules(i.Rules, instances)
}

// loadRules feeds an evaluator with the objects that instances of rules see. Of what the files hold no object of, and is none of
// Kubernetes' own kinds, nobody can say whether the files would hold it.
func (d *Dump) loadRules(rules *rule.Evaluator, instances []rule.Instance) error {
	readers := map[rule.Resource][]rule.Instance{}
	versions := map[rule.Resource][]rule.Resource{} // files show every object in one version, which is as good as another
	for _, instance := range instances {
		for _, resource := range instance.AllResources() {
			if readers[resource] == nil {
				named := rule.Resource{Group: resource.Group, Resource: resource.Resource}
				versions[named] = append(versions[named], resource)
			}
			readers[resource] = append(readers[resource], instance)
		}
	}
	fields := map[rule.Resource]*rule.Fields{} // found out for what the files hold: few of a catalog's rules need be compiled
	kept := map[rule.Resource]map[string]rule.Object{}
	err := d.eachOf(func(named rule.Resource) bool { return len(versions[named]) > 0 }, func(named rule.Resource, object *unstructured.Unstructured) error {
		for _, resource := range versions[named] {
			if kept[resource] == nil {
				kept[resource], fields[resource] = map[string]rule.Object{}, rule.CollectFields(readers[resource])[resource]
			}
			one, err := fields[resource].Prune(object.Object)
			if err != nil {
				return err
			}
			kept[resource][one.Key] = one
		}
		return nil
	})
	if err != nil {
		return err
	}
	for resource := range readers {
		objects, ok := kept[resource]
		if ok || clientscheme.Scheme.IsGroupRegistered(resource.Group) {
			rules.Source(resource).Replace(slices.Collect(maps.Values(objects)))
			continue
		}
		rules.Source(resource).SetState(facts.Pending, "the files hold no "+resource.String())
	}
	rules.SetInstances(instances)
	rules.Flush()
	return nil
}
