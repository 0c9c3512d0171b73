// Package files reads manifests and dumps of a cluster, and loads them into an inventory in place of watches.
package files

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	goruntime "runtime"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
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
	// Waivers are the PlatformWaivers in the files.
	Waivers []*v1alpha1.PlatformWaiver
	// Problems are the objects that cannot be read, in the order of the files.
	Problems []Problem
	// Foreign counts the documents that are no Kubernetes objects.
	Foreign int

	facts   map[string][]facts.Fact     // by source
	objects []object                    // without definitions and Secrets
	plural  map[schema.GroupKind]string // from the CRDs in the files

	helmRepositories map[string]string // addresses, by their names in a helmfile

	location     string // of the document that is read, as FILE:LINE
	firstForeign error  // what is wrong with the first document that is no Kubernetes object
}

// object is an object in JSON, which takes a fraction of the memory of maps.
type object struct {
	kind schema.GroupKind
	json []byte
	// version is the group and version in the file, and location is FILE:LINE.
	version, location string
}

// Problem describes an object that cannot be read.
type Problem struct {
	// File is its path, or "standard input"; Line is where the document begins, 0 where that is not known.
	File string
	Line int
	// Kind is that of the object, as far as it can be told.
	Kind schema.GroupKind
	// Reason says what is wrong with it.
	Reason string
}

// String returns the problem as FILE:LINE: REASON.
func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Reason
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Reason)
}

// Read reads a file, all manifests in a folder and its subfolders, or standard input for "-". It splits Lists into their items. It ignores
// documents that are not Kubernetes objects, templates, encrypted objects, hidden folders and links to folders. An object that cannot be
// read is a Problem. Read returns an error if there is nothing to read, or if it cannot read a single file or standard input to its end.
func Read(from string, stdin io.Reader) (*Dump, error) {
	return ReadWithProgress(from, stdin, func(int, int) {})
}

// ReadWithProgress reads like Read, and calls progress after each file, from several goroutines.
func ReadWithProgress(from string, stdin io.Reader, progress func(done, total int)) (*Dump, error) {
	if from == "-" {
		d := newDump()
		return d, d.requireObject(d.readStream("standard input", stdin))
	}
	info, err := os.Stat(from)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		d := newDump()
		return d, d.requireObject(d.readFile(from))
	}
	paths, err := findFiles(from)
	if err != nil {
		return nil, err
	}
	return readFiles(paths, progress), nil
}

// requireObject returns an error for an input with documents, none of which is a Kubernetes object.
func (d *Dump) requireObject(err error) error {
	if err == nil && d.Foreign > 0 && len(d.objects)+len(d.Definitions)+len(d.Waivers)+len(d.Problems) == 0 {
		return d.firstForeign
	}
	return err
}

func newDump() *Dump {
	return &Dump{facts: map[string][]facts.Fact{}, plural: map[schema.GroupKind]string{}, helmRepositories: map[string]string{}}
}

// findFiles returns the manifests below a folder, in lexical order.
func findFiles(folder string) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != folder && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.IsDir() || !isManifest(path):
			return nil
		}
		// A link is read where it leads to a file. Reading a pipe or a device may never end.
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			paths = append(paths, path)
		}
		return nil
	})
	if err == nil && len(paths) == 0 {
		err = fmt.Errorf("%s contains no .yaml, .yml or .json file", folder)
	}
	return paths, err
}

func isManifest(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml", ".json", ".tf":
		return true
	case ".gotmpl":
		return isHelmfile(filepath.ToSlash(path))
	}
	return false
}

// readFiles reads files in parallel, and merges their objects in the order of the files.
func readFiles(paths []string, progress func(done, total int)) *Dump {
	parts := make([]*Dump, len(paths))
	var done atomic.Int64
	group := errgroup.Group{}
	group.SetLimit(goruntime.GOMAXPROCS(0))
	for n, path := range paths {
		group.Go(func() error {
			parts[n] = newDump()
			if err := parts[n].readFile(path); err != nil {
				parts[n].addUnreadableFile(path, err)
			}
			progress(int(done.Add(1)), len(paths))
			return nil
		})
	}
	_ = group.Wait() // no file fails the others
	all := newDump()
	for _, part := range parts {
		all.Definitions = append(all.Definitions, part.Definitions...)
		all.Waivers = append(all.Waivers, part.Waivers...)
		all.Problems = append(all.Problems, part.Problems...)
		all.Foreign += part.Foreign
		all.objects = append(all.objects, part.objects...)
		for source, found := range part.facts {
			all.facts[source] = append(all.facts[source], found...)
		}
		maps.Copy(all.plural, part.plural)
	}
	return all
}

func (d *Dump) readFile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	if filepath.Ext(path) != ".tf" {
		return d.readStream(path, file)
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	return d.addTerraform(path, data)
}

// addUnreadableFile adds a problem for each kind in a file that cannot be read to its end: there may be more objects of it.
func (d *Dump) addUnreadableFile(path string, err error) {
	reason := strings.TrimPrefix(err.Error(), path+": ")
	if len(d.objects) == 0 {
		d.Problems = append(d.Problems, Problem{File: path, Reason: reason})
	}
	isAdded := map[schema.GroupKind]bool{}
	for _, o := range d.objects {
		if !isAdded[o.kind] {
			isAdded[o.kind] = true
			d.Problems = append(d.Problems, Problem{File: path, Kind: o.kind, Reason: "not all of " + o.kind.String() + " can be read: " + reason})
		}
	}
}

// readStream reads the documents of a file. It returns an error where they cannot be read to the end.
func (d *Dump) readStream(name string, input io.Reader) error {
	buffered := bufio.NewReader(input)
	if magic, _ := buffered.Peek(2); string(magic) == "\x1f\x8b" {
		return fmt.Errorf("%s: compressed with gzip: decompress it first, or use a pipe: gunzip -c FILE | platformprofile ... --from -", name)
	}
	err := manifest.EachObject(buffered, func(o manifest.Object) error {
		d.addDocument(name, o)
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// addDocument adds the objects of a document, or what is wrong with it.
func (d *Dump) addDocument(name string, o manifest.Object) {
	if d.addDeclarations(name, o) {
		return
	}
	if o.Err != nil && isTemplate(o.Text) {
		if content := decodeTemplate(o.Text); isDeclaring(content) {
			o.Content, o.Err = content, nil
		}
	}
	d.location = fmt.Sprintf("%s:%d", name, o.Line)
	object := &unstructured.Unstructured{Object: o.Content}
	problem := Problem{File: name, Line: o.Line}
	err := o.Err
	switch {
	case err != nil:
		problem.Kind = guessKind(o.Text)
	case object.GetKind() == "" || object.GetAPIVersion() == "":
		err = errors.New("no apiVersion and kind")
	case isOwnKind(object):
		problem.Kind = object.GroupVersionKind().GroupKind()
		err = manifest.CheckDuplicateKeys(o.Text)
	}
	if err == nil && object.IsList() {
		d.addList(name, o.Line, object)
		return
	}
	if err == nil {
		problem.Kind, err = d.addObject(object)
	}
	switch {
	case err == nil:
	case problem.Kind.Empty() || isTemplate(o.Text):
		if d.Foreign++; d.Foreign == 1 {
			d.firstForeign = fmt.Errorf("%s:%d: not a Kubernetes object: %w", name, o.Line, err)
		}
	default:
		problem.Reason = err.Error()
		if o.Item > 0 {
			problem.Reason = fmt.Sprintf("item %d: %s", o.Item, problem.Reason)
		}
		d.Problems = append(d.Problems, problem)
	}
}

// addList adds the items of a List.
func (d *Dump) addList(name string, line int, list *unstructured.Unstructured) {
	itemKind := strings.TrimSuffix(list.GetKind(), "List")
	n := 0
	err := list.EachListItem(func(item runtime.Object) error {
		n++
		object := item.(*unstructured.Unstructured)
		if object.GetKind() == "" && itemKind != "" { // lists of one kind may leave it out
			object.SetAPIVersion(list.GetAPIVersion())
			object.SetKind(itemKind)
		}
		if kind, err := d.addObject(object); err != nil {
			d.Problems = append(d.Problems, Problem{File: name, Line: line, Kind: kind, Reason: fmt.Sprintf("item %d: %s", n, err)})
		}
		return nil
	})
	if err != nil {
		d.Problems = append(d.Problems, Problem{File: name, Line: line, Reason: list.GetKind() + ": " + err.Error()})
	}
}

// isTemplate reports whether a document that cannot be read is a template.
func isTemplate(document []byte) bool { return bytes.Contains(document, []byte("{{")) }

var (
	kindLine       = regexp.MustCompile(`(?m)^kind:\s*["']?([A-Za-z]+)`)
	apiVersionLine = regexp.MustCompile(`(?m)^apiVersion:\s*["']?([A-Za-z0-9./-]+)`)
)

// guessKind returns the kind of a document that is not valid YAML, or an empty one.
func guessKind(document []byte) schema.GroupKind {
	kind, version := kindLine.FindSubmatch(document), apiVersionLine.FindSubmatch(document)
	if kind == nil || version == nil {
		return schema.GroupKind{}
	}
	return currentKind(schema.FromAPIVersionAndKind(string(version[1]), string(kind[1])).GroupKind())
}

var podKind = schema.GroupKind{Kind: "Pod"}

// currentKind returns the kind that replaced one of the group extensions.
func currentKind(kind schema.GroupKind) schema.GroupKind {
	if kind.Group == "extensions" && (kind.Kind == "Deployment" || kind.Kind == "DaemonSet") {
		kind.Group = "apps"
	}
	return kind
}

// isOwnKind reports whether an object is of a kind of this project. In other kinds the last value of a duplicate field counts, as in the
// API server.
func isOwnKind(object *unstructured.Unstructured) bool {
	return object.GroupVersionKind().Group == v1alpha1.GroupVersion.Group
}

// addObject adds one object, and returns its kind.
func (d *Dump) addObject(object *unstructured.Unstructured) (schema.GroupKind, error) {
	version := object.GetAPIVersion()
	kind := currentKind(object.GroupVersionKind().GroupKind())
	if kind.Kind == "" || object.GetAPIVersion() == "" {
		return kind, errors.New("no apiVersion and kind")
	}
	_, isEncrypted := object.Object["sops"]
	_, isPatch := object.Object["$patch"]
	switch {
	case isEncrypted, isPatch, kind == schema.GroupKind{Kind: "Secret"}: // Secrets are never read, not even from files
		return kind, nil
	case isOwnKind(object) && kind.Kind == "PlatformComponent":
		return kind, appendValid(&d.Definitions, object)
	case isOwnKind(object) && kind.Kind == "PlatformWaiver":
		return kind, appendValid(&d.Waivers, object)
	case kind.Kind == "CustomResourceDefinition":
		d.addPlural(object)
	}
	if kind == podKind {
		d.addPod(object)
	}
	if k, ok := facts.FindKind(kind); ok && kind != helmReleaseKind {
		object.SetGroupVersionKind(kind.WithVersion(object.GroupVersionKind().Version))
		fact, err := facts.Extract(object, false)
		if err != nil {
			return kind, err
		}
		if declaration, ok := fact.(*facts.Declaration); ok {
			declaration.TargetNamespace = literal(declaration.TargetNamespace)
		}
		source := k.SourceName()
		if kind.Kind == catalog.KindConfigMap || kind.Kind == catalog.KindLease {
			source = catalog.NamedObject{Kind: kind.Kind, Namespace: object.GetNamespace(), Name: object.GetName()}.Source()
		}
		d.facts[source] = append(d.facts[source], fact)
	}
	return kind, d.storeObject(object, version)
}

// addPod adds the fact of a Pod that no workload controls. The diagnosis reports a Pod that cannot be read.
func (d *Dump) addPod(object *unstructured.Unstructured) {
	pod := &corev1.Pod{}
	if convert(object, pod) != nil {
		return
	}
	if fact, ok := facts.NewStandalonePod(pod); ok {
		d.facts[catalog.PodSource] = append(d.facts[catalog.PodSource], fact)
	}
}

// storeObject stores an object for rules and diagnoses, which do not need managedFields. version is its group and version in the file.
func (d *Dump) storeObject(o *unstructured.Unstructured, version string) error {
	unstructured.RemoveNestedField(o.Object, "metadata", "managedFields")
	text, err := json.Marshal(o.Object)
	if err != nil {
		return fmt.Errorf("%s %s: %w", o.GetKind(), o.GetName(), err)
	}
	d.objects = append(d.objects, object{o.GroupVersionKind().GroupKind(), text, version, d.location})
	return nil
}

// appendValid appends an object of a kind of this project, if it satisfies the schema of its kind.
func appendValid[T any](to *[]*T, object *unstructured.Unstructured) error {
	decoded := new(T)
	err := manifest.Validate(object)
	if err == nil {
		err = convert(object, decoded)
	}
	if err != nil {
		return fmt.Errorf("%s %q: %w", object.GetKind(), object.GetName(), err)
	}
	*to = append(*to, decoded)
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

func (o object) decode() (*unstructured.Unstructured, error) {
	content := &unstructured.Unstructured{}
	return content, json.Unmarshal(o.json, &content.Object)
}

// Each calls do with each object of a resource, in the order of the files.
func (d *Dump) Each(resource rule.Resource, do func(*unstructured.Unstructured) error) error {
	return d.eachOf(func(r rule.Resource) bool { return r == resource },
		func(_ rule.Resource, o *unstructured.Unstructured) error { return do(o) })
}

// EachOfVersion calls do with each object that has one of the wanted kinds in its file, and with its place, FILE:LINE.
func (d *Dump) EachOfVersion(isWanted func(schema.GroupVersionKind) bool, do func(o *unstructured.Unstructured, location string)) error {
	for _, o := range d.objects {
		if !isWanted(schema.FromAPIVersionAndKind(o.version, o.kind.Kind)) {
			continue
		}
		content, err := o.decode()
		if err != nil {
			return err
		}
		content.SetAPIVersion(o.version)
		do(content, o.location)
	}
	return nil
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
		content, err := o.decode()
		if err != nil {
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
	i.AcceptDeclarations()
	problems := d.problemsByKind()
	resolved, err := d.resolveDeclarations()
	if err != nil {
		return err
	}
	resolved[declarationSource] = append(resolved[declarationSource], d.facts[declarationSource]...)
	i.Source(declarationSource).Replace(resolved[declarationSource])
	i.Source(catalog.PodSource).Replace(d.facts[catalog.PodSource])
	for _, k := range facts.Kinds() {
		source := i.Source(k.SourceName())
		if k.Kind == "Node" && len(d.facts[k.SourceName()]) == 0 {
			source.SetState(facts.Failing, "cannot read nodes: the files contain none; add the output of 'kubectl get nodes -o yaml'")
			continue
		}
		source.Replace(append(resolved[k.SourceName()], d.facts[k.SourceName()]...))
		if reason := problems[k.GroupKind()]; reason != "" {
			source.SetIncomplete(reason)
		}
	}
	// Files do not contain the version of the API server. Those of the kubelets are used.
	i.Source(catalog.APIServerSource).Replace(nil)
	for _, object := range i.Catalog().NamedObjects() {
		name := object.Source()
		i.Source(name).Replace(d.facts[name])
	}
	return d.loadRules(i.Rules, instances, problems)
}

// problemsByKind returns why not all objects of a kind can be read.
func (d *Dump) problemsByKind() map[schema.GroupKind]string {
	first, count := map[schema.GroupKind]string{}, map[schema.GroupKind]int{}
	for _, problem := range d.Problems {
		if count[problem.Kind]++; count[problem.Kind] == 1 {
			first[problem.Kind] = "cannot read " + problem.String()
		}
	}
	for kind, n := range count {
		if n > 1 {
			first[kind] += fmt.Sprintf(", and %d more of %s", n-1, kind.Kind)
		}
	}
	return first
}

// loadRules replaces the objects of an evaluator by those that the instances of rules read. A resource without objects is Pending unless
// it is built into Kubernetes.
func (d *Dump) loadRules(rules *rule.Evaluator, instances []rule.Instance, problemsByKind map[schema.GroupKind]string) error {
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
	problems := map[rule.Resource]string{}
	for kind, reason := range problemsByKind {
		for _, plural := range d.plurals(kind) {
			problems[rule.Resource{Group: kind.Group, Resource: plural}] = reason
		}
	}
	for resource := range readers {
		if reason := problems[rule.Resource{Group: resource.Group, Resource: resource.Resource}]; reason != "" {
			rules.Source(resource).SetState(facts.Failing, reason)
			continue
		}
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
