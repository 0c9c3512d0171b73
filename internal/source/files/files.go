// Package files reads manifests and dumps of a cluster, and loads them into an inventory in place of watches.
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

// Dump contains the objects of files.
type Dump struct {
	// Definitions are the PlatformComponents in the files. They extend the catalog as in a cluster.
	Definitions []*v1alpha1.PlatformComponent

	facts   map[string][]facts.Fact     // by source
	objects []object                    // without definitions and Secrets
	plural  map[schema.GroupKind]string // from the CRDs in the files
}

// object is an object in JSON, which takes a fraction of the memory of maps.
type object struct {
	kind schema.GroupKind
	json []byte
}

// Read reads a file, all manifests in a folder and its subfolders, or standard input for "-". It splits Lists into their items. An error
// names the file and the document.
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
		err = fmt.Errorf("%s contains no .yaml, .yml or .json file", from)
	}
	return err
}

// checkRegular returns an error for files of a folder that are not regular, because reading a pipe or a device may block forever. A pipe
// can be read if --from names it.
func checkRegular(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("%w: fix or remove it, or name a single file with --from", err) // a broken link
	case info.IsDir():
		return fmt.Errorf("%s is a symbolic link to a folder, which is not followed: name the folder with --from, or remove the link", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file (%s): remove it from the folder, or name it with --from", path, info.Mode().Type())
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
		return fmt.Errorf("%s: document 1 is compressed with gzip: decompress it first, or use a pipe: gunzip -c FILE | platformprofile ... --from -", name)
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

// isOwnKind reports whether a document is of a kind of this project. In other kinds the last value of a duplicate field counts, as in the
// API server.
func isOwnKind(content map[string]any) bool {
	version, _ := content["apiVersion"].(string)
	return strings.HasPrefix(version, v1alpha1.GroupVersion.Group+"/")
}

// add adds an object, or the items of a List.
func (d *Dump) add(object *unstructured.Unstructured) error {
	if object.GetKind() == "" || object.GetAPIVersion() == "" {
		return errors.New("no apiVersion and kind: not a Kubernetes object")
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
		return nil // never read, not even from files
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

// addObject stores an object for rules and diagnoses, which do not need managedFields.
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

// addPlural stores the plural name of the kind of a CRD, because rules refer to resources.
func (d *Dump) addPlural(crd *unstructured.Unstructured) {
	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	plural, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "plural")
	if group != "" && kind != "" && plural != "" {
		d.plural[schema.GroupKind{Group: group, Kind: kind}] = plural
	}
}

// Each calls do with each object of a resource, in the order of the files.
func (d *Dump) Each(resource rule.Resource, do func(*unstructured.Unstructured) error) error {
	return d.eachOf(func(r rule.Resource) bool { return r == resource }, func(_ rule.Resource, o *unstructured.Unstructured) error { return do(o) })
}

// eachOf calls do with each object of the wanted resources. Call it after all files are read, because it needs all CRDs.
func (d *Dump) eachOf(isWanted func(rule.Resource) bool, do func(rule.Resource, *unstructured.Unstructured) error) error {
	resources := map[schema.GroupKind][]rule.Resource{}
	for _, o := range d.objects {
		wanted, isKnown := resources[o.kind]
		if !isKnown {
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

// plurals returns the possible plural names of a kind: that of its CRD if the files contain it, or else all regular English plurals,
// because the guess of apimachinery is wrong for gateways.
func (d *Dump) plurals(kind schema.GroupKind) []string {
	if plural, ok := d.plural[kind]; ok {
		return []string{plural}
	}
	guess, singular := meta.UnsafeGuessKindToResource(kind.WithVersion(""))
	plurals := []string{guess.Resource, singular.Resource + "s", singular.Resource + "es"}
	slices.Sort(plurals)
	return slices.Compact(plurals)
}

// Load replaces the contents of an inventory by the objects of the files and evaluates the instances of rules. A kind without objects is
// Synced and empty, except nodes and custom resources, which manifests usually do not contain.
func (d *Dump) Load(i *inventory.Inventory, instances []rule.Instance) error {
	for _, k := range facts.Kinds() {
		source := k.SourceName()
		if k.Kind == "Node" && len(d.facts[source]) == 0 {
			i.Source(source).SetState(facts.Failing, "cannot read nodes: the files contain none; add the output of 'kubectl get nodes -o yaml'")
			continue
		}
		i.Source(source).Replace(d.facts[source])
	}
	// Files do not contain the version of the API server. Those of the kubelets are used.
	i.Source(catalog.APIServerSource).Replace(nil)
	for _, c := range i.Catalog().ConfigMaps() {
		name := catalog.ConfigMapSource(c.Namespace, c.Name)
		i.Source(name).Replace(d.facts[name])
	}
	return d.loadRules(i.Rules, instances)
}

// loadRules replaces the objects of an evaluator by those that the instances of rules read. A resource without objects is Pending unless
// it is built into Kubernetes.
func (d *Dump) loadRules(rules *rule.Evaluator, instances []rule.Instance) error {
	readers := map[rule.Resource][]rule.Instance{}
	versions := map[rule.Resource][]rule.Resource{} // the version of an object in a file is used for all versions
	for _, instance := range instances {
		for _, resource := range instance.AllResources() {
			if readers[resource] == nil {
				unversioned := rule.Resource{Group: resource.Group, Resource: resource.Resource}
				versions[unversioned] = append(versions[unversioned], resource)
			}
			readers[resource] = append(readers[resource], instance)
		}
	}
	fields := map[rule.Resource]*rule.Fields{} // collected on demand, so that few rules of the catalog are compiled
	pruned := map[rule.Resource]map[string]rule.Object{}
	isRead := func(unversioned rule.Resource) bool { return len(versions[unversioned]) > 0 }
	err := d.eachOf(isRead, func(unversioned rule.Resource, object *unstructured.Unstructured) error {
		for _, resource := range versions[unversioned] {
			if pruned[resource] == nil {
				pruned[resource], fields[resource] = map[string]rule.Object{}, rule.CollectFields(readers[resource])[resource]
			}
			o, err := fields[resource].Prune(object.Object)
			if err != nil {
				return err
			}
			pruned[resource][o.Key] = o
		}
		return nil
	})
	if err != nil {
		return err
	}
	for resource := range readers {
		objects, exists := pruned[resource]
		if exists || clientscheme.Scheme.IsGroupRegistered(resource.Group) {
			rules.Source(resource).Replace(slices.Collect(maps.Values(objects)))
			continue
		}
		rules.Source(resource).SetState(facts.Pending, "cannot read "+resource.String()+": the files contain none")
	}
	rules.SetInstances(instances)
	rules.Flush()
	return nil
}
