package observe

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/manifest"
)

// Dump is what was read from files.
type Dump struct {
	// Definitions are the ComponentDefinitions among the objects; they extend the catalog as they would in the cluster.
	Definitions []*v1alpha1.ComponentDefinition

	facts   map[string][]facts.Fact // by source
	objects map[catalog.Resource]map[string]any
	plural  map[schema.GroupKind]string // what CRDs among the files call their kinds
	loose   []*unstructured.Unstructured
}

// Files reads manifests and dumps: a file, a folder with all below it, or standard input for "-". Lists are taken apart.
// An error names the file and the document in it.
func Files(from string, stdin io.Reader) (*Dump, error) {
	d := &Dump{facts: map[string][]facts.Fact{}, objects: map[catalog.Resource]map[string]any{}, plural: map[schema.GroupKind]string{}}
	if from == "-" {
		if err := d.read("standard input", stdin); err != nil {
			return nil, err
		}
		d.finish()
		return d, nil
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
			if err := regular(path); err != nil {
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
	if err != nil {
		return nil, err
	}
	if files == 0 {
		return nil, fmt.Errorf("%s holds no .yaml, .yml or .json file", from)
	}
	d.finish()
	return d, nil
}

// regular refuses what has the name of a manifest and is none: reading a pipe or a device may never end. Who wants to read a
// pipe names it outright.
func regular(path string) error {
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
	reader := manifest.Documents(buffered)
	for n := 1; ; n++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: document %d: %w", name, n, err)
		}
		content := map[string]any{}
		if err := manifest.Decode(document, &content); err != nil {
			return fmt.Errorf("%s: document %d is no Kubernetes object: %w", name, n, err)
		}
		if ours(content) {
			if err := manifest.Unambiguous(document); err != nil {
				return fmt.Errorf("%s: document %d: %w", name, n, err)
			}
		}
		if len(content) == 0 {
			continue // comments alone
		}
		if err := d.take(&unstructured.Unstructured{Object: content}); err != nil {
			return fmt.Errorf("%s: document %d: %w", name, n, err)
		}
	}
}

// ours tells whether a document is one of the project's own kinds. Of others a field that is there twice is what the API server
// makes of it: the last one counts.
func ours(content map[string]any) bool {
	version, _ := content["apiVersion"].(string)
	return strings.HasPrefix(version, v1alpha1.GroupVersion.Group+"/")
}

func (d *Dump) take(object *unstructured.Unstructured) error {
	if object.GetKind() == "" || object.GetAPIVersion() == "" {
		return errors.New("no apiVersion and kind: this is no Kubernetes object")
	}
	if object.IsList() {
		return object.EachListItem(func(item runtime.Object) error {
			return d.take(item.(*unstructured.Unstructured))
		})
	}
	kind := object.GroupVersionKind()
	switch {
	case kind.Group == v1alpha1.GroupVersion.Group && kind.Kind == "ComponentDefinition":
		definition := &v1alpha1.ComponentDefinition{}
		if err := manifest.Check(object); err != nil {
			return fmt.Errorf("ComponentDefinition %q: %w", object.GetName(), err)
		}
		if err := convert(object, definition); err != nil {
			return err
		}
		d.Definitions = append(d.Definitions, definition)
		return nil
	case kind.Group == "" && kind.Kind == "Secret":
		return nil // never read, from files neither
	case kind.Kind == "CustomResourceDefinition":
		d.learn(object)
	}
	if source, ok := sources[kind.GroupKind()]; ok {
		fact, err := factOf(object)
		if err != nil {
			return err
		}
		if kind.Kind == "ConfigMap" {
			source = catalog.ConfigMapSource(object.GetNamespace(), object.GetName())
		}
		d.facts[source] = append(d.facts[source], fact)
	}
	d.loose = append(d.loose, object)
	return nil
}

// sources are the kinds that facts are kept of, with the source that each feeds.
var sources = map[schema.GroupKind]string{
	{Group: "apps", Kind: "Deployment"}:                                             "deployments.apps",
	{Group: "apps", Kind: "DaemonSet"}:                                              "daemonsets.apps",
	{Group: "apps", Kind: "StatefulSet"}:                                            "statefulsets.apps",
	{Kind: "Node"}:                                                                  nodeSource,
	{Kind: "ConfigMap"}:                                                             "configmaps",
	{Group: "storage.k8s.io", Kind: "StorageClass"}:                                 "storageclasses.storage.k8s.io",
	{Group: "storage.k8s.io", Kind: "CSIDriver"}:                                    "csidrivers.storage.k8s.io",
	{Group: "networking.k8s.io", Kind: "IngressClass"}:                              "ingressclasses.networking.k8s.io",
	{Group: "node.k8s.io", Kind: "RuntimeClass"}:                                    "runtimeclasses.node.k8s.io",
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}: "validatingwebhookconfigurations.admissionregistration.k8s.io",
	{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}:   "mutatingwebhookconfigurations.admissionregistration.k8s.io",
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:               crdSource,
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:                           "apiservices.apiregistration.k8s.io",
	{Group: "gateway.networking.k8s.io", Kind: "GatewayClass"}:                      gatewayClassSource,
}

// factOf takes the facts out of an object of a file, through its Go type where there is one.
func factOf(object *unstructured.Unstructured) (facts.Fact, error) {
	typed, err := clientscheme.Scheme.New(object.GroupVersionKind())
	if err != nil {
		return facts.Of(object, false) // a kind that is read without its type
	}
	if err := convert(object, typed); err != nil {
		return nil, err
	}
	return facts.Of(typed, false)
}

func convert(object *unstructured.Unstructured, into any) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, into); err != nil {
		return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return nil
}

// learn notes what a CRD calls its kind, so that rules find its objects by their resource.
func (d *Dump) learn(crd *unstructured.Unstructured) {
	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	plural, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "plural")
	if group != "" && kind != "" && plural != "" {
		d.plural[schema.GroupKind{Group: group, Kind: kind}] = plural
	}
}

// finish sorts the objects by resource, now that all CRDs are known.
func (d *Dump) finish() {
	for _, object := range d.loose {
		dropNulls(object.Object)
		kind := object.GroupVersionKind()
		for _, plural := range d.plurals(kind) {
			resource := catalog.Resource{Group: kind.Group, Resource: plural}
			if d.objects[resource] == nil {
				d.objects[resource] = map[string]any{}
			}
			d.objects[resource][keyOf(object.GetNamespace(), object.GetName())] = object.Object
		}
	}
	d.loose = nil
}

// plurals are the resources that a kind may be called: the one that its CRD says where the files hold it, and otherwise
// every way in which English makes plurals, because a guess alone calls gateways gatewaies.
func (d *Dump) plurals(kind schema.GroupVersionKind) []string {
	if plural, ok := d.plural[kind.GroupKind()]; ok {
		return []string{plural}
	}
	guess, singular := meta.UnsafeGuessKindToResource(kind)
	all := []string{guess.Resource, singular.Resource + "s", singular.Resource + "es"}
	slices.Sort(all)
	return slices.Compact(all)
}

// Feed feeds an inventory with what was read. Files show all of what they show: a kind that they hold nothing of counts
// as seen, and empty. Only of nodes, and of a component's own resources, nobody can say whether the files would hold them.
func (d *Dump) Feed(i *inventory.Inventory, reads catalog.Reads) {
	for _, k := range kinds() {
		source := k.resource.String()
		if source == nodeSource && len(d.facts[source]) == 0 {
			// Every cluster has nodes, and no manifest does: what they would show is out of sight.
			i.Feed(source).Lose(inventory.Blind, "the files hold no Nodes: add what 'kubectl get nodes -o yaml' prints")
			continue
		}
		i.Feed(source).Replace(d.facts[source])
	}
	// No file says what the API server reports. The nodes' kubelets do.
	i.Feed(catalog.APIServerSource).Replace(nil)
	for _, c := range i.Catalog().ConfigMaps() {
		name := catalog.ConfigMapSource(c.Namespace, c.Name)
		i.Feed(name).Replace(d.facts[name])
	}
	for resource, fields := range reads {
		feed := i.ResourceFeed(resource)
		objects, ok := d.objects[catalog.Resource{Group: resource.Group, Resource: resource.Resource}]
		if ok || clientscheme.Scheme.IsGroupRegistered(resource.Group) {
			kept := make(map[string]any, len(objects))
			for key, content := range objects {
				kept[key] = fields.Keep(content)
			}
			feed.Replace(kept)
			continue
		}
		feed.Lose(inventory.Pending, "the files hold no "+resource.String())
	}
}
